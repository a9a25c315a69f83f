/// explain_json(): the values of a decision record, for programs.
#include "admin_ui/explain.hpp"
#include "admin_ui/pool_view.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/account_table.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace admin_ui {
namespace {

using Json = nlohmann::ordered_json;
using shared::DecisionAttempt;
using shared::DecisionEnding;
using shared::PinFate;

Json time_json(shared::UnixMillis at)
{
    return at.is_set() ? Json(iso_time(at)) : Json(nullptr);
}

Json share_json(shared::UsedShare used)
{
    return used.is_known() ? Json(used.fraction()) : Json(nullptr);
}

std::string_view word(PinFate fate)
{
    switch (fate) {
    case PinFate::no_conversation:
        return "no_conversation";
    case PinFate::unpinned:
        return "unpinned";
    case PinFate::kept:
        return "kept";
    case PinFate::moved:
        return "moved";
    case PinFate::unusable:
        return "unusable";
    }
    return "unknown";
}

std::string_view word(DecisionAttempt::End end)
{
    using End = DecisionAttempt::End;
    switch (end) {
    case End::running:
        return "running";
    case End::answered:
        return "answered";
    case End::in_stream:
        return "in_stream";
    case End::connect_failed:
        return "connect_failed";
    case End::broken_off:
        return "broken_off";
    case End::deadline:
        return "deadline";
    case End::client_gone:
        return "client_gone";
    }
    return "unknown";
}

std::string_view word(DecisionEnding ending)
{
    switch (ending) {
    case DecisionEnding::relayed:
        return "relayed";
    case DecisionEnding::relayed_refusal:
        return "relayed_refusal";
    case DecisionEnding::local:
        return "local";
    case DecisionEnding::exhausted:
        return "exhausted";
    case DecisionEnding::no_account:
        return "no_account";
    case DecisionEnding::upstream_failed:
        return "upstream_failed";
    case DecisionEnding::deadline:
        return "deadline";
    case DecisionEnding::overloaded:
        return "overloaded";
    case DecisionEnding::body_too_large:
        return "body_too_large";
    case DecisionEnding::bad_request:
        return "bad_request";
    case DecisionEnding::start_over:
        return "start_over";
    case DecisionEnding::upgrade_refused:
        return "upgrade_refused";
    case DecisionEnding::user_limit:
        return "user_limit";
    case DecisionEnding::user_disabled:
        return "user_disabled";
    }
    return "unknown";
}

std::string_view verdict_word(std::uint8_t outcome)
{
    switch (static_cast<shared::Outcome>(outcome)) {
    case shared::Outcome::served:
        return "served";
    case shared::Outcome::rate_limited:
        return "rate_limited";
    case shared::Outcome::credential_rejected:
        return "credential_rejected";
    case shared::Outcome::account_refused:
        return "account_refused";
    case shared::Outcome::upstream_failed:
        return "upstream_failed";
    }
    return "unknown";
}

Json candidate_json(const shared::DecisionCandidate& candidate, const DecisionNames& names)
{
    Json json;
    json["account"] = names.account(candidate.account);
    json["reason"] = shared::to_string(candidate.reason);
    json["score"] = candidate.score;
    json["in_flight"] = candidate.in_flight;
    json["short_used"] = share_json(candidate.short_used);
    json["long_used"] = share_json(candidate.long_used);
    json["until"] = time_json(candidate.until);
    return json;
}

Json attempt_json(const DecisionAttempt& attempt, const DecisionNames& names)
{
    const bool has_verdict = attempt.end == DecisionAttempt::End::answered ||
                             attempt.end == DecisionAttempt::End::in_stream;
    Json json;
    json["account"] = names.account(attempt.account);
    json["end"] = word(attempt.end);
    json["status"] = attempt.status == 0 ? Json(nullptr) : Json(attempt.status);
    json["verdict"] = has_verdict ? Json(verdict_word(attempt.outcome)) : Json(nullptr);
    json["reason"] = attempt.reason.view();
    json["until"] = time_json(attempt.until);
    json["ms"] = attempt.ms;
    return json;
}

} // namespace

std::string
explain_json(const shared::FoundDecision& found, const DecisionNames& names, shared::UnixMillis now)
{
    const shared::Decision& decision = found.decision;
    const auto id_text = [](const std::array<char, 16>& id) {
        return id[0] == '\0' ? Json(nullptr) : Json(std::string(id.data(), id.size()));
    };
    Json json;
    json["request_id"] = id_text(decision.request_id);
    json["websocket_request_id"] = id_text(decision.parent_id);
    json["started_at"] = time_json(decision.started_at);
    json["finished_at"] = time_json(decision.finished_at);
    json["user"] = decision.user.view();
    json["provider"] = names.provider;
    json["model"] = decision.model.view();
    json["path"] = decision.path.view();
    json["websocket"] = decision.websocket != 0;
    json["strategy"] = names.strategy;
    json["pin"] = {
        {"fate", word(decision.pin)},
        {"account", decision.pinned.is_set() ? Json(names.account(decision.pinned)) : Json()}};
    json["waited_ms"] = {
        {"queue", decision.queue_ms},
        {"pinned_account", decision.pin_wait_ms},
        {"token", decision.refresh_wait_ms}};
    json["probe"] = decision.probe != 0;
    json["candidates_total"] = decision.candidates_total;
    json["candidates"] = Json::array();
    const auto noted = std::min<std::size_t>(decision.candidates_noted, decision.candidates.size());
    for (std::size_t i = 0; i < noted; ++i)
        json["candidates"].push_back(candidate_json(decision.candidates[i], names));
    json["attempts_total"] = decision.attempts_total;
    json["attempts"] = Json::array();
    for (std::size_t i = 0; i < decision.attempts_noted(); ++i)
        json["attempts"].push_back(attempt_json(decision.attempts[i], names));
    const bool died = decision.outcome == shared::RequestOutcome::running && !found.worker_lives;
    json["outcome"] =
        shared::to_string(died ? shared::RequestOutcome::worker_killed : decision.outcome);
    json["ending"] = word(decision.ending);
    json["status"] = decision.status;
    json["duration_ms"] = decision.duration_ms;
    json["first_byte_ms"] = decision.first_byte_ms;
    json["retry_at"] = time_json(decision.retry_at);
    json["text"] = explain(found, names, now);
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace admin_ui
