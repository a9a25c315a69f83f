/// What one request decided, written into the segment as it happens, for `why`. Each call is a few stores; nothing
/// allocates, nothing fails.
#pragma once

#include "shared/providers/provider.hpp"
#include "shared/segment/decision_ring.hpp"
#include "shared/segment/layout.hpp"
#include "shared/selection/select_account.hpp"
#include "worker/retry_policy.hpp"

#include <cstdint>
#include <optional>
#include <span>

namespace worker {

/// Notes that a choice may leave; see select_account().
using NoteRoom = std::array<shared::CandidateNote, shared::kDecisionCandidatesMax>;

class DecisionLog {
public:
    /// Takes a record of this worker's ring; `fill(Decision&)` names the request.
    template <class Fill>
    void begin(shared::Segment& segment, std::uint16_t slot, Fill&& fill)
    {
        const std::uint32_t generation =
            segment.workers[slot].generation.load(std::memory_order_relaxed);
        writer_ =
            shared::DecisionWriter::begin(segment.decisions[slot], [&](shared::Decision& decision) {
                decision.generation = generation;
                std::forward<Fill>(fill)(decision);
            });
    }

    [[nodiscard]] bool begun() const noexcept { return writer_.is_set(); }

    /// A choice was made. The first one is what the request is explained by; those after a try only say what has come
    /// between since.
    void selected(
        const shared::SelectionQuery& query,
        const shared::Selection& selection,
        std::span<const shared::Candidate> candidates,
        const NoteRoom& notes,
        bool in_conversation);

    void waited_in_queue(std::uint32_t ms) noexcept;
    void waited_for_pinned(std::uint32_t ms) noexcept;
    void waited_for_token(std::uint32_t ms) noexcept;

    void try_begins(shared::AccountSlot account);
    /// The try is over: an answer with its verdict, or no answer. Reads what the account's record says of its rest.
    void try_ended(
        shared::Segment& segment, AttemptEnd end, unsigned status, const shared::Verdict& verdict);
    /// After an answer that seemed good: its stream failed before any output.
    void stream_failed(shared::Segment& segment, AttemptEnd end, const shared::Verdict& verdict);

    /// A turn on a WebSocket failed; `generated`: not before it had brought output.
    void turn_failed(shared::Segment& segment, const shared::Verdict& verdict, bool generated);

    /// The pool answers itself.
    void refused(shared::PoolError::Kind kind, shared::UnixMillis retry_at);
    void answered(shared::DecisionEnding ending);

    void ended(
        shared::RequestOutcome outcome,
        std::uint16_t status,
        std::uint32_t duration_ms,
        std::uint32_t first_byte_ms,
        shared::UnixMillis now);

private:
    template <class Change>
    void change_try(Change&& change);

    shared::DecisionWriter writer_;
    std::int64_t try_begun_us_ = 0;
};

} // namespace worker
