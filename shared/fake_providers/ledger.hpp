/// What the fake upstreams saw and what they say they spent. Shared by their threads; every call locks.
#pragma once

#include "shared/fake_providers/wire.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace shared::fake_providers {

/// Uniform over vendors: `input` includes cached and cache_creation, `output` includes reasoning.
struct Tokens {
    std::uint64_t input = 0;
    std::uint64_t cached = 0;
    std::uint64_t cache_creation = 0;
    std::uint64_t output = 0;
    std::uint64_t reasoning = 0;

    Tokens& operator+=(const Tokens& other);
    friend bool operator==(const Tokens&, const Tokens&) = default;
};

/// A token count that follows from the request's bytes.
[[nodiscard]] Tokens tokens_for(std::string_view request_body);

/// One request (or one WebSocket turn) as an upstream saw it.
struct Exchange {
    std::uint64_t number = 0;
    std::string account; ///< "" = no known account
    std::string method;
    std::string target; ///< with the base's prefix
    Headers headers;
    std::string request_sha256; ///< of the body as received, without chunk framing
    std::uint64_t request_bytes = 0;
    unsigned status = 0;
    std::string response_sha256; ///< of the body as sent, without chunk framing
    std::uint64_t response_bytes = 0;
    std::string model;
    std::string conversation;
    Tokens said;            ///< what the answer said it cost, as far as it was sent
    bool generates = false; ///< a request that spends tokens
    bool websocket = false;
    bool complete = false; ///< the whole answer was sent
};

class Ledger {
public:
    using Totals = std::map<std::pair<std::string, std::string>, Tokens>; ///< (account, model)
    static constexpr std::size_t kExchangesMax = 20000;

    /// Returns the exchange's number.
    std::uint64_t begin(Exchange exchange);
    void update(std::uint64_t number, const std::function<void(Exchange&)>& change);

    /// Records the conversation on this account; true if it was on another one before.
    bool note_conversation(const std::string& conversation, const std::string& account);
    void violation(const std::string& text);

    [[nodiscard]] std::vector<Exchange> exchanges() const;
    /// Only those that generate.
    [[nodiscard]] std::vector<Exchange> turns() const;
    [[nodiscard]] Totals totals() const;
    [[nodiscard]] std::vector<std::string> violations() const;
    /// Conversations that changed their account, each time it happened.
    [[nodiscard]] std::vector<std::string> moves() const;
    [[nodiscard]] std::map<std::string, std::string> conversations() const;
    [[nodiscard]] std::string json() const;

    /// Waits until `done(turns)` holds after some change; false when the time is over.
    bool wait(
        const std::function<bool(const std::deque<Exchange>&)>& done,
        std::chrono::milliseconds timeout = std::chrono::seconds(20)) const;
    void reset();

private:
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::uint64_t next_ = 1;
    std::deque<Exchange> exchanges_;
    std::map<std::string, std::string> conversations_;
    std::vector<std::string> moves_;
    std::vector<std::string> violations_;
    Totals folded_; ///< of exchanges that were dropped to stay below kExchangesMax
};

} // namespace shared::fake_providers
