#include "shared/segment/decision_ring.hpp"

#include "shared/segment/layout.hpp"

#include <algorithm>
#include <cstring>
#include <thread>

namespace shared {
namespace {

/// A writer is inside a record for less than a microsecond.
constexpr int kReadTries = 50;

bool has_id(const Decision& decision, std::string_view request_id) noexcept
{
    return std::memcmp(decision.request_id.data(), request_id.data(), decision.request_id.size()) ==
           0;
}

/// The cell's record, whole; nothing if it is always being written.
std::optional<Decision> read(const DecisionCell& cell)
{
    for (int i = 0; i < kReadTries; ++i) {
        if (i > 0) std::this_thread::yield();
        const std::uint32_t before = cell.version.load(std::memory_order_acquire);
        if ((before & 1U) != 0) continue;
        const Decision copy = cell.decision;
        std::atomic_thread_fence(std::memory_order_acquire);
        if (cell.version.load(std::memory_order_relaxed) == before) return copy;
    }
    return std::nullopt;
}

bool lives(const WorkerSlot& slot, std::uint32_t generation) noexcept
{
    return slot.state.load(std::memory_order_acquire) != SlotState::free &&
           slot.generation.load(std::memory_order_relaxed) == generation;
}

} // namespace

void DecisionWriter::wipe(Decision& decision) noexcept
{
    decision.parent_id = {};
    decision.finished_at = {};
    decision.websocket = 0;
    decision.replayable = 1;
    decision.probe = 0;
    decision.strategy = 0;
    decision.pin = PinFate::no_conversation;
    decision.pinned = {};
    decision.queue_ms = 0;
    decision.pin_wait_ms = 0;
    decision.refresh_wait_ms = 0;
    decision.candidates_total = 0;
    decision.candidates_noted = 0;
    decision.attempts_total = 0;
    decision.outcome = RequestOutcome::running;
    decision.ending = DecisionEnding::relayed;
    decision.status = 0;
    decision.duration_ms = 0;
    decision.first_byte_ms = 0;
    decision.retry_at = {};
}

std::optional<FoundDecision> find_decision(const Segment& segment, std::string_view request_id)
{
    if (request_id.size() != sizeof(Decision::request_id)) return std::nullopt;
    for (std::size_t slot = 0; slot < segment.decisions.size(); ++slot) {
        const DecisionRing& ring = segment.decisions[slot];
        // Cells that were never used are not even looked at: that alone would cost memory.
        const std::uint64_t used =
            std::min<std::uint64_t>(ring.head.load(std::memory_order_acquire), kDecisionsPerSlot);
        for (std::size_t i = 0; i < used; ++i) {
            if (!has_id(ring.cells[i].decision, request_id)) continue;
            std::optional<Decision> decision = read(ring.cells[i]);
            if (!decision || !has_id(*decision, request_id)) continue;
            FoundDecision found;
            found.worker_lives = lives(segment.workers[slot], decision->generation);
            found.decision = std::move(*decision);
            return found;
        }
    }
    return std::nullopt;
}

} // namespace shared
