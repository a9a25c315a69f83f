#include "worker/decision_log.hpp"

#include "shared/base/clock.hpp"

#include <algorithm>

namespace worker {
namespace {

using shared::AccountSlot;
using shared::Decision;
using shared::DecisionAttempt;
using shared::DecisionCandidate;
using shared::DecisionEnding;
using shared::PassedOver;
using shared::PinFate;
using shared::UnixMillis;

/// When what keeps an account from serving ends, as far as it says.
UnixMillis until_of(PassedOver reason, const shared::AccountRouting& routing, UnixMillis now)
{
    switch (reason) {
    case PassedOver::cooling:
    case PassedOver::failing:
        return routing.cooling_until;
    case PassedOver::exhausted:
        return shared::available_at(routing, now);
    default:
        return {};
    }
}

DecisionCandidate
candidate_of(const shared::CandidateNote& note, const shared::Candidate& candidate, UnixMillis now)
{
    const shared::AccountRouting& routing = candidate.routing;
    DecisionCandidate made;
    made.account = note.account;
    made.reason = note.reason;
    made.score = note.score;
    made.is_api_key = routing.kind == static_cast<std::uint8_t>(shared::CredentialKind::api_key);
    made.in_flight =
        static_cast<std::uint16_t>(std::min<std::uint32_t>(candidate.in_flight, 0xFFFF));
    made.short_used = shared::used_now(routing.short_window, now);
    made.long_used = shared::used_now(routing.long_window, now);
    made.priority = routing.priority;
    made.until = until_of(note.reason, routing, now);
    return made;
}

PinFate pin_fate(
    const shared::SelectionQuery& query, const shared::Selection& selection, bool in_conversation)
{
    if (!in_conversation) return PinFate::no_conversation;
    if (!query.pinned) return PinFate::unpinned;
    if (!selection.account.is_set() || selection.account == *query.pinned) return PinFate::kept;
    return selection.pin_moved ? PinFate::moved : PinFate::unusable;
}

/// The candidates as the choice saw them, beside its notes (which are in the same order, some left out).
void note_candidates(
    Decision& decision,
    std::span<const shared::CandidateNote> notes,
    std::span<const shared::Candidate> candidates,
    UnixMillis now)
{
    decision.candidates_noted = 0;
    for (const shared::CandidateNote& note : notes) {
        const auto candidate =
            std::find_if(candidates.begin(), candidates.end(), [&note](const auto& each) {
                return each.slot == note.account;
            });
        if (candidate == candidates.end()) continue;
        decision.candidates[decision.candidates_noted++] = candidate_of(note, *candidate, now);
    }
}

/// After a try: whoever could have served at first and cannot any more.
void note_changes(
    Decision& decision,
    std::span<const shared::CandidateNote> notes,
    std::span<const shared::Candidate> candidates,
    UnixMillis now)
{
    for (const shared::CandidateNote& note : notes) {
        const bool is_news =
            note.reason != PassedOver::tried && note.reason != PassedOver::picked &&
            note.reason != PassedOver::lower_score && note.reason != PassedOver::lower_priority;
        if (!is_news) continue;
        for (std::size_t i = 0; i < decision.candidates_noted; ++i) {
            DecisionCandidate& known = decision.candidates[i];
            if (known.account != note.account || known.reason == PassedOver::picked) continue;
            for (const shared::Candidate& candidate : candidates) {
                if (candidate.slot == note.account) known = candidate_of(note, candidate, now);
            }
        }
    }
}

DecisionAttempt::End end_of(AttemptEnd end) noexcept
{
    switch (end) {
    case AttemptEnd::answered:
        return DecisionAttempt::End::answered;
    case AttemptEnd::connect_failed:
        return DecisionAttempt::End::connect_failed;
    case AttemptEnd::broken_off:
        return DecisionAttempt::End::broken_off;
    case AttemptEnd::deadline:
        return DecisionAttempt::End::deadline;
    case AttemptEnd::client_gone:
        break;
    }
    return DecisionAttempt::End::client_gone;
}

DecisionEnding ending_of(shared::PoolError::Kind kind) noexcept
{
    using Kind = shared::PoolError::Kind;
    switch (kind) {
    case Kind::exhausted:
        return DecisionEnding::exhausted;
    case Kind::no_account:
        return DecisionEnding::no_account;
    case Kind::upstream_failed:
        return DecisionEnding::upstream_failed;
    case Kind::deadline:
        return DecisionEnding::deadline;
    case Kind::overloaded:
        return DecisionEnding::overloaded;
    case Kind::body_too_large:
        return DecisionEnding::body_too_large;
    case Kind::user_limit:
        return DecisionEnding::user_limit;
    case Kind::user_disabled:
        return DecisionEnding::user_disabled;
    default:
        return DecisionEnding::bad_request;
    }
}

/// How long an account rests, and whether the vendor named that.
struct Rest {
    UnixMillis until;
    bool end_known = false;
};

Rest rest_of(shared::Segment& segment, AccountSlot account)
{
    return segment.accounts[account.value].with_lock([](const shared::AccountRecord& record) {
        return Rest{record.routing.cooling_until, record.routing.cooling_end_known};
    });
}

} // namespace

void DecisionLog::selected(
    const shared::SelectionQuery& query,
    const shared::Selection& selection,
    std::span<const shared::Candidate> candidates,
    const NoteRoom& notes,
    bool in_conversation)
{
    const auto left = std::span(notes).first(std::min<std::size_t>(selection.notes, notes.size()));
    writer_.edit([&](Decision& decision) {
        const PinFate fate = pin_fate(query, selection, in_conversation);
        if (decision.attempts_total > 0) {
            note_changes(decision, left, candidates, query.now);
            if (fate == PinFate::moved) decision.pin = fate;
            return;
        }
        decision.strategy = static_cast<std::uint8_t>(query.strategy);
        decision.pin = fate;
        decision.pinned = query.pinned.value_or(AccountSlot{});
        decision.probe = selection.probe ? 1 : 0;
        decision.candidates_total = static_cast<std::uint16_t>(candidates.size());
        note_candidates(decision, left, candidates, query.now);
    });
}

void DecisionLog::waited_in_queue(std::uint32_t ms) noexcept
{
    writer_.edit([ms](Decision& decision) { decision.queue_ms += ms; });
}

void DecisionLog::waited_for_pinned(std::uint32_t ms) noexcept
{
    writer_.edit([ms](Decision& decision) { decision.pin_wait_ms += ms; });
}

void DecisionLog::waited_for_token(std::uint32_t ms) noexcept
{
    writer_.edit([ms](Decision& decision) { decision.refresh_wait_ms += ms; });
}

void DecisionLog::try_begins(AccountSlot account)
{
    try_begun_us_ = shared::now_monotonic_us();
    writer_.edit([account](Decision& decision) {
        if (decision.attempts_total < shared::kDecisionAttemptsMax) {
            DecisionAttempt& attempt = decision.attempts[decision.attempts_total];
            attempt = {};
            attempt.account = account;
        }
        if (decision.attempts_total < 0xFF) ++decision.attempts_total;
    });
}

template <class Change>
void DecisionLog::change_try(Change&& change)
{
    writer_.edit([&](Decision& decision) {
        const std::size_t number = decision.attempts_total;
        if (number >= 1 && number <= shared::kDecisionAttemptsMax)
            change(decision.attempts[number - 1]);
    });
}

void DecisionLog::try_ended(
    shared::Segment& segment, AttemptEnd end, unsigned status, const shared::Verdict& verdict)
{
    const auto ms = static_cast<std::uint32_t>((shared::now_monotonic_us() - try_begun_us_) / 1000);
    const bool rests = end == AttemptEnd::answered && !verdict.about_request &&
                       verdict.outcome != shared::Outcome::served &&
                       verdict.outcome != shared::Outcome::upstream_failed;
    change_try([&](DecisionAttempt& attempt) {
        attempt.end = end_of(end);
        attempt.ms = ms;
        attempt.status = static_cast<std::uint16_t>(status);
        attempt.outcome = static_cast<std::uint8_t>(verdict.outcome);
        attempt.about_request = verdict.about_request ? 1 : 0;
        attempt.reason.assign(verdict.reason.view());
    });
    if (!rests || !writer_.is_set()) return;
    AccountSlot account;
    change_try([&account](const DecisionAttempt& attempt) { account = attempt.account; });
    if (!account.is_set()) return;
    const Rest rest = rest_of(segment, account);
    change_try([&rest](DecisionAttempt& attempt) {
        attempt.until = rest.until;
        attempt.end_known = rest.end_known ? 1 : 0;
    });
}

void DecisionLog::stream_failed(
    shared::Segment& segment, AttemptEnd end, const shared::Verdict& verdict)
{
    const bool answered = end == AttemptEnd::answered;
    try_ended(segment, end, 200, verdict);
    if (answered)
        change_try([](DecisionAttempt& attempt) { attempt.end = DecisionAttempt::End::in_stream; });
}

void DecisionLog::turn_failed(
    shared::Segment& segment, const shared::Verdict& verdict, bool generated)
{
    if (generated)
        try_ended(segment, AttemptEnd::answered, 200, verdict);
    else
        stream_failed(segment, AttemptEnd::answered, verdict);
}

void DecisionLog::refused(shared::PoolError::Kind kind, UnixMillis retry_at)
{
    writer_.edit([&](Decision& decision) {
        decision.ending = ending_of(kind);
        decision.retry_at = retry_at;
    });
}

void DecisionLog::answered(DecisionEnding ending)
{
    writer_.edit([ending](Decision& decision) { decision.ending = ending; });
}

void DecisionLog::ended(
    shared::RequestOutcome outcome,
    std::uint16_t status,
    std::uint32_t duration_ms,
    std::uint32_t first_byte_ms,
    UnixMillis now)
{
    change_try([&](DecisionAttempt& attempt) {
        if (attempt.end != DecisionAttempt::End::running) return;
        const bool left = outcome == shared::RequestOutcome::client_gone;
        attempt.end = left ? DecisionAttempt::End::client_gone : DecisionAttempt::End::broken_off;
        attempt.ms = duration_ms;
    });
    writer_.edit([&](Decision& decision) {
        decision.outcome = outcome;
        decision.status = status;
        decision.duration_ms = duration_ms;
        decision.first_byte_ms = first_byte_ms;
        decision.finished_at = now;
    });
}

} // namespace worker
