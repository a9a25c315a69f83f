#include "worker/pool_summary.hpp"

#include <algorithm>

namespace worker {
namespace {

using shared::AccountCondition;
using shared::UnixMillis;
using shared::WindowRecord;

/// Adds one account's window to the weighted mean.
struct WindowMean {
    double weighted_used = 0;
    double weight = 0;
    UnixMillis earliest_reset;

    void add(const WindowRecord& window, UnixMillis now)
    {
        const shared::UsedShare used = shared::used_now(window, now);
        if (!used.is_known()) return;
        double share_left = 1.0;
        if (window.resets_at.is_set()) {
            const auto left = static_cast<double>(window.resets_at.since(now).count());
            share_left = std::clamp(left / (window.seconds * 1000.0), 0.01, 1.0);
            if (!earliest_reset.is_set() || window.resets_at < earliest_reset) {
                earliest_reset = window.resets_at;
            }
        }
        weighted_used += used.fraction() * share_left;
        weight += share_left;
    }

    void write(shared::PoolSummary::Window& to) const
    {
        if (weight > 0) to.used = shared::UsedShare::from_fraction(weighted_used / weight);
        to.resets_at = earliest_reset;
    }
};

} // namespace

shared::PoolSummary
summarize_pool(std::span<const shared::Candidate> all, shared::ProviderId provider, UnixMillis now)
{
    shared::PoolSummary summary;
    WindowMean short_mean;
    WindowMean long_mean;
    for (const shared::Candidate& candidate : all) {
        const AccountCondition condition = shared::condition(candidate.routing, now);
        if (condition == AccountCondition::removed || condition == AccountCondition::disabled)
            continue;
        const bool healthy = condition == AccountCondition::ready;
        ++summary.all_accounts;
        summary.all_healthy += healthy ? 1 : 0;
        if (candidate.routing.provider != static_cast<std::uint8_t>(provider)) continue;
        ++summary.accounts;
        summary.healthy += healthy ? 1 : 0;
        short_mean.add(candidate.routing.short_window, now);
        long_mean.add(candidate.routing.long_window, now);
    }
    short_mean.write(summary.short_window);
    long_mean.write(summary.long_window);
    return summary;
}

} // namespace worker
