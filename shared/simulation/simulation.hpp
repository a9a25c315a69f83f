/// Replays a trace against modelled quotas, with the workers' own core of picking (shared/selection). Pure and
/// deterministic: the same input gives the same result on every machine.
#pragma once

#include "shared/selection/strategy.hpp"
#include "shared/simulation/quota_model.hpp"
#include "shared/simulation/trace.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace shared::simulation {

struct Rules {
    Strategy strategy = Strategy::balanced;
    std::uint64_t seed = 1; ///< decides between equals
    std::chrono::milliseconds pin_ttl = std::chrono::hours(24);
    std::chrono::milliseconds poll_every = std::chrono::seconds(300);
    /// How long a conversation waits for its account before it moves.
    std::chrono::milliseconds wait_for_pinned = std::chrono::seconds(20);
    /// How long a request waits for anybody before it is refused.
    std::chrono::milliseconds queue_timeout = std::chrono::seconds(30);
};

struct Waiting {
    std::int64_t p50_ms = 0;
    std::int64_t p99_ms = 0;
    std::int64_t max_ms = 0;

    friend bool operator==(const Waiting&, const Waiting&) = default;
};

struct Outcome {
    std::uint64_t requests = 0;
    std::uint64_t served = 0;
    std::uint64_t rate_limited = 0;      ///< 429s that accounts answered
    std::uint64_t refused = 0;           ///< 429s that clients got
    std::uint64_t refused_with_room = 0; ///< of them, while some account truly had room
    std::uint64_t unserved = 0;          ///< still waiting when the trace was over
    std::uint64_t pinned = 0;            ///< requests of conversations that had an account
    std::uint64_t moves = 0;             ///< of them, served by another one
    std::int64_t cached_tokens = 0;      ///< that would have been read from prompt caches
    std::int64_t cache_lost_tokens = 0;  ///< of them, read anew because of moves
    unsigned resets = 0;                 ///< weekly windows that ended
    double unused_percent = 0;           ///< of all their tokens
    std::vector<Waiting> waiting;        ///< by user, until a request was served
    std::vector<std::uint64_t> by_account;

    friend bool operator==(const Outcome&, const Outcome&) = default;
};

/// A refused client comes again when it was told to (or after a minute, if nobody knew). A conversation's next turn
/// does not begin before the last one ended. The end is that of the trace's last request.
[[nodiscard]] Outcome
simulate(const Trace& trace, std::span<const AccountModel> accounts, const Rules& rules);

} // namespace shared::simulation
