#include "shared/selection/score.hpp"

#include <algorithm>
#include <cmath>

namespace shared {
namespace {

/// Of CredentialKind: this folder knows no provider beyond its id.
constexpr std::uint8_t kApiKey = 2;

/// A subscription that nothing is known of comes before most that are known: using it tells, and starts its windows.
/// One request is enough for that: while it runs, the account counts as unused, or a burst would go to it whole.
constexpr double kUntouchedRoom = 6.0;
constexpr double kAskedRoom = 1.0;
/// An API key has no windows and costs by the token: used when the subscriptions have become scarce.
constexpr double kApiKeyRoom = 0.1;
/// What is left this short before a reset can hardly be used any more: nothing gets more urgent than this.
constexpr double kUrgentHours = 3.0;
constexpr double kHoursPerWeek = 168.0;
/// So many requests at a time halve the score of an account of the smallest plan.
constexpr double kLoadHalf = 4.0;
constexpr double kScoreMin = 0.001;

double hours_until(UnixMillis then, UnixMillis now)
{
    return static_cast<double>(then.since(now).count()) / 3'600'000.0;
}

bool is_known(const WindowRecord& window, UnixMillis now)
{
    return used_now(window, now).is_known();
}

/// Share of the window still to run, from `floor` to 1; 1 if its reset is not known.
double time_left(const WindowRecord& window, double floor, UnixMillis now)
{
    if (!is_known(window, now) || !window.resets_at.is_set()) return 1.0;
    const double share = hours_until(window.resets_at, now) * 3600.0 / window.seconds;
    return std::clamp(share, floor, 1.0);
}

double room_term(const Candidate& candidate, UnixMillis now)
{
    const AccountRouting& routing = candidate.routing;
    if (is_known(routing.long_window, now)) return room_left(candidate, routing.long_window, now);
    if (routing.kind == kApiKey) return kApiKeyRoom;
    if (is_known(routing.short_window, now)) return room_left(candidate, routing.short_window, now);
    return candidate.in_flight == 0 ? kUntouchedRoom : kAskedRoom;
}

/// Below 1 where the short window would run empty before it comes back at the pace so far.
double short_term(const Candidate& candidate, UnixMillis now)
{
    const WindowRecord& window = candidate.routing.short_window;
    if (!is_known(window, now)) return 1.0;
    constexpr double kTimeLeftMin = 0.05;
    return std::min(1.0, room_left(candidate, window, now) / time_left(window, kTimeLeftMin, now));
}

double urgency_term(const Candidate& candidate, UnixMillis now)
{
    const AccountRouting& routing = candidate.routing;
    const bool has_long = is_known(routing.long_window, now);
    const WindowRecord& window = has_long ? routing.long_window : routing.short_window;
    return 1.0 / time_left(window, kUrgentHours / kHoursPerWeek, now);
}

double least_used_term(const Candidate& candidate, UnixMillis now)
{
    const AccountRouting& routing = candidate.routing;
    if (routing.kind == kApiKey) return kApiKeyRoom;
    return std::min(
        room_left(candidate, routing.long_window, now),
        room_left(candidate, routing.short_window, now));
}

/// Room and pace are shares, so accounts of all plans run empty at the same time, as long as each conversation
/// changes little. One that could use up a small account belongs on a large one: hence this, and hence no more than
/// this. With the plain capacity the large accounts go first, and the five-hour windows of the small ones stay unused
/// (simulate: four times as many moves at 95 % load).
double capacity_term(const Candidate& candidate)
{
    return std::sqrt(std::sqrt(std::max(candidate.capacity, 0.01F)));
}

double load_term(const Candidate& candidate)
{
    return 1.0 / (1.0 + candidate.in_flight / (kLoadHalf * std::max(candidate.capacity, 0.1F)));
}

double expiry_term(UnixMillis expires_at, UnixMillis now)
{
    if (!expires_at.is_set()) return 1.0;
    const double hours = hours_until(expires_at, now);
    if (hours <= 0) return 0.7;
    if (hours < 0.5) return 0.8;
    return hours < 1.0 ? 0.9 : 1.0;
}

double health_term(const AccountRouting& routing, UnixMillis now)
{
    const double penalty = penalty_now(routing, now) / 1000.0;
    return expiry_term(routing.expires_at, now) / (1.0 + 3.0 * penalty);
}

double weight_term(const AccountRouting& routing)
{
    return routing.weight_percent / 100.0;
}

double balanced(const Candidate& candidate, UnixMillis now)
{
    const AccountRouting& routing = candidate.routing;
    const bool credits = routing.has_credits == 1 || routing.unlimited_credits == 1;
    return capacity_term(candidate) * room_term(candidate, now) * urgency_term(candidate, now) *
           short_term(candidate, now) * load_term(candidate) * weight_term(routing) *
           (credits ? 1.1 : 1.0);
}

} // namespace

double room_left(const Candidate& candidate, const WindowRecord& window, UnixMillis now)
{
    const double kept = candidate.is_owners ? 0.0 : candidate.routing.reserve_percent / 100.0;
    return std::max(0.0, 1.0 - used_now(window, now).fraction() - kept);
}

double score(Strategy strategy, const Candidate& candidate, UnixMillis now)
{
    const AccountRouting& routing = candidate.routing;
    double value = 1.0;
    switch (strategy) {
    case Strategy::balanced:
        value = balanced(candidate, now);
        break;
    case Strategy::reset_soonest:
        value = urgency_term(candidate, now) * weight_term(routing);
        break;
    case Strategy::fill_first:
        value = static_cast<double>(kMaxAccounts - candidate.slot.value);
        break;
    case Strategy::round_robin:
        value = 1.0 + candidate.turns_waited;
        break;
    case Strategy::least_used:
        value = least_used_term(candidate, now) * weight_term(routing);
        break;
    }
    return std::max(value * health_term(routing, now), kScoreMin);
}

} // namespace shared
