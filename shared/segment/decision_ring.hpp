/// Why each request went where it went: a ring of decision records per worker slot, for `codex-pool why`.
///
///   part                writers             readers  guarded by           if the writer dies inside
///   ------------------  ------------------  -------  -------------------  --------------------------------
///   DecisionRing[s]     process in slot s   admin    version of the cell  that one record stays unreadable
///
/// A record is begun when its request is and filled in place until the request ends; when the ring comes round first,
/// the rest of a long request is not recorded. The next process in a slot goes on where the one before stopped, so
/// that a killed worker's requests can still be explained. Everything is a number or a short text: accounts are slots
/// (which keep their account for as long as the supervisor lives), words are made by whoever reads.
#pragma once

#include "shared/base/fixed_string.hpp"
#include "shared/base/units.hpp"
#include "shared/segment/candidate_note.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace shared {

struct Segment;
enum class RequestOutcome : std::uint8_t;

inline constexpr std::size_t kDecisionsPerSlot = 512;
inline constexpr std::size_t kDecisionCandidatesMax = 16;
inline constexpr std::size_t kDecisionAttemptsMax = 8;

/// What became of the account that a conversation is pinned to.
enum class PinFate : std::uint8_t {
    no_conversation, ///< nothing in the request tells which conversation it belongs to
    unpinned,        ///< the conversation's first request, or its pin has run out
    kept,
    moved,    ///< the pinned account cannot serve; another took over
    unusable, ///< accounts of its kind do not serve this path
};

/// One account as the choice saw it.
struct DecisionCandidate {
    AccountSlot account;
    PassedOver reason = PassedOver::picked;
    std::uint8_t is_api_key = 0;
    std::uint16_t in_flight = 0;
    UsedShare short_used;
    UsedShare long_used;
    std::int16_t priority = 0;
    float score = 0;
    UnixMillis until; ///< of what keeps it from serving, where that is known
};

/// One account's try, and what came of it.
struct DecisionAttempt {
    enum class End : std::uint8_t {
        running,
        answered,  ///< with `status`; `outcome` says what that meant
        in_stream, ///< answered well, then an error inside the stream before any output
        connect_failed,
        broken_off, ///< the connection died before or within the head
        deadline,   ///< no first byte in time
        client_gone,
    };

    AccountSlot account;
    std::uint16_t status = 0;
    End end = End::running;
    std::uint8_t outcome = 0;       ///< Outcome of the verdict
    std::uint8_t about_request = 0; ///< the verdict was about the request, not the account
    std::uint8_t end_known = 0;     ///< the vendor itself named `until`
    std::uint32_t ms = 0;           ///< until the head, the error or the deadline
    UnixMillis until;               ///< how long the account rests because of it
    FixedString<46> reason;         ///< of the verdict
};

/// How a request ended that the pool answered itself.
enum class DecisionEnding : std::uint8_t {
    relayed,         ///< an account's answer, good or bad, or nothing yet
    relayed_refusal, ///< every account refused: the client got the vendor's own words
    local,           ///< answered by the pool on behalf of the vendor
    exhausted,
    no_account,
    upstream_failed,
    deadline,
    overloaded,
    body_too_large,
    bad_request,
    start_over,      ///< a WebSocket's client is to open a new one: another account can serve
    upgrade_refused, ///< 426: only HTTP is served here
    user_limit,      ///< the caller has reached one of its own limits
    user_disabled,   ///< the caller is known and may not call any more
};

struct Decision {
    std::uint64_t number =
        0; ///< counts the ring's records; where it stands is `number` % kDecisionsPerSlot
    std::array<char, 16> request_id{};
    std::array<char, 16> parent_id{}; ///< a turn on a WebSocket: the upgrade's id; else zeroes
    std::uint32_t generation = 0;     ///< of the worker that wrote it
    UnixMillis started_at;
    UnixMillis finished_at;
    FixedString<40> user;
    FixedString<96> model;
    FixedString<24> path;
    std::uint8_t provider = 0; ///< ProviderId
    std::uint8_t strategy = 0; ///< selection's Strategy
    std::uint8_t websocket = 0;
    std::uint8_t replayable = 1; ///< its body was held, so that it could be sent again
    std::uint8_t probe =
        0; ///< the choice's rest is over, and this request finds out whether it serves

    PinFate pin = PinFate::no_conversation;
    AccountSlot pinned;
    std::uint32_t queue_ms = 0;        ///< waited for any account to have room
    std::uint32_t pin_wait_ms = 0;     ///< waited for the pinned account
    std::uint32_t refresh_wait_ms = 0; ///< waited for a token being renewed

    std::uint16_t candidates_total = 0;
    std::uint8_t candidates_noted = 0;
    std::uint8_t attempts_total = 0;
    std::array<DecisionCandidate, kDecisionCandidatesMax> candidates{};
    std::array<DecisionAttempt, kDecisionAttemptsMax> attempts{};

    RequestOutcome outcome{}; ///< running until the end
    DecisionEnding ending = DecisionEnding::relayed;
    std::uint16_t status = 0;
    std::uint32_t duration_ms = 0;
    std::uint32_t first_byte_ms = 0;
    UnixMillis retry_at; ///< what the client was told, where the pool answered itself

    [[nodiscard]] std::size_t attempts_noted() const noexcept
    {
        return attempts_total < kDecisionAttemptsMax ? attempts_total : kDecisionAttemptsMax;
    }
};

struct DecisionCell {
    std::atomic<std::uint32_t> version{0}; ///< odd while the record is being written
    Decision decision;
};

struct DecisionRing {
    std::atomic<std::uint64_t> head{0}; ///< records ever begun; the process in the slot only
    std::array<DecisionCell, kDecisionsPerSlot> cells{};
};

static_assert(std::is_trivially_copyable_v<Decision> && std::is_standard_layout_v<Decision>);
static_assert(sizeof(DecisionCandidate) == 24 && sizeof(DecisionAttempt) <= 72);
static_assert(sizeof(DecisionCell) <= 1280);

/// A worker's hold on the record of one running request. Copies write to the same record; an empty one writes nowhere.
class DecisionWriter {
public:
    DecisionWriter() = default;

    /// Takes the ring's next record, whose older content is gone from then on, and lets `fill(Decision&)` say what it
    /// is about. Candidates and attempts keep old bytes beyond their counts, all else is as in a new Decision.
    template <class Fill>
    [[nodiscard]] static DecisionWriter begin(DecisionRing& ring, Fill&& fill) noexcept
    {
        DecisionWriter writer;
        writer.ring_ = &ring;
        writer.number_ = ring.head.load(std::memory_order_relaxed);
        ring.head.store(writer.number_ + 1, std::memory_order_release);
        // From here on whoever held the old record does not write to it any more.
        ring.cells[writer.number_ % kDecisionsPerSlot].decision.number = writer.number_;
        writer.edit([&](Decision& decision) {
            wipe(decision);
            std::forward<Fill>(fill)(decision);
        });
        return writer;
    }

    [[nodiscard]] bool is_set() const noexcept { return ring_ != nullptr; }

    /// `change(Decision&)` unless the ring has come round to this record since. Only memory operations in it.
    template <class Change>
    void edit(Change&& change) noexcept
    {
        if (ring_ == nullptr) return;
        DecisionCell& cell = ring_->cells[number_ % kDecisionsPerSlot];
        if (cell.decision.number != number_) return;
        const std::uint32_t version = cell.version.load(std::memory_order_relaxed);
        cell.version.store(version | 1U, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);
        std::forward<Change>(change)(cell.decision);
        cell.version.store((version | 1U) + 1, std::memory_order_release);
    }

private:
    static void wipe(Decision& decision) noexcept;

    DecisionRing* ring_ = nullptr;
    std::uint64_t number_ = 0;
};

/// A whole record and whether the worker that wrote it still lives.
struct FoundDecision {
    Decision decision;
    bool worker_lives = false;
};

/// The record of the request with this id, if it is still in one of the rings. A record that is being written is tried
/// again for a moment; one whose writer died inside is skipped.
[[nodiscard]] std::optional<FoundDecision>
find_decision(const Segment& segment, std::string_view request_id);

} // namespace shared
