/// Which account serves this request, and if none does, why not. Pure: facts and time in, choice out.
#pragma once

#include "shared/base/units.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/candidate_note.hpp"
#include "shared/selection/score.hpp"
#include "shared/selection/strategy.hpp"

#include <cstdint>
#include <optional>
#include <span>

namespace shared {

struct SelectionQuery {
    ProviderId provider = ProviderId::none;
    Strategy strategy = Strategy::balanced;
    std::span<const Leg> legs; ///< kinds of account that may serve, see Route
    bool ordered_legs = false; ///< accounts of the first leg go first
    bool websocket = false;    ///< only legs that can be upgraded
    std::optional<AccountSlot> pinned;
    std::span<const AccountSlot> tried; ///< each account is tried at most once
    UnixMillis now;
    std::uint64_t rotation = 0; ///< any number that moves from call to call; breaks the last ties
};

/// Why the account that a conversation is pinned to is not the choice.
struct PinnedStanding {
    PassedOver reason = PassedOver::picked; ///< picked: it is the choice, or nothing is pinned
    UnixMillis until; ///< when that ends or is looked at again; unset = any moment, or nobody knows
};

struct Selection {
    AccountSlot account;    ///< kNone: nobody can serve
    std::uint8_t leg = 0;   ///< index into SelectionQuery::legs
    bool pin_moved = false; ///< the pinned account cannot serve; another one took over
    bool probe = false;  ///< half-open: claim() decides between those who want to be the one probe
    bool capped = false; ///< has a max_concurrency: claim() decides who gets the last place
    double score = 0;    ///< of the choice; 0 for a pinned one
    PinnedStanding pinned;
    std::uint16_t notes = 0; ///< how many were written

    // What stands in the way of those that cannot serve; also set if somebody can:

    /// An account exists and is only used up, cooling, reserved, probed or busy (else: there is none).
    bool limited = false;
    /// One of them is busy or probed: it may serve at any moment, nobody knows when.
    bool busy = false;
    /// Earliest authoritative moment one can serve again, for clients; unset = unknown.
    UnixMillis retry_at;
    /// Earliest moment it is worth asking again: retry_at, or the end of a back-off of our own.
    UnixMillis next_try_at;
};

/// A pinned account wins while it can serve; a conversation never changes between kinds of account.
/// Otherwise the highest priority, among those the highest score; equal scores (to a hundredth) go to the fewest in
/// flight, then by turns. Never picks an account that cannot serve, see PassedOver; a low score excludes nobody.
///
/// With room for `notes`, one is left for every account of the provider that is not removed, in the order of
/// `candidates`; where room is short, the choice's note takes the last place. Allocates nothing.
[[nodiscard]] Selection select_account(
    const SelectionQuery& query,
    std::span<const Candidate> candidates,
    std::span<CandidateNote> notes = {});

} // namespace shared
