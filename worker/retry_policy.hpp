/// What to do after an attempt that did not serve. Pure.
#pragma once

#include "shared/base/units.hpp"
#include "shared/providers/provider.hpp"

#include <cstdint>

namespace worker {

/// How an attempt ended, as far as retrying is concerned.
enum class AttemptEnd : std::uint8_t {
    answered,       ///< a response head came; its verdict decides
    connect_failed, ///< resolve, connect, TLS: nothing of the request left
    broken_off,     ///< the connection died before the response head
    deadline,       ///< no first byte in time
    client_gone,    ///< the client left: nobody is to blame
};

/// What an exchange remembers between attempts.
struct RetryState {
    std::uint32_t max_attempts = 3; ///< transient failures allowed, from the configuration
    std::uint32_t transient_failures = 0;
    bool replayable = true;            ///< the whole request body is held
    bool bytes_reached_client = false; ///< then nothing can be retried
    shared::UnixMillis started_at;
    std::uint32_t all_attempts_timeout_seconds = 300;
};

enum class RetryDecision : std::uint8_t {
    relay,        ///< give the client this answer
    next_account, ///< try another account; if there is none, give up
    give_up,      ///< answer for ourselves
};

/// Answers that condemn an account (401, 402, 403, 429) do not count against max_attempts, transient failures do; the
/// time over all attempts limits both. Updates `state`.
[[nodiscard]] RetryDecision
decide(AttemptEnd end, const shared::Verdict& verdict, shared::UnixMillis now, RetryState& state);

} // namespace worker
