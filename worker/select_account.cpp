#include "worker/select_account.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace worker {
namespace {

using shared::AccountCondition;
using shared::AccountRouting;
using shared::AccountSlot;
using shared::CredentialKind;
using shared::Leg;
using shared::UnixMillis;
using shared::UsedShare;

constexpr double kHoursPerWeek = 168.0;
/// A subscription that nothing is known of counts as unused: as much as an unused one that is known.
constexpr double kUntouchedScore = 1.5;
/// An API key has no windows and costs by the token: used when the subscriptions have become scarce.
constexpr double kApiKeyScore = 1.0;

double hours_until(UnixMillis then, UnixMillis now)
{
    return static_cast<double>(then.since(now).count()) / 3'600'000.0;
}

/// Room in the long window, worth more the sooner it would be lost at the reset.
double long_window_room(
    const AccountRouting& routing, UsedShare used_long, UsedShare used_short, UnixMillis now)
{
    const double room = 1.0 - used_long.fraction();
    if (!routing.long_window.resets_at.is_set()) return room;
    const double hours = hours_until(routing.long_window.resets_at, now);
    if (hours <= 1.0 || hours >= kHoursPerWeek) return room;
    const bool nearly_lost = hours < 6.0 && room > 0.1;
    double most = nearly_lost ? 8.0 : 3.0;
    // Without a short window nothing stops a burst from draining the account: no bonus then.
    if (!used_short.is_known()) most = 1.0;
    return room * std::clamp(room / hours * kHoursPerWeek, 0.3, most);
}

/// Room in the short window: a little more where it would be lost soon, much less where it is nearly used.
double short_window_term(const AccountRouting& routing, UsedShare used, UnixMillis now)
{
    if (!used.is_known()) return 0;
    double term = 0;
    const double room = 1.0 - used.fraction();
    if (routing.short_window.resets_at.is_set()) {
        const double hours = hours_until(routing.short_window.resets_at, now);
        if (hours > 0.1 && hours <= 5.0 && room > 0.05)
            term += room * 0.5 * std::min(1.0, hours / 3.0);
    } else if (used.fraction() < 0.5) {
        term += room * 0.15;
    }
    if (used.fraction() > 0.8) term -= 2.0 * (used.fraction() - 0.8);
    return term;
}

double expiry_risk(UnixMillis expires_at, UnixMillis now)
{
    if (!expires_at.is_set()) return 0;
    const double hours = hours_until(expires_at, now);
    if (hours <= 0) return 0.3;
    if (hours < 0.5) return 0.2;
    return hours < 1.0 ? 0.1 : 0.0;
}

bool contains(std::span<const AccountSlot> slots, AccountSlot slot)
{
    return std::find(slots.begin(), slots.end(), slot) != slots.end();
}

/// The leg an account of this kind would serve; legs.size() if none.
std::size_t leg_of(const SelectionQuery& query, CredentialKind kind)
{
    std::size_t i = 0;
    while (i < query.legs.size()) {
        const Leg& leg = query.legs[i];
        if (leg.kind == kind && (leg.websocket || !query.websocket)) break;
        ++i;
    }
    return i;
}

/// Whether accounts of this kind serve the route at all, upgraded or not.
bool serves_kind(const SelectionQuery& query, std::uint8_t kind)
{
    return std::any_of(query.legs.begin(), query.legs.end(), [kind](const Leg& leg) {
        return static_cast<std::uint8_t>(leg.kind) == kind;
    });
}

/// Collects when somebody could serve again.
void note_unavailable(Selection& selection, const AccountRouting& routing, UnixMillis now)
{
    const AccountCondition condition = shared::condition(routing, now);
    if (condition != AccountCondition::cooling && condition != AccountCondition::exhausted) return;
    selection.limited = true;
    const UnixMillis at = shared::available_at(routing, now);
    if (at.is_set() && (!selection.retry_at.is_set() || at < selection.retry_at))
        selection.retry_at = at;
}

/// Spreads consecutive numbers evenly (SplitMix64), so that equal accounts take turns.
std::uint64_t scrambled(std::uint64_t number)
{
    number = (number ^ (number >> 30U)) * 0xBF58476D1CE4E5B9U;
    number = (number ^ (number >> 27U)) * 0x94D049BB133111EBU;
    return number ^ (number >> 31U);
}

/// Greater is better.
using Rank = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::uint64_t>;

Rank rank(const SelectionQuery& query, const Candidate& candidate, std::size_t leg, double score)
{
    const std::int64_t leg_order = query.ordered_legs ? -static_cast<std::int64_t>(leg) : 0;
    const auto hundredths = static_cast<std::int64_t>(std::llround(score * 100.0));
    return {
        leg_order,
        hundredths,
        -static_cast<std::int64_t>(candidate.in_flight),
        scrambled(candidate.slot.value + query.rotation * shared::kMaxAccounts)};
}

} // namespace

double score(const AccountRouting& routing, std::uint32_t in_flight, UnixMillis now)
{
    const UsedShare used_long = shared::used_now(routing.long_window, now);
    const UsedShare used_short = shared::used_now(routing.short_window, now);
    double value = 0;
    if (used_long.is_known()) {
        value = long_window_room(routing, used_long, used_short, now) +
                short_window_term(routing, used_short, now);
    } else if (used_short.is_known()) {
        value = kUntouchedScore * (1.0 - used_short.fraction());
    } else {
        value = routing.kind == static_cast<std::uint8_t>(CredentialKind::api_key)
                    ? kApiKeyScore
                    : kUntouchedScore;
    }
    value -= expiry_risk(routing.expires_at, now);

    double penalty = shared::penalty_now(routing, now) / 1000.0;
    const bool room_soon_lost = used_long.is_known() && used_long.fraction() < 0.9 &&
                                routing.long_window.resets_at.is_set() &&
                                hours_until(routing.long_window.resets_at, now) < 6.0;
    if (room_soon_lost) penalty *= 0.3;
    value = std::max(value - penalty, 0.01);
    if (routing.has_credits == 1 || routing.unlimited_credits == 1) value *= 1.1;
    return value - 0.02 * in_flight;
}

Selection select_account(const SelectionQuery& query, std::span<const Candidate> candidates)
{
    Selection best;
    const Candidate* pinned = nullptr;
    for (const Candidate& candidate : candidates) {
        if (query.pinned && candidate.slot == *query.pinned) pinned = &candidate;
    }
    // On a route that its kind of account never serves, a pin has nothing to say.
    if (pinned != nullptr && !serves_kind(query, pinned->routing.kind)) pinned = nullptr;
    Rank best_rank{};
    for (const Candidate& candidate : candidates) {
        const AccountRouting& routing = candidate.routing;
        if (routing.provider != static_cast<std::uint8_t>(query.provider)) continue;
        const auto kind = static_cast<CredentialKind>(routing.kind);
        const std::size_t leg = leg_of(query, kind);
        if (leg == query.legs.size()) continue;
        if (pinned != nullptr && routing.kind != pinned->routing.kind) continue;
        if (shared::condition(routing, query.now) != AccountCondition::ready) {
            note_unavailable(best, routing, query.now);
            continue;
        }
        if (contains(query.tried, candidate.slot)) continue;
        const double value = score(routing, candidate.in_flight, query.now);
        const bool is_pinned = &candidate == pinned;
        const Rank its_rank = rank(query, candidate, leg, value);
        if (best.account.is_set() && !is_pinned && its_rank <= best_rank) continue;
        best.account = candidate.slot;
        best.leg = static_cast<std::uint8_t>(leg);
        best.score = value;
        best_rank = its_rank;
        if (is_pinned) break;
    }
    best.pin_moved = pinned != nullptr && best.account.is_set() && best.account != pinned->slot;
    return best;
}

} // namespace worker
