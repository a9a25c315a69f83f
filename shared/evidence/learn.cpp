#include "shared/evidence/learn.hpp"

#include "shared/segment/forecast.hpp"

#include <algorithm>
#include <chrono>

namespace shared {
namespace {

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

void cool(AccountRouting& routing, const Verdict& verdict, UnixMillis now) noexcept
{
    const bool known = verdict.until > now; // else the vendor named no end
    const bool cools = routing.cooling_until > now;
    // Many requests on their way get the same answer: that is one rate limit, not so many doublings.
    if (cools && !known) return;
    const UnixMillis until = std::min(verdict.until, now.plus(kHintMax));
    // Of two rate limits seen at once by two workers the later end holds.
    if (cools && routing.cooling_until >= until) return;
    routing.cooling_until =
        known ? until : now.plus(next_back_off(routing, std::chrono::seconds(1)));
    routing.cooling_end_known = known;
    // Without an end it is as any other limit: tried again soon, by one request.
    routing.cooling_used_up = verdict.used_up && known;
    routing.probing_until = {};
    routing.reason = verdict.reason;
    routing.state_source = EvidenceSource::error_answer;
    routing.state_since = now;
}

void reject(AccountRouting& routing, const Verdict& verdict, UnixMillis now) noexcept
{
    // Many requests on their way get the same answer; and what only a new login mends stays named so.
    if (routing.state == AccountState::failing && routing.cooling_until > now) return;
    if (routing.state == AccountState::needs_login) return;
    routing.state = AccountState::failing;
    routing.state_since = now;
    routing.state_source = EvidenceSource::error_answer;
    routing.cooling_end_known = false;
    routing.cooling_used_up = false;
    routing.probing_until = {};
    routing.cooling_until = now.plus(next_back_off(routing, std::chrono::minutes(1)));
    routing.reason = verdict.reason;
}

void succeed(AccountRouting& routing, UnixMillis now) noexcept
{
    const bool cooled = routing.state == AccountState::ready && routing.cooling_until.is_set();
    if (routing.state == AccountState::failing || cooled) {
        routing.state = AccountState::ready;
        routing.state_since = std::min(routing.cooling_until, now);
        if (!routing.state_since.is_set()) routing.state_since = now;
        routing.state_source = EvidenceSource::header;
    }
    routing.cooling_until = {};
    routing.cooling_end_known = false;
    routing.cooling_used_up = false;
    routing.probing_until = {};
    routing.cooling_level = 0;
    routing.reason = {};
    routing.last_used = now;
    routing.penalty_milli = penalty_now(routing, now) / 2;
    routing.penalty_at = now;
}

/// Whether an update names windows and none that is known now is used up.
bool has_room(const AccountRouting& routing, const QuotaUpdate& update, UnixMillis now) noexcept
{
    const bool full = used_now(routing.short_window, now).is_full() ||
                      used_now(routing.long_window, now).is_full();
    return update.count > 0 && !full;
}

} // namespace

void learn_quota(
    AccountRecord& record,
    const QuotaUpdate& update,
    EvidenceSource source,
    std::uint64_t tokens_spent,
    UnixMillis now) noexcept
{
    AccountRouting& routing = record.routing;
    const WindowRecord short_before = routing.short_window;
    const WindowRecord long_before = routing.long_window;
    for (std::uint8_t i = 0; i < update.count; ++i) {
        const QuotaWindow& window = update.windows[i];
        record_window(routing, window.seconds, window.used, window.resets_at, source, now);
    }
    learn_window(record.short_learning, short_before, routing.short_window, tokens_spent);
    learn_window(record.long_learning, long_before, routing.long_window, tokens_spent);
    if (update.has_credits) routing.has_credits = *update.has_credits ? 1 : 0;
    if (update.unlimited) routing.unlimited_credits = *update.unlimited ? 1 : 0;
    if (update.credits_balance) routing.credits_balance = *update.credits_balance;
}

void learn_quota(
    Segment& segment,
    AccountSlot account,
    const QuotaUpdate& update,
    EvidenceSource source,
    UnixMillis now)
{
    if (update.empty()) return;
    const std::uint64_t spent = segment.tokens_spent[account.value].load(std::memory_order_relaxed);
    segment.accounts[account.value].with_lock(
        [&](AccountRecord& record) { learn_quota(record, update, source, spent, now); });
}

void learn_poll(Segment& segment, AccountSlot account, const QuotaUpdate& update, UnixMillis now)
{
    if (update.empty()) return;
    const std::uint64_t spent = segment.tokens_spent[account.value].load(std::memory_order_relaxed);
    segment.accounts[account.value].with_lock([&](AccountRecord& record) {
        learn_quota(record, update, EvidenceSource::poll, spent, now);
        AccountRouting& routing = record.routing;
        const bool used_up = routing.cooling_used_up && routing.cooling_until > now;
        if (!used_up || !has_room(routing, update, now)) return;
        routing.cooling_until = {};
        routing.cooling_used_up = false;
        routing.cooling_level = 0;
        if (routing.state != AccountState::ready) return;
        routing.reason = {};
        routing.state_since = now;
        routing.state_source = EvidenceSource::poll;
    });
}

void forget_evidence(AccountRecord& record, UnixMillis now) noexcept
{
    AccountRouting& routing = record.routing;
    routing.short_window = {};
    routing.long_window = {};
    routing.cooling_until = {};
    routing.cooling_used_up = false;
    routing.cooling_end_known = false;
    routing.cooling_level = 0;
    routing.probing_until = {};
    routing.penalty_milli = 0;
    if (routing.state != AccountState::ready && routing.state != AccountState::failing) return;
    routing.state = AccountState::ready;
    routing.reason = {};
    routing.state_since = now;
    routing.state_source = EvidenceSource::owner;
}

void learn_verdict(AccountRouting& routing, const Verdict& verdict, UnixMillis now) noexcept
{
    // What the owner decided is not undone by an answer to an older request.
    const bool owners =
        routing.state == AccountState::disabled || routing.state == AccountState::removed;
    switch (verdict.outcome) {
    case Outcome::served:
        if (!owners) succeed(routing, now);
        return;
    case Outcome::rate_limited:
        cool(routing, verdict, now);
        return;
    case Outcome::credential_rejected:
    case Outcome::account_refused:
        if (!owners) reject(routing, verdict, now);
        return;
    case Outcome::upstream_failed:
        add_penalty(routing, kTransientPenaltyMilli, now);
        routing.probing_until = {}; // if this was the probe, it told nothing
        return;
    }
}

void learn_network_fault(AccountRouting& routing, UnixMillis now) noexcept
{
    add_penalty(routing, kNetworkPenaltyMilli, now);
    routing.probing_until = {};
}

} // namespace shared
