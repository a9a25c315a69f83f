/// How good an account is for one more conversation: a product of terms, of which each strategy takes its own.
///
///   term      what it says                                            in
///   --------  ------------------------------------------------------  --------------------------------------
///   capacity  how much more its plan allows than the smallest one     balanced
///   room      what is left of the long window                         balanced; of both windows: least_used
///   urgency   how soon that is lost: one over the time to the reset   balanced, reset_soonest
///   short     the short window is used faster than it comes back      balanced
///   load      requests now running on it, by its capacity             balanced
///   weight    its owner's weight_percent                              balanced, reset_soonest, least_used
///   order     its place in the pool                                   fill_first
///   turn      how many conversations others have got since its last   round_robin
///   health    transient failures, a token about to expire             all
///
/// Every term is positive and none falls when an account has more room.
#pragma once

#include "shared/base/units.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/selection/strategy.hpp"

#include <cstdint>

namespace shared {

/// One account as it stands now, for one request.
struct Candidate {
    static constexpr std::uint32_t kTurnsMax = 2 * kMaxAccounts;

    AccountSlot slot;
    AccountRouting routing;
    std::uint32_t in_flight = 0;    ///< over all workers
    std::uint32_t turns_waited = 0; ///< conversations others got since its last; at most kTurnsMax
    float capacity = 1;             ///< Provider::plan_weight of its plan
    bool serves_model = true;       ///< its owner allows the request's model on it
    bool is_owners = true;          ///< the request is its owner's: nothing is reserved from it
};

/// What is left of one of its windows for this request: what its owner keeps counts as used. Unknown = unused.
[[nodiscard]] double
room_left(const Candidate& candidate, const WindowRecord& window, UnixMillis now);

/// Greater is better; always positive.
[[nodiscard]] double score(Strategy strategy, const Candidate& candidate, UnixMillis now);

} // namespace shared
