/// What each fake vendor answers, as pure functions of the request: which bytes go out how is the server's part.
#pragma once

#include "shared/fake_providers/accounts.hpp"
#include "shared/fake_providers/behaviour.hpp"
#include "shared/fake_providers/ledger.hpp"
#include "shared/fake_providers/wire.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace shared::fake_providers {

/// Which upstream base a request came in on; `direct` = without a prefix (a CLI pointed at the fakes themselves).
enum class Leg { direct, codex, chatgpt, openai_api, claude, gemini, gemini_api, auth };

/// The path prefix of a leg's base, e.g. "/chatgpt/backend-api/codex".
[[nodiscard]] std::string_view leg_prefix(Leg leg);

/// How much of an account's quota is used, in percent.
struct Quota {
    double short_used = 5;
    double long_used = 10;
    double step = 0.1;     ///< added by each turn
    long short_resets = 0; ///< Unix seconds
    long long_resets = 0;
};

struct Call {
    Leg leg = Leg::direct;
    std::string method;
    std::string path;  ///< below the base, without query
    std::string query; ///< without '?'
    Headers headers;
    std::string body;                 ///< as received
    std::string decoded;              ///< without content coding
    const Account* account = nullptr; ///< nullptr only with Leg::direct or without a credential
    Quota quota;
    Tokens tokens; ///< what this request will cost
    std::uint64_t number = 0;
    bool moved_is_error = false; ///< strict affinity, and the conversation was on another account
    std::size_t deltas = 3;
    std::size_t delta_bytes = 0;
    std::string error_event;     ///< not empty: an in-band error with this JSON in place of output
    std::size_t error_after = 0; ///< after so many events
};

struct Event {
    std::string name; ///< the SSE event field; empty = none
    std::string data;
    std::optional<Tokens> says; ///< the cost as told up to and with this event
    bool last = false;
};

struct Answer {
    unsigned status = 200;
    Headers headers;
    bool stream = false;
    bool json_array = false; ///< Gemini's stream without alt=sse
    std::string newline = "\n";
    std::vector<Event> events; ///< if `stream`
    std::string body;          ///< else
    std::optional<Tokens> says;
    bool generates = false;
};

/// What a request is about, before it is answered.
struct Subject {
    std::string model;
    std::string conversation;
    bool generates = false;
};

[[nodiscard]] Subject subject_of(const Call& call, Vendor vendor);
[[nodiscard]] Vendor vendor_of(const Call& call);

[[nodiscard]] Answer answer_codex(const Call& call);
[[nodiscard]] Answer answer_claude(const Call& call);
[[nodiscard]] Answer answer_gemini(const Call& call);
/// An answer with an error in the vendor's dialect.
[[nodiscard]] Answer
error_answer(Vendor vendor, unsigned status, std::string_view code, std::string_view message);

/// The events of one Codex turn: used for SSE and for WebSocket messages.
[[nodiscard]] std::vector<Event> codex_turn(
    const Call& call, const nlohmann::json& request, bool generate, const std::string& response_id);
/// A problem with account-bound state in the request (encrypted reasoning of another account), or "".
[[nodiscard]] std::string foreign_state(const Call& call, const nlohmann::json& request);

/// Text that only this account accepts back: "fake-state:ACCOUNT:…", base64.
[[nodiscard]] std::string bound_state(const Call& call);
/// True if `text` is state that was bound to another account.
[[nodiscard]] bool is_foreign(const Call& call, const std::string& text);
/// The answer's text, cut into `call.deltas` pieces.
[[nodiscard]] std::vector<std::string> reply_pieces(const Call& call, std::string_view vendor);
[[nodiscard]] std::string join(const std::vector<std::string>& pieces);

} // namespace shared::fake_providers
