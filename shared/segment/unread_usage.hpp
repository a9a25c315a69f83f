/// Reading usage in two steps, so that nothing is lost with the supervisor: first the entries are read, and only when
/// they are in the database their places are given back. Whoever comes after a supervisor that was killed in between
/// finds them again. Supervisor only.
#pragma once

#include "shared/segment/layout.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace shared {

/// Takes at most `max` published entries from position `from` on; returns the position after them. Their places stay
/// taken.
[[nodiscard]] std::uint64_t read_ring(
    const UsageRing& ring,
    std::uint64_t from,
    std::size_t max,
    const std::function<void(const UsageEntry&)>& take);

/// Gives the places before `position` back to the worker.
void release_ring(UsageRing& ring, std::uint64_t position) noexcept;

/// What a dead worker left: ring entries from position `from` on, then its running requests closed as worker_killed.
/// The slot stays as it is, but for its in-flight counts.
[[nodiscard]] std::vector<UsageEntry>
read_slot(Segment& segment, std::uint16_t slot, std::uint64_t from, UnixMillis now);

/// Retires a dead worker's counters and frees its slot.
void free_slot(Segment& segment, std::uint16_t slot) noexcept;

} // namespace shared
