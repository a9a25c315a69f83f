#include "worker/retry_policy.hpp"

#include <gtest/gtest.h>

namespace worker {
namespace {

using shared::Outcome;
using shared::UnixMillis;
constexpr UnixMillis kNow{1'700'000'000'000};

shared::Verdict verdict(Outcome outcome)
{
    shared::Verdict v;
    v.outcome = outcome;
    return v;
}

RetryState fresh()
{
    RetryState state;
    state.started_at = kNow;
    return state;
}

TEST(RetryPolicy, AServedAnswerIsRelayed)
{
    RetryState state = fresh();
    EXPECT_EQ(
        decide(AttemptEnd::answered, verdict(Outcome::served), kNow, state), RetryDecision::relay);
}

TEST(RetryPolicy, AnswersThatCondemnTheAccountDoNotCount)
{
    RetryState state = fresh();
    for (int i = 0; i < 50; ++i) {
        for (const Outcome o :
             {Outcome::rate_limited, Outcome::credential_rejected, Outcome::account_refused}) {
            EXPECT_EQ(
                decide(AttemptEnd::answered, verdict(o), kNow, state), RetryDecision::next_account);
        }
    }
    EXPECT_EQ(state.transient_failures, 0U);
}

TEST(RetryPolicy, TransientFailuresAreLimited)
{
    RetryState state = fresh();
    const auto failed = verdict(Outcome::upstream_failed);
    EXPECT_EQ(decide(AttemptEnd::answered, failed, kNow, state), RetryDecision::next_account);
    EXPECT_EQ(decide(AttemptEnd::broken_off, {}, kNow, state), RetryDecision::next_account);
    EXPECT_EQ(decide(AttemptEnd::deadline, {}, kNow, state), RetryDecision::give_up);
}

TEST(RetryPolicy, NothingIsRetriedOnceTheClientHasBytes)
{
    RetryState state = fresh();
    state.bytes_reached_client = true;
    EXPECT_EQ(decide(AttemptEnd::broken_off, {}, kNow, state), RetryDecision::give_up);
}

TEST(RetryPolicy, AStreamedBodyCanBeSentOnceUnlessNothingOfItLeft)
{
    RetryState state = fresh();
    state.replayable = false;
    EXPECT_EQ(decide(AttemptEnd::connect_failed, {}, kNow, state), RetryDecision::next_account);
    EXPECT_EQ(
        decide(AttemptEnd::answered, verdict(Outcome::rate_limited), kNow, state),
        RetryDecision::give_up);
}

TEST(RetryPolicy, TheTimeOverAllAttemptsIsLimited)
{
    RetryState state = fresh();
    const UnixMillis late = kNow.plus(std::chrono::seconds(300));
    EXPECT_EQ(
        decide(AttemptEnd::answered, verdict(Outcome::rate_limited), late, state),
        RetryDecision::give_up);
}

TEST(RetryPolicy, AClientThatLeftEndsIt)
{
    RetryState state = fresh();
    EXPECT_EQ(decide(AttemptEnd::client_gone, {}, kNow, state), RetryDecision::give_up);
    EXPECT_EQ(state.transient_failures, 0U);
}

} // namespace
} // namespace worker
