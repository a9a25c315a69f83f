/// Which account serves this request, and if none does, why not. Pure: facts and time in, choice out.
#pragma once

#include "shared/base/units.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/account_table.hpp"

#include <cstdint>
#include <optional>
#include <span>

namespace worker {

/// One account as it stands now.
struct Candidate {
    shared::AccountSlot slot;
    shared::AccountRouting routing;
    std::uint32_t in_flight = 0; ///< over all workers
};

struct SelectionQuery {
    shared::ProviderId provider = shared::ProviderId::none;
    std::span<const shared::Leg> legs; ///< kinds of account that may serve, see Route
    bool ordered_legs = false;         ///< accounts of the first leg go first
    bool websocket = false;            ///< only legs that can be upgraded
    std::optional<shared::AccountSlot> pinned;
    std::span<const shared::AccountSlot> tried; ///< each account is tried at most once
    shared::UnixMillis now;
    std::uint64_t rotation = 0; ///< any number that moves from call to call; breaks the last ties
};

struct Selection {
    shared::AccountSlot account; ///< kNone: nobody can serve
    std::uint8_t leg = 0;        ///< index into SelectionQuery::legs
    bool pin_moved = false;      ///< the pinned account cannot serve; another one took over
    double score = 0;            ///< of the choice, for the debug log

    // If nobody can serve:
    bool limited =
        false; ///< an account exists and is only used up or cooling (else: there is none)
    shared::UnixMillis
        retry_at; ///< earliest authoritative moment one can serve again; unset = unknown
};

/// A pinned account wins while it can serve; a conversation never changes between kinds of account.
/// Otherwise the highest score; equal scores (to a hundredth) go to the fewest in flight.
/// Never picks an account that is disabled, failing, cooling or used up; nothing else excludes.
[[nodiscard]] Selection
select_account(const SelectionQuery& query, std::span<const Candidate> candidates);

/// Room left, weighted by how soon it would be lost, less what speaks against the account. About 0.01 to 8.
[[nodiscard]] double
score(const shared::AccountRouting& routing, std::uint32_t in_flight, shared::UnixMillis now);

} // namespace worker
