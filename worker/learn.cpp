#include "worker/learn.hpp"

#include <algorithm>
#include <chrono>

namespace worker {
namespace {

using shared::AccountRouting;
using shared::AccountState;
using shared::EvidenceSource;
using shared::Outcome;
using shared::UnixMillis;
using std::chrono::milliseconds;

constexpr milliseconds kBackOffMax = std::chrono::minutes(30);
constexpr milliseconds kHintMax = std::chrono::hours(8 * 24);
constexpr std::uint16_t kBackOffLevelMax = 16;
constexpr std::uint32_t kTransientPenaltyMilli = 300;
constexpr std::uint32_t kNetworkPenaltyMilli = 200;

/// first · 2^level, capped; raises the level.
milliseconds next_back_off(AccountRouting& routing, milliseconds first) noexcept
{
    const milliseconds wait =
        std::min<milliseconds>(first * (1LL << routing.cooling_level), kBackOffMax);
    if (routing.cooling_level < kBackOffLevelMax) ++routing.cooling_level;
    return wait;
}

/// `until` unset: the vendor named no end.
void cool(
    AccountRouting& routing, UnixMillis until, std::string_view reason, UnixMillis now) noexcept
{
    const bool known = until > now;
    const bool cools = routing.cooling_until > now;
    // Many requests on their way get the same answer: that is one rate limit, not so many doublings.
    if (cools && !known) return;
    if (known) until = std::min(until, now.plus(kHintMax));
    // Of two rate limits seen at once by two workers the later end holds.
    if (cools && routing.cooling_until >= until) return;
    routing.cooling_until =
        known ? until : now.plus(next_back_off(routing, std::chrono::seconds(1)));
    routing.cooling_end_known = known;
    routing.probing_until = {};
    routing.reason.assign(reason);
    routing.state_source = EvidenceSource::error_answer;
    routing.state_since = now;
}

void reject(AccountRouting& routing, const shared::Verdict& verdict, UnixMillis now) noexcept
{
    // Many requests on their way get the same answer; and what only a new login mends stays named so.
    if (routing.state == AccountState::failing && routing.cooling_until > now) return;
    if (routing.state == AccountState::needs_login) return;
    routing.state = AccountState::failing;
    routing.state_since = now;
    routing.state_source = EvidenceSource::error_answer;
    routing.cooling_end_known = false;
    routing.probing_until = {};
    routing.cooling_until = now.plus(next_back_off(routing, std::chrono::minutes(1)));
    routing.reason = verdict.reason;
}

void succeed(AccountRouting& routing, UnixMillis now) noexcept
{
    if (routing.state == AccountState::failing) {
        routing.state = AccountState::ready;
        routing.state_since = now;
    }
    routing.cooling_until = {};
    routing.cooling_end_known = false;
    routing.probing_until = {};
    routing.cooling_level = 0;
    routing.reason = {};
    routing.last_used = now;
    routing.penalty_milli = shared::penalty_now(routing, now) / 2;
    routing.penalty_at = now;
}

} // namespace

void learn_quota(
    AccountRouting& routing,
    const shared::QuotaUpdate& update,
    EvidenceSource source,
    UnixMillis now) noexcept
{
    for (std::uint8_t i = 0; i < update.count; ++i) {
        const shared::QuotaWindow& window = update.windows[i];
        shared::record_window(routing, window.seconds, window.used, window.resets_at, source, now);
    }
    if (update.has_credits) routing.has_credits = *update.has_credits ? 1 : 0;
    if (update.unlimited) routing.unlimited_credits = *update.unlimited ? 1 : 0;
    if (update.credits_balance) routing.credits_balance = *update.credits_balance;
}

void learn_verdict(AccountRouting& routing, const shared::Verdict& verdict, UnixMillis now) noexcept
{
    // What the owner decided is not undone by an answer to an older request.
    const bool owners =
        routing.state == AccountState::disabled || routing.state == AccountState::removed;
    switch (verdict.outcome) {
    case Outcome::served:
        if (!owners) succeed(routing, now);
        return;
    case Outcome::rate_limited:
        cool(routing, verdict.until, verdict.reason.view(), now);
        return;
    case Outcome::credential_rejected:
    case Outcome::account_refused:
        if (!owners) reject(routing, verdict, now);
        return;
    case Outcome::upstream_failed:
        shared::add_penalty(routing, kTransientPenaltyMilli, now);
        routing.probing_until = {}; // if this was the probe, it told nothing
        return;
    }
}

void learn_network_fault(AccountRouting& routing, UnixMillis now) noexcept
{
    shared::add_penalty(routing, kNetworkPenaltyMilli, now);
    routing.probing_until = {};
}

} // namespace worker
