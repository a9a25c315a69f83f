#include "admin_ui/explain_words.hpp"

#include "admin_ui/pool_view.hpp"
#include "shared/base/read_file.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/layout.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace admin_ui {
namespace {

using shared::DecisionAttempt;
using shared::DecisionCandidate;
using shared::DecisionEnding;
using shared::Outcome;
using shared::PassedOver;
using shared::RequestOutcome;
using shared::UnixMillis;

constexpr std::size_t kNameBytesMax = 32;

std::string until_text(const ExplainContext& context, UnixMillis until, std::string_view before)
{
    if (!until.is_set()) return {};
    return std::string(before) + moment_text(until, context.now);
}

/// "the last try", "codex:work": whom the end is about.
std::string last_account(const ExplainContext& context)
{
    const std::size_t noted = context.decision.attempts_noted();
    if (noted == 0) return "nobody";
    return name_of(context, context.decision.attempts[noted - 1].account);
}

std::string tries_text(std::size_t tries)
{
    return tries == 1 ? "the first try" : "try " + std::to_string(tries);
}

constexpr std::string_view kTransient = "; scores lower for a while";

/// "; it rests until 10:05:00"
std::string rest_text(const ExplainContext& context, const DecisionAttempt& attempt)
{
    if (!attempt.until.is_set()) return {};
    return "; rests until " + clock_text(attempt.until, context.now);
}

/// "usage_limit_reached" in brackets.
std::string why_text(const DecisionAttempt& attempt)
{
    return attempt.reason.empty() ? "" : " (" + shared::printable(attempt.reason.view()) + ")";
}

/// What a verdict means for the account.
std::string verdict_text(const ExplainContext& context, const DecisionAttempt& attempt)
{
    if (attempt.about_request != 0) return ": not for this account, nothing is held against it";
    switch (static_cast<Outcome>(attempt.outcome)) {
    case Outcome::served:
        return {};
    case Outcome::rate_limited:
        if (!attempt.until.is_set()) return ": rate limited";
        return rest_text(context, attempt) +
               (attempt.end_known != 0 ? ", as told" : ", a guess: no reset named");
    case Outcome::credential_rejected:
        return ": token refused, a refresh was asked for" + rest_text(context, attempt);
    case Outcome::account_refused:
        return ": the vendor refuses this account" + rest_text(context, attempt);
    case Outcome::upstream_failed:
        return ": the vendor's own fault" + std::string(kTransient);
    }
    return {};
}

std::string refused_text(const ExplainContext& context)
{
    const shared::Decision& decision = context.decision;
    switch (decision.ending) {
    case DecisionEnding::exhausted:
        return "every account that could serve it is used up or resting; " +
               (decision.retry_at.is_set() ? "the client was told to come back at " +
                                                 moment_text(decision.retry_at, context.now)
                                           : std::string("no reset is known, so none was told"));
    case DecisionEnding::no_account:
        return "the pool has no account that could serve it";
    case DecisionEnding::upstream_failed:
        return "the upstream failed on every try";
    case DecisionEnding::deadline:
        return "the upstream did not answer in time";
    case DecisionEnding::overloaded:
        return "the pool is at a limit: too many requests run or wait, or all accounts are busy";
    case DecisionEnding::body_too_large:
        return "its body is larger than this pool allows (max_body_bytes)";
    case DecisionEnding::bad_request:
        return "its body is malformed";
    case DecisionEnding::start_over:
        return "another account can serve, so the client was asked to open a new WebSocket";
    case DecisionEnding::upgrade_refused:
        return "only HTTP can be served now, so the WebSocket was refused; the CLI goes on over "
               "HTTP";
    case DecisionEnding::user_limit:
        return "its user has reached a limit of its own; " +
               (decision.retry_at.is_set() ? "the client was told to come back at " +
                                                 moment_text(decision.retry_at, context.now)
                                           : std::string("only the owner can lift it"));
    case DecisionEnding::user_disabled:
        return "its user is disabled or expired, or the credential was revoked; the owner can "
               "enable the user or hand out a new one";
    case DecisionEnding::relayed:
    case DecisionEnding::relayed_refusal:
    case DecisionEnding::local:
        break;
    }
    return "the pool answered for itself";
}

std::string completed_text(const ExplainContext& context)
{
    const shared::Decision& decision = context.decision;
    const std::string took = milliseconds_text(decision.duration_ms);
    if (decision.ending == DecisionEnding::local)
        return fmt::format(
            "Answered by the pool itself with {}: this needs no account.", decision.status);
    if (decision.ending == DecisionEnding::relayed_refusal)
        return fmt::format(
            "No account takes this request: the client got the vendor's own words, {}.",
            decision.status);
    if (decision.status == 101)
        return fmt::format(
            "{} took the WebSocket at {}; each turn on it has an id of its own.",
            last_account(context),
            tries_text(decision.attempts_total));
    return fmt::format(
        "{} answered {} at {}; first byte after {}, all of it after {}.",
        last_account(context),
        decision.status,
        tries_text(decision.attempts_total),
        milliseconds_text(decision.first_byte_ms),
        took);
}

std::string running_text(const ExplainContext& context)
{
    const shared::Decision& decision = context.decision;
    const auto age = static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, context.now.since(decision.started_at).count()));
    if (!context.worker_lives)
        return "Its worker process died in the middle; the client saw the connection break.";
    if (decision.attempts_total == 0)
        return "Waiting for an account; the request began " + milliseconds_text(age) + " ago.";
    const bool answers =
        decision.attempts[decision.attempts_noted() - 1].end == DecisionAttempt::End::answered;
    return fmt::format(
        "{} the answer of {}; the request began {} ago.",
        answers ? "Relaying" : "Waiting for",
        last_account(context),
        milliseconds_text(age));
}

} // namespace

std::string clock_text(UnixMillis at, UnixMillis now)
{
    const std::string iso = iso_time(at); // 2026-11-22T10:05:00Z
    if (iso.size() < 20) return "an unknown time";
    const bool same_day = iso.substr(0, 10) == iso_time(now).substr(0, 10);
    return same_day ? iso.substr(11, 8) : iso.substr(0, 10) + ' ' + iso.substr(11, 5);
}

std::string moment_text(UnixMillis at, UnixMillis now)
{
    return clock_text(at, now) + " (" + relative_time(at, now) + ')';
}

std::string milliseconds_text(std::uint64_t ms)
{
    if (ms < 1000) return std::to_string(ms) + " ms";
    if (ms < 60'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
    return duration_text(static_cast<std::int64_t>(ms / 1000));
}

std::string name_of(const ExplainContext& context, shared::AccountSlot account)
{
    std::string name = shared::printable(context.names.account(account));
    if (name.size() <= kNameBytesMax) return name;
    std::size_t end = kNameBytesMax;
    while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0U) == 0x80U)
        --end;
    return name.substr(0, end) + "…";
}

std::string room_text(const DecisionCandidate& candidate)
{
    const auto left = [](shared::UsedShare used) {
        return fmt::format("{:.0f} %", (1.0 - used.fraction()) * 100);
    };
    std::string text;
    if (candidate.long_used.is_known()) text = left(candidate.long_used) + " of the week";
    if (candidate.short_used.is_known()) {
        if (!text.empty()) text += " and ";
        text += left(candidate.short_used) + " of 5 h";
    }
    return text.empty() ? text : text + " left";
}

std::string reason_text(const ExplainContext& context, const DecisionCandidate& candidate)
{
    const std::string_view kind =
        candidate.is_api_key != 0 ? "an API key, which" : "a subscription, which";
    const std::string room = room_text(candidate);
    switch (candidate.reason) {
    case PassedOver::picked:
        return "the choice";
    case PassedOver::lower_score:
        return fmt::format("could serve; score {:.2f}", candidate.score) +
               (room.empty() ? "" : ", " + room);
    case PassedOver::lower_priority:
        return "could serve; others go first (priority " + std::to_string(candidate.priority) + ")";
    case PassedOver::pinned_elsewhere:
        return "could serve, but the conversation belongs to another account";
    case PassedOver::tried:
        return "tried before";
    case PassedOver::wrong_kind:
        return std::string(kind) + " does not serve this path";
    case PassedOver::other_kind:
        return std::string(kind) + " cannot go on with a conversation of the other kind";
    case PassedOver::no_websocket:
        return std::string(kind) + " serves this path over HTTP only";
    case PassedOver::model_denied:
        return "its owner does not allow " +
               (context.decision.model.empty() ? std::string("this model")
                                               : shared::printable(context.decision.model.view())) +
               " on it";
    case PassedOver::cooling:
        return "cooling down after a rate limit" + until_text(context, candidate.until, ", until ");
    case PassedOver::probing:
        return "its rest is over, and one other request is finding out whether it serves again";
    case PassedOver::exhausted:
        return "used up" + (room.empty() ? "" : " (" + room + ")") +
               until_text(context, candidate.until, ", until ");
    case PassedOver::reserved:
        return "what is left is kept for its owner" + (room.empty() ? "" : " (" + room + ")");
    case PassedOver::busy:
        return fmt::format("busy: {} in flight, as many as its owner allows", candidate.in_flight);
    case PassedOver::failing:
        return "the vendor refuses it" + until_text(context, candidate.until, "; tried again at ");
    case PassedOver::needs_login:
        return "needs a new login by its owner";
    case PassedOver::disabled:
        return "disabled by its owner";
    case PassedOver::removed:
        return "its credential file is gone";
    }
    return "passed over";
}

std::string_view group_text(PassedOver reason) noexcept
{
    switch (reason) {
    case PassedOver::picked:
        return "the choice";
    case PassedOver::lower_score:
        return "could serve, lower score";
    case PassedOver::lower_priority:
        return "could serve, others go first";
    case PassedOver::pinned_elsewhere:
        return "could serve, not theirs";
    case PassedOver::tried:
        return "tried before";
    case PassedOver::wrong_kind:
        return "do not serve this path";
    case PassedOver::other_kind:
        return "of another kind";
    case PassedOver::no_websocket:
        return "HTTP only";
    case PassedOver::model_denied:
        return "model not allowed";
    case PassedOver::cooling:
        return "cooling down";
    case PassedOver::probing:
        return "being probed";
    case PassedOver::exhausted:
        return "used up";
    case PassedOver::reserved:
        return "kept for their owners";
    case PassedOver::busy:
        return "busy";
    case PassedOver::failing:
        return "refused by the vendor";
    case PassedOver::needs_login:
        return "need a new login";
    case PassedOver::disabled:
        return "disabled";
    case PassedOver::removed:
        return "file gone";
    }
    return "passed over";
}

std::string attempt_text(const ExplainContext& context, const DecisionAttempt& attempt)
{
    const std::string took = milliseconds_text(attempt.ms);
    switch (attempt.end) {
    case DecisionAttempt::End::running:
        return context.worker_lives ? "no answer yet" : "no answer until its worker died";
    case DecisionAttempt::End::answered:
        return fmt::format("{} after {}", attempt.status, took) + why_text(attempt) +
               verdict_text(context, attempt);
    case DecisionAttempt::End::in_stream:
        return fmt::format("{}, then an error before any output", attempt.status) +
               why_text(attempt) + verdict_text(context, attempt);
    case DecisionAttempt::End::connect_failed:
        return "no connection after " + took + std::string(kTransient);
    case DecisionAttempt::End::broken_off:
        return "the connection broke after " + took + ", before an answer" +
               std::string(kTransient);
    case DecisionAttempt::End::deadline:
        return "no first byte within " + took + std::string(kTransient);
    case DecisionAttempt::End::client_gone:
        return "the client left after " + took + ", before an answer";
    }
    return "unknown";
}

std::string ending_text(const ExplainContext& context)
{
    const shared::Decision& decision = context.decision;
    const std::string took = milliseconds_text(decision.duration_ms);
    switch (decision.outcome) {
    case RequestOutcome::running:
        return running_text(context);
    case RequestOutcome::completed:
        return completed_text(context);
    case RequestOutcome::client_gone:
        if (decision.status == 0) return "The client left after " + took + ", before any answer.";
        return fmt::format(
            "The client left after {}, inside the answer ({}) of {}.",
            took,
            decision.status,
            last_account(context));
    case RequestOutcome::upstream_cut:
        return fmt::format(
            "{} broke off inside its answer ({}) after {}; the client was cut off too.",
            last_account(context),
            decision.status,
            took);
    case RequestOutcome::refused:
        return fmt::format("Refused with {}: {}.", decision.status, refused_text(context));
    case RequestOutcome::worker_killed:
        return "Its worker process died in the middle; the client saw the connection break.";
    }
    return "Its end is unknown.";
}

} // namespace admin_ui
