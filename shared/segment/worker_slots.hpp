/// A worker's own row of the segment: running requests, in-flight counts, usage ring.
#pragma once

#include "shared/segment/layout.hpp"

#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace shared {

/// Slots that are or may be taken, for whoever looks at all of them: those after them are free, and reading them would
/// cost memory.
[[nodiscard]] std::span<const WorkerSlot> used_slots(const Segment& segment) noexcept;

/// How many more workers could be started. Supervisor only.
[[nodiscard]] std::size_t free_slots(const Segment& segment) noexcept;

/// Claims a free slot for a child about to start; nothing if all are taken. Supervisor only.
[[nodiscard]] std::optional<std::uint16_t> claim_slot(Segment& segment, std::uint32_t generation);

/// Zeroes in-flight counts at once (a dead worker holds nothing). Supervisor only.
void clear_in_flight(Segment& segment, std::uint16_t slot) noexcept;

/// Takes everything a dead worker left: unread ring entries, then its running requests closed as worker_killed,
/// none twice, none lost. Then retires its counters and frees the slot. Supervisor only.
[[nodiscard]] std::vector<UsageEntry>
close_slot(Segment& segment, std::uint16_t slot, UnixMillis now);

/// Takes what a living worker has published. Supervisor only; at most `max` entries.
void drain_ring(
    UsageRing& ring, std::size_t max, const std::function<void(const UsageEntry&)>& take);

/// A running request's row in the worker's own slot. Worker only; one per request, freed by finish().
class RunningRequest {
public:
    /// nullopt if the worker already runs kRequestRows requests.
    [[nodiscard]] static std::optional<RunningRequest>
    begin(Segment& segment, std::uint16_t slot, const UsageEntry& first);

    RunningRequest(RunningRequest&& other) noexcept;
    RunningRequest& operator=(RunningRequest&&) = delete;
    RunningRequest(const RunningRequest&) = delete;
    RunningRequest& operator=(const RunningRequest&) = delete;
    /// Publishes with what is known if finish() was not called (outcome upstream_cut).
    ~RunningRequest();

    /// The row's entry; the owner may write any field, tokens as they are learned.
    [[nodiscard]] UsageEntry& entry() noexcept { return row_->entry; }

    /// Counts the request on `account` instead of the one before (kNone: on none).
    void assign(AccountSlot account) noexcept;

    /// Counts it for this user (see wait_queue.hpp): while an account runs it, and what it cost at its end. Before the
    /// first assign().
    void count_for(std::uint16_t user) noexcept;

    /// Counts it for this pool user, who admit_user() has let in: until finish(), which also counts its tokens.
    void belongs_to(UserSlot user) noexcept { row_->entry.pool_user = user; }

    /// Publishes the entry into the ring and frees the row. If the ring is full the row stays until
    /// publish_waiting() finds room; nothing is lost.
    void finish(RequestOutcome outcome, UnixMillis now) noexcept;

private:
    RunningRequest(Segment& segment, std::uint16_t slot, RequestRow& row) noexcept;

    void charge() noexcept;

    Segment* segment_;
    std::uint16_t slot_;
    std::optional<std::uint16_t> user_;
    RequestRow* row_;
};

/// Publishes rows that waited for room in the ring. Worker only, from its tick.
void publish_waiting(Segment& segment, std::uint16_t slot) noexcept;

} // namespace shared
