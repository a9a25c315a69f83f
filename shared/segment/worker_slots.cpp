#include "shared/segment/worker_slots.hpp"

#include "shared/segment/unread_usage.hpp"

#include <algorithm>
#include <cstring>

namespace shared {
namespace {

using State = RequestRow::State;

/// Room for one more entry?
bool has_room(const UsageRing& ring) noexcept
{
    return ring.head.load(std::memory_order_relaxed) - ring.tail.load(std::memory_order_acquire) <
           kUsageRingEntries;
}

/// Moves a finished row into the ring. A kill between any two lines is told apart by close_slot():
/// before the head moves the row still holds the entry, after it the ring does.
void publish(UsageRing& ring, RequestRow& row) noexcept
{
    const std::uint64_t head = ring.head.load(std::memory_order_relaxed);
    row.ring_position.store(head, std::memory_order_relaxed);
    row.state.store(State::publishing, std::memory_order_release);
    ring.entries[head % kUsageRingEntries] = row.entry;
    ring.head.store(head + 1, std::memory_order_release);
    row.state.store(State::free, std::memory_order_release);
}

void move(std::atomic<std::uint64_t>& from, std::atomic<std::uint64_t>& to) noexcept
{
    to.fetch_add(from.exchange(0, std::memory_order_relaxed), std::memory_order_relaxed);
}

void move(Histogram& from, Histogram& to) noexcept
{
    for (std::size_t i = 0; i < from.counts.size(); ++i)
        move(from.counts[i], to.counts[i]);
    move(from.sum_us, to.sum_us);
}

void retire(WorkerSlot::Counters& from, WorkerSlot::Counters& to) noexcept
{
    move(from.requests, to.requests);
    for (std::size_t i = 0; i < from.by_status_class.size(); ++i) {
        move(from.by_status_class[i], to.by_status_class[i]);
    }
    move(from.retries, to.retries);
    move(from.websockets, to.websockets);
    move(from.upstream_connects, to.upstream_connects);
    move(from.upstream_reuses, to.upstream_reuses);
    move(from.pins_moved, to.pins_moved);
    move(from.first_byte, to.first_byte);
    move(from.total, to.total);
    move(from.own, to.own);
}

/// The rows that a worker could have used; a torn count is cut.
std::uint32_t rows_used(const WorkerSlot& slot) noexcept
{
    return std::min<std::uint32_t>(
        slot.request_rows_used.load(std::memory_order_acquire), kRequestRows);
}

bool is_taken(const WorkerSlot& slot) noexcept
{
    return slot.state.load() != SlotState::free;
}

/// Sequentially consistent, like the states: slots are claimed on one thread and freed on another.
void show_slot(Segment& segment, std::uint32_t slot) noexcept
{
    std::uint32_t used = segment.worker_slots.load();
    while (used <= slot && !segment.worker_slots.compare_exchange_weak(used, slot + 1)) {
    }
}

void hide_free_slots(Segment& segment) noexcept
{
    std::uint32_t used = segment.worker_slots.load();
    while (used > 0 && !is_taken(segment.workers[used - 1])) {
        if (!segment.worker_slots.compare_exchange_strong(used, used - 1)) continue;
        --used;
        // Claimed in between, by somebody who still saw it.
        if (is_taken(segment.workers[used])) return show_slot(segment, used);
    }
}

/// Not read from a cache, plus output; what forecasts reckon with.
std::uint64_t billable(const UsageEntry& entry) noexcept
{
    const std::int64_t tokens = entry.input - entry.cached_input + entry.output;
    return tokens > 0 ? static_cast<std::uint64_t>(tokens) : 0;
}

} // namespace

std::span<const WorkerSlot> used_slots(const Segment& segment) noexcept
{
    const std::uint32_t used = segment.worker_slots.load(std::memory_order_acquire);
    return std::span(segment.workers).first(std::min<std::size_t>(used, kMaxSlots));
}

std::size_t free_slots(const Segment& segment) noexcept
{
    const std::span<const WorkerSlot> used = used_slots(segment);
    return kMaxSlots - static_cast<std::size_t>(std::count_if(used.begin(), used.end(), is_taken));
}

std::optional<std::uint16_t> claim_slot(Segment& segment, std::uint32_t generation)
{
    for (std::uint16_t i = 0; i < kMaxSlots; ++i) {
        WorkerSlot& slot = segment.workers[i];
        if (is_taken(slot)) continue;
        slot.pid.store(0, std::memory_order_relaxed);
        slot.generation.store(generation, std::memory_order_relaxed);
        slot.heartbeat_us.store(0, std::memory_order_relaxed);
        slot.started_ticks.store(0, std::memory_order_relaxed);
        slot.state.store(SlotState::starting);
        show_slot(segment, i);
        return i;
    }
    return std::nullopt;
}

void clear_in_flight(Segment& segment, std::uint16_t slot) noexcept
{
    for (auto& count : segment.workers[slot].in_flight)
        count.store(0, std::memory_order_relaxed);
    segment.workers[slot].open_connections.store(0, std::memory_order_relaxed);
    segment.workers[slot].running_requests.store(0, std::memory_order_relaxed);
    clear_fair_row(segment, slot);
    clear_user_row(segment, slot);
}

std::vector<UsageEntry>
read_slot(Segment& segment, std::uint16_t index, std::uint64_t from, UnixMillis now)
{
    std::vector<UsageEntry> left;
    const UsageRing& ring = segment.usage[index];
    WorkerSlot& slot = segment.workers[index];
    (void)read_ring(
        ring, from, kUsageRingEntries, [&](const UsageEntry& entry) { left.push_back(entry); });
    const std::uint64_t published = ring.head.load(std::memory_order_acquire);
    const std::uint32_t used = rows_used(slot);
    for (std::uint32_t i = 0; i < used; ++i) {
        const RequestRow& row = slot.requests[i];
        const State state = row.state.load(std::memory_order_acquire);
        const bool in_ring = state == State::publishing && row.ring_position.load() < published;
        if (state == State::free || in_ring) continue;
        UsageEntry entry = row.entry;
        if (entry.outcome == RequestOutcome::running) {
            add_user_tokens(segment, entry.pool_user, billable(entry), now);
            entry.outcome = RequestOutcome::worker_killed;
            entry.finished_at = now;
            entry.duration_ms = static_cast<std::uint32_t>(
                std::max<std::int64_t>(0, now.since(entry.started_at).count()));
        }
        left.push_back(entry);
    }
    clear_in_flight(segment, index);
    return left;
}

void free_slot(Segment& segment, std::uint16_t index) noexcept
{
    WorkerSlot& slot = segment.workers[index];
    UsageRing& ring = segment.usage[index];
    release_ring(ring, ring.head.load(std::memory_order_acquire));
    const std::uint32_t used = rows_used(slot);
    for (std::uint32_t i = 0; i < used; ++i)
        slot.requests[i].state.store(State::free, std::memory_order_relaxed);
    retire(slot.counters, segment.retired);
    clear_in_flight(segment, index);
    slot.request_rows_used.store(0, std::memory_order_relaxed);
    slot.pid.store(0, std::memory_order_relaxed);
    slot.state.store(SlotState::free);
    hide_free_slots(segment);
}

std::vector<UsageEntry> close_slot(Segment& segment, std::uint16_t index, UnixMillis now)
{
    const std::uint64_t from = segment.usage[index].tail.load(std::memory_order_relaxed);
    std::vector<UsageEntry> left = read_slot(segment, index, from, now);
    free_slot(segment, index);
    return left;
}

std::uint64_t read_ring(
    const UsageRing& ring,
    std::uint64_t from,
    std::size_t max,
    const std::function<void(const UsageEntry&)>& take)
{
    const std::uint64_t head = ring.head.load(std::memory_order_acquire);
    std::uint64_t position = from;
    for (std::size_t taken = 0; position != head && taken < max; ++taken, ++position)
        take(ring.entries[position % kUsageRingEntries]);
    return position;
}

void release_ring(UsageRing& ring, std::uint64_t position) noexcept
{
    ring.tail.store(position, std::memory_order_release);
}

void drain_ring(
    UsageRing& ring, std::size_t max, const std::function<void(const UsageEntry&)>& take)
{
    const std::uint64_t tail = ring.tail.load(std::memory_order_relaxed);
    release_ring(ring, read_ring(ring, tail, max, take));
}

std::optional<RunningRequest>
RunningRequest::begin(Segment& segment, std::uint16_t index, const UsageEntry& first)
{
    WorkerSlot& slot = segment.workers[index];
    const std::uint32_t used = rows_used(slot);
    // Rows are taken round-robin from a hint, so that the usual search is one step.
    static std::uint32_t hint = 0;
    std::uint32_t found = kRequestRows;
    for (std::uint32_t step = 0; step < used && found == kRequestRows; ++step) {
        const std::uint32_t i = (hint + step) % used;
        if (slot.requests[i].state.load(std::memory_order_relaxed) == State::free) found = i;
    }
    if (found == kRequestRows) {
        if (used == kRequestRows) return std::nullopt;
        found = used;
        slot.request_rows_used.store(used + 1, std::memory_order_release);
    }
    hint = found;
    RequestRow& row = slot.requests[found];
    row.entry = first;
    row.entry.outcome = RequestOutcome::running;
    row.state.store(State::running, std::memory_order_release);
    slot.running_requests.fetch_add(1, std::memory_order_relaxed);
    return RunningRequest(segment, index, row);
}

RunningRequest::RunningRequest(Segment& segment, std::uint16_t slot, RequestRow& row) noexcept
    : segment_(&segment), slot_(slot), row_(&row)
{}

RunningRequest::RunningRequest(RunningRequest&& other) noexcept
    : segment_(other.segment_),
      slot_(other.slot_),
      user_(other.user_),
      row_(std::exchange(other.row_, nullptr))
{}

RunningRequest::~RunningRequest()
{
    if (row_ != nullptr) finish(RequestOutcome::upstream_cut, row_->entry.started_at);
}

void RunningRequest::assign(AccountSlot account) noexcept
{
    WorkerSlot& slot = segment_->workers[slot_];
    const AccountSlot before = row_->entry.account;
    if (before == account) return;
    if (account.is_set()) slot.in_flight[account.value].fetch_add(1, std::memory_order_relaxed);
    if (before.is_set()) slot.in_flight[before.value].fetch_sub(1, std::memory_order_relaxed);
    if (user_ && account.is_set() != before.is_set()) {
        auto& running = segment_->fair.rows[slot_].in_flight[*user_];
        if (account.is_set())
            running.fetch_add(1, std::memory_order_relaxed);
        else
            running.fetch_sub(1, std::memory_order_relaxed);
    }
    row_->entry.account = account;
}

void RunningRequest::count_for(std::uint16_t user) noexcept
{
    user_ = user;
}

/// Once it runs no more: what it cost its user.
void RunningRequest::charge() noexcept
{
    const UsageEntry& entry = row_->entry;
    FairRow& row = segment_->fair.rows[slot_];
    const std::int64_t fresh = std::max<std::int64_t>(0, entry.input - entry.cached_input);
    const std::int64_t tokens = std::max<std::int64_t>(0, fresh + entry.output);
    // Tokens first: whoever folds takes them with the request.
    row.tokens[*user_].fetch_add(static_cast<std::uint64_t>(tokens), std::memory_order_relaxed);
    row.requests[*user_].fetch_add(1, std::memory_order_relaxed);
    row.in_flight[*user_].fetch_sub(1, std::memory_order_relaxed);
}

void RunningRequest::finish(RequestOutcome outcome, UnixMillis now) noexcept
{
    WorkerSlot& slot = segment_->workers[slot_];
    UsageRing& ring = segment_->usage[slot_];
    if (user_ && row_->entry.account.is_set()) charge();
    RequestRow& row = *std::exchange(row_, nullptr);
    if (row.entry.account.is_set()) {
        slot.in_flight[row.entry.account.value].fetch_sub(1, std::memory_order_relaxed);
        segment_->tokens_spent[row.entry.account.value].fetch_add(
            billable(row.entry), std::memory_order_relaxed);
    }
    leave_user(*segment_, row.entry.pool_user, slot_);
    add_user_tokens(*segment_, row.entry.pool_user, billable(row.entry), now);
    slot.running_requests.fetch_sub(1, std::memory_order_relaxed);
    row.entry.finished_at = now;
    row.entry.outcome =
        outcome; // no longer running: publish_waiting() finds it if the ring is full
    if (has_room(ring)) publish(ring, row);
}

void publish_waiting(Segment& segment, std::uint16_t index) noexcept
{
    WorkerSlot& slot = segment.workers[index];
    UsageRing& ring = segment.usage[index];
    const std::uint32_t used = rows_used(slot);
    for (std::uint32_t i = 0; i < used && has_room(ring); ++i) {
        RequestRow& row = slot.requests[i];
        const bool waits = row.state.load(std::memory_order_relaxed) == State::running &&
                           row.entry.outcome != RequestOutcome::running;
        if (waits) publish(ring, row);
    }
}

} // namespace shared
