#include "refresher/refresh_schedule.hpp"

#include "shared/base/hash.hpp"

#include <algorithm>
#include <tuple>

namespace refresher {
namespace {

using shared::UnixMillis;
using std::chrono::milliseconds;

constexpr milliseconds kJitterMax{3 * 60'000};

/// The same for an account in every process and at every time.
milliseconds jitter(std::string_view id, milliseconds range)
{
    const shared::Sha256Digest digest = shared::sha256(id);
    const std::uint32_t spread = (std::uint32_t{digest[0]} << 8U) | digest[1];
    return milliseconds(range.count() * spread / 65536);
}

struct Candidate {
    std::size_t index = 0;
    bool asked = false;
    UnixMillis expires_at;
    std::string_view id;

    [[nodiscard]] auto order() const { return std::tuple(!asked, expires_at.value, id); }
};

} // namespace

UnixMillis due_at(const RefreshNeed& need, milliseconds lead, const RefreshTimings& timings)
{
    if (need.expires_at.is_set()) {
        const milliseconds range = std::min(lead / 3, kJitterMax);
        return need.expires_at.plus(jitter(need.id, range) - lead);
    }
    if (need.last_refresh.is_set()) return need.last_refresh.plus(timings.unknown_expiry_age);
    return {};
}

RefreshChoice choose_refreshes(
    std::span<const RefreshNeed> needs,
    const std::map<std::uint8_t, RefreshLane>& lanes,
    UnixMillis wall,
    MonotonicTime now,
    milliseconds lead,
    const RefreshTimings& timings)
{
    RefreshChoice choice;
    choice.look_again = timings.look_max;
    const auto look_in = [&choice](auto wait) {
        const auto rounded = std::chrono::ceil<milliseconds>(wait);
        choice.look_again = std::clamp(rounded, milliseconds(1), choice.look_again);
    };
    std::map<std::uint8_t, Candidate> best;
    for (std::size_t i = 0; i < needs.size(); ++i) {
        const RefreshNeed& need = needs[i];
        const UnixMillis due = due_at(need, lead, timings);
        const bool is_due = due.is_set() && due <= wall;
        if (!need.asked && !is_due) {
            if (due.is_set()) look_in(due.since(wall));
            continue;
        }
        if (need.not_before > now) {
            look_in(need.not_before - now);
            continue;
        }
        const auto lane = lanes.find(need.lane);
        if (lane != lanes.end() && lane->second.busy) continue; // looked at again when it ends
        if (lane != lanes.end() && lane->second.free_at > now) {
            look_in(lane->second.free_at - now);
            continue;
        }
        const Candidate candidate{i, need.asked, need.expires_at, need.id};
        const auto [at, is_first] = best.try_emplace(need.lane, candidate);
        if (!is_first && candidate.order() < at->second.order()) at->second = candidate;
    }
    for (const auto& [lane, candidate] : best)
        choice.start.push_back(candidate.index);
    return choice;
}

milliseconds back_off(unsigned failures, const RefreshTimings& timings) noexcept
{
    const unsigned doublings = std::min(failures > 0 ? failures - 1 : 0U, 20U);
    return std::min<milliseconds>(
        timings.first_back_off * (1LL << doublings), timings.back_off_max);
}

} // namespace refresher
