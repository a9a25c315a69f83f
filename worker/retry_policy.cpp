#include "worker/retry_policy.hpp"

namespace worker {

using shared::Outcome;

RetryDecision
decide(AttemptEnd end, const shared::Verdict& verdict, shared::UnixMillis now, RetryState& state)
{
    if (end == AttemptEnd::client_gone) return RetryDecision::give_up;
    const bool answered = end == AttemptEnd::answered;
    if (answered && verdict.outcome == Outcome::served) return RetryDecision::relay;
    if (state.bytes_reached_client) return answered ? RetryDecision::relay : RetryDecision::give_up;

    const bool transient = !answered || verdict.outcome == Outcome::upstream_failed;
    if (transient) ++state.transient_failures;
    // Nothing of a body left before a failed connect: even a streamed one is still whole.
    const bool can_send_again = state.replayable || end == AttemptEnd::connect_failed;
    const bool in_time =
        now.since(state.started_at) < std::chrono::seconds(state.all_attempts_timeout_seconds);
    const bool attempts_left = !transient || state.transient_failures < state.max_attempts;
    return can_send_again && in_time && attempts_left ? RetryDecision::next_account
                                                      : RetryDecision::give_up;
}

} // namespace worker
