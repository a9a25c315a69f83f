/// A week made up, to compare strategies without a recording: 8 accounts of three plans, 6 users with different habits.
#pragma once

#include "shared/simulation/quota_model.hpp"
#include "shared/simulation/trace.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace shared::simulation {

struct Scenario {
    Trace trace;
    std::vector<AccountModel> accounts;
};

/// Monday to Sunday, UTC. The same seed always gives the same week. `load_percent`: how much of all weekly quotas the
/// users would need.
[[nodiscard]] Scenario make_week(ProviderId provider, std::uint64_t seed, double load_percent);

/// Gives accounts, grouped by provider, the quotas with which the trace's requests need `load_percent` of them: weekly
/// windows in proportion to `capacity` and to the trace's length; the rest as set_quotas().
void size_quotas(const Trace& trace, std::span<AccountModel> accounts, double load_percent);

/// Weekly windows of `tokens_per_week` for a capacity of 1, five-hour windows an eighth of that; weekly resets evenly
/// spread; used up, when the trace begins, to `used_share` of the time that has passed in them. API keys have none.
void set_quotas(
    const Trace& trace,
    std::span<AccountModel> accounts,
    double tokens_per_week,
    double used_share);

} // namespace shared::simulation
