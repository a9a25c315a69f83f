/// One turn on a WebSocket: its request row, its facts, what it teaches about the account.
#pragma once

#include "shared/providers/provider.hpp"
#include "shared/segment/worker_slots.hpp"
#include "worker/tunnel.hpp"
#include "worker/worker_state.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace worker {

/// What to do with the upstream's message that was just read.
enum class MessageFate : std::uint8_t {
    relay,      ///< unchanged
    start_over, ///< the client is to open a new connection: another account can serve
    exhausted,  ///< the pool's own error instead: nobody can serve
};

/// Pure bookkeeping, no I/O: fed with whole client messages and with upstream messages as they pass.
class TunnelTurns {
public:
    TunnelTurns(WorkerState& state, const TunnelStart& start);
    /// A turn that still runs is closed as `client_gone` or `upstream_cut`, see end().
    ~TunnelTurns();
    TunnelTurns(const TunnelTurns&) = delete;
    TunnelTurns& operator=(const TunnelTurns&) = delete;

    /// A client's message begins: whether its user's limits let another turn in.
    [[nodiscard]] shared::LimitHit admit();

    /// Whether the user may use some models only: then a message has to wait until it has named its own.
    [[nodiscard]] bool limits_models() const;

    /// A client's text message, or its first part if it was too long to keep. A hit is about its model; the message
    /// must not go out then.
    [[nodiscard]] shared::LimitHit client_message(std::string_view json);

    /// Whether the user may still call.
    [[nodiscard]] bool user_may_call() const;

    void upstream_payload(std::string_view bytes);
    /// The upstream's text message is over.
    [[nodiscard]] MessageFate upstream_message_end();

    /// The connection ends while a turn may be running.
    void end(shared::RequestOutcome outcome);

    [[nodiscard]] bool running() const noexcept { return row_.has_value(); }

    /// For the pool's own error: earliest known reset.
    [[nodiscard]] shared::UnixMillis retry_at() const noexcept { return retry_at_; }

private:
    void begin(const shared::RequestFacts& facts);
    void give_back() noexcept;
    [[nodiscard]] shared::UserAsk user_ask() const;
    void finish(shared::RequestOutcome outcome, std::uint16_t status);
    void begin_decision(const shared::UsageEntry& entry);
    void note_usage();
    [[nodiscard]] MessageFate after_failure(const shared::Verdict& verdict, shared::UnixMillis now);
    [[nodiscard]] bool another_can_serve(shared::UnixMillis now);
    void log_turn(const shared::UsageEntry& entry) const;

    WorkerState& state_;
    const TunnelStart& start_;
    const shared::Provider& provider_;
    shared::http::JsonPicker picker_;
    shared::ResponseFacts facts_;
    std::optional<shared::RunningRequest> row_;
    DecisionLog decision_;
    std::optional<shared::PinKey> pin_;
    bool admitted_ = false; ///< counted for the user, but not yet a row's
    std::int64_t begun_us_ = 0;
    shared::UnixMillis retry_at_;
};

} // namespace worker
