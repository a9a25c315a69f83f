/// Which account's token is renewed next. Pure: what is known and both clocks come in.
///
/// The wall clock says when a token ends, because the vendor says it in that clock; everything the refresher waits for
/// by itself (spacing, back-off) is in monotonic time, so that a clock that jumps makes it neither hurry nor wait.
#pragma once

#include "shared/base/units.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace refresher {

using MonotonicTime = std::chrono::steady_clock::time_point;

/// The pauses of refreshing; tests shorten them.
struct RefreshTimings {
    std::chrono::milliseconds spacing{2'000};         ///< between two refreshes of one provider
    std::chrono::milliseconds first_back_off{60'000}; ///< doubles with each failure of an account
    std::chrono::milliseconds back_off_max{30 * 60'000};
    std::chrono::milliseconds retry_after_max{
        60 * 60'000};                            ///< an endpoint may not stop a lane for longer
    std::chrono::milliseconds deadline{120'000}; ///< for a whole answer; endpoints have taken 60 s
    std::chrono::milliseconds success_pause{60'000}; ///< not twice for one account within this
    std::chrono::milliseconds unknown_expiry_age{
        12 * 3'600'000};                        ///< a token without an end is renewed after
    std::chrono::milliseconds look_max{30'000}; ///< the wall clock is looked at this often
};

/// An account as the schedule sees it.
struct RefreshNeed {
    std::string_view id;
    std::uint8_t lane = 0;           ///< its provider
    shared::UnixMillis expires_at;   ///< of the access token; unset = unknown
    shared::UnixMillis last_refresh; ///< unset = unknown
    bool asked = false;              ///< by a worker's 401, an owner, or a death
    MonotonicTime not_before{};      ///< back-off, or the pause after a success
};

/// One provider's lane.
struct RefreshLane {
    bool busy = false;
    MonotonicTime free_at{}; ///< spacing, Retry-After
};

/// When a token is to be renewed without anybody asking; unset = then only. Up to a third of the lead (3 minutes at
/// most) later than the lead says, by the account's name, so that a pool does not ask for everything at once.
[[nodiscard]] shared::UnixMillis
due_at(const RefreshNeed& need, std::chrono::milliseconds lead, const RefreshTimings& timings);

struct RefreshChoice {
    std::vector<std::size_t> start;         ///< indices of needs: at most one per free lane
    std::chrono::milliseconds look_again{}; ///< at least 1, at most look_max
};

/// Asked ones first, then whose token ends first.
[[nodiscard]] RefreshChoice choose_refreshes(
    std::span<const RefreshNeed> needs,
    const std::map<std::uint8_t, RefreshLane>& lanes,
    shared::UnixMillis wall,
    MonotonicTime now,
    std::chrono::milliseconds lead,
    const RefreshTimings& timings);

/// The pause after the `failures`th failure in a row (from 1).
[[nodiscard]] std::chrono::milliseconds
back_off(unsigned failures, const RefreshTimings& timings) noexcept;

} // namespace refresher
