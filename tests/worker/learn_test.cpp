#include "worker/learn.hpp"

#include <gtest/gtest.h>

namespace worker {
namespace {

using namespace shared;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
constexpr UnixMillis kNow{1'700'000'000'000};

AccountRouting ready()
{
    AccountRouting routing;
    routing.state = AccountState::ready;
    return routing;
}

Verdict verdict(Outcome outcome, UnixMillis until = {})
{
    Verdict v;
    v.outcome = outcome;
    v.until = until;
    v.reason = "usage_limit_reached";
    return v;
}

TEST(Learn, ARateLimitCoolsUntilTheResetItNames)
{
    AccountRouting routing = ready();
    learn_verdict(routing, verdict(Outcome::rate_limited, kNow.plus(hours(3))), kNow);
    EXPECT_EQ(routing.cooling_until, kNow.plus(hours(3)));
    EXPECT_EQ(routing.reason.view(), "usage_limit_reached");
    EXPECT_EQ(condition(routing, kNow), AccountCondition::cooling);
}

TEST(Learn, AnAbsurdHintIsCapped)
{
    AccountRouting routing = ready();
    learn_verdict(routing, verdict(Outcome::rate_limited, kNow.plus(hours(24 * 365))), kNow);
    EXPECT_EQ(routing.cooling_until, kNow.plus(hours(24 * 8)));
}

TEST(Learn, RateLimitsWithoutAResetBackOffGrowingButBounded)
{
    AccountRouting routing = ready();
    UnixMillis now = kNow;
    std::int64_t before = 0;
    for (int i = 0; i < 40; ++i) {
        learn_verdict(routing, verdict(Outcome::rate_limited), now);
        const std::int64_t wait = routing.cooling_until.since(now).count();
        EXPECT_GE(wait, before);
        EXPECT_LE(wait, 30 * 60 * 1000);
        before = wait;
        now = routing.cooling_until;
    }
    EXPECT_EQ(before, 30 * 60 * 1000);
}

TEST(Learn, ManyEqualAnswersAtOnceAreOneRateLimit)
{
    AccountRouting routing = ready();
    for (int i = 0; i < 16; ++i)
        learn_verdict(routing, verdict(Outcome::rate_limited), kNow);
    EXPECT_EQ(routing.cooling_until, kNow.plus(seconds(1)));
    EXPECT_EQ(routing.cooling_level, 1);
    learn_verdict(routing, verdict(Outcome::rate_limited, kNow.plus(hours(1))), kNow);
    EXPECT_EQ(routing.cooling_until, kNow.plus(hours(1))) << "the vendor's word is worth more";

    AccountRouting rejected = ready();
    for (int i = 0; i < 16; ++i)
        learn_verdict(rejected, verdict(Outcome::credential_rejected), kNow);
    EXPECT_EQ(rejected.cooling_until, kNow.plus(minutes(1)));
}

TEST(Learn, ACoolDownIsHalfOpenWhereTheVendorNamedNoEnd)
{
    AccountRouting routing = ready();
    learn_verdict(routing, verdict(Outcome::rate_limited), kNow);
    const UnixMillis later = kNow.plus(seconds(1));
    ASSERT_TRUE(half_open(routing, later));
    routing.probing_until = later.plus(minutes(2));
    EXPECT_EQ(condition(routing, later), AccountCondition::cooling) << "for everybody else";

    AccountRouting served = routing;
    learn_verdict(served, verdict(Outcome::served), later);
    EXPECT_FALSE(half_open(served, later));
    EXPECT_EQ(condition(served, later), AccountCondition::ready);

    AccountRouting again = routing;
    learn_verdict(again, verdict(Outcome::rate_limited), later);
    EXPECT_EQ(again.cooling_until, later.plus(seconds(2))) << "doubled";
    EXPECT_FALSE(again.probing_until.is_set());

    AccountRouting told_nothing = routing;
    learn_network_fault(told_nothing, later);
    EXPECT_EQ(condition(told_nothing, later), AccountCondition::ready) << "the next may probe";

    learn_verdict(routing, verdict(Outcome::rate_limited, later.plus(hours(1))), later);
    EXPECT_FALSE(half_open(routing, later.plus(hours(1)))) << "a known end needs no probe";
}

TEST(Learn, SuccessEndsACooldownAndItsBackOff)
{
    AccountRouting routing = ready();
    learn_verdict(routing, verdict(Outcome::rate_limited), kNow);
    learn_verdict(routing, verdict(Outcome::served), kNow);
    EXPECT_EQ(condition(routing, kNow), AccountCondition::ready);
    EXPECT_EQ(routing.cooling_level, 0);
}

TEST(Learn, ARejectionIsNotForEver)
{
    AccountRouting routing = ready();
    learn_verdict(routing, verdict(Outcome::credential_rejected), kNow);
    EXPECT_EQ(condition(routing, kNow), AccountCondition::failing);
    EXPECT_EQ(condition(routing, kNow.plus(minutes(2))), AccountCondition::ready) << "a probe";
    learn_verdict(routing, verdict(Outcome::served), kNow.plus(minutes(2)));
    EXPECT_EQ(routing.state, AccountState::ready);
}

TEST(Learn, TransientFailuresNeverBenchAnAccount)
{
    AccountRouting routing = ready();
    for (int i = 0; i < 100; ++i) {
        learn_verdict(routing, verdict(Outcome::upstream_failed), kNow);
        learn_network_fault(routing, kNow);
    }
    EXPECT_EQ(condition(routing, kNow), AccountCondition::ready);
    EXPECT_GT(penalty_now(routing, kNow), 0U);
}

TEST(Learn, TheOwnersDecisionIsNotUndoneByAnAnswer)
{
    AccountRouting routing = ready();
    routing.state = AccountState::disabled;
    learn_verdict(routing, verdict(Outcome::served), kNow);
    learn_verdict(routing, verdict(Outcome::credential_rejected), kNow);
    EXPECT_EQ(routing.state, AccountState::disabled);
}

TEST(Learn, QuotaOfBothWindowsAndCredits)
{
    AccountRouting routing = ready();
    QuotaUpdate update;
    update.add({18000, UsedShare::from_fraction(0.25), kNow.plus(hours(1))});
    update.add({604800, UsedShare::from_fraction(0.5), kNow.plus(hours(50))});
    update.has_credits = true;
    learn_quota(routing, update, EvidenceSource::header, kNow);
    EXPECT_EQ(routing.short_window.used.basis_points, 2500);
    EXPECT_EQ(routing.long_window.used.basis_points, 5000);
    EXPECT_EQ(routing.has_credits, 1);
    update = {};
    update.has_credits = false;
    learn_quota(routing, update, EvidenceSource::header, kNow.plus(seconds(1)));
    EXPECT_EQ(routing.has_credits, 0) << "credits can also end";
    EXPECT_EQ(routing.long_window.used.basis_points, 5000) << "absent is not zero";
}

} // namespace
} // namespace worker
