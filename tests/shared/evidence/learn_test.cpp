#include "shared/evidence/learn.hpp"
#include "shared/segment/segment.hpp"

#include <gtest/gtest.h>

namespace shared {
namespace {

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
    AccountRecord record;
    AccountRouting& routing = record.routing;
    routing = ready();
    QuotaUpdate update;
    update.add({18000, UsedShare::from_fraction(0.25), kNow.plus(hours(1))});
    update.add({604800, UsedShare::from_fraction(0.5), kNow.plus(hours(50))});
    update.has_credits = true;
    learn_quota(record, update, EvidenceSource::header, 0, kNow);
    EXPECT_EQ(routing.short_window.used.basis_points, 2500);
    EXPECT_EQ(routing.long_window.used.basis_points, 5000);
    EXPECT_EQ(routing.has_credits, 1);
    update = {};
    update.has_credits = false;
    learn_quota(record, update, EvidenceSource::header, 0, kNow.plus(seconds(1)));
    EXPECT_EQ(routing.has_credits, 0) << "credits can also end";
    EXPECT_EQ(routing.long_window.used.basis_points, 5000) << "absent is not zero";
}

TEST(Learn, EvidenceTeachesTokensPerPercent)
{
    AccountRecord record;
    record.routing = ready();
    QuotaUpdate update;
    update.add({18000, UsedShare::from_fraction(0.10), kNow.plus(hours(4))});
    learn_quota(record, update, EvidenceSource::header, 1000, kNow);
    update.windows[0].used = UsedShare::from_fraction(0.14);
    learn_quota(record, update, EvidenceSource::stream, 9000, kNow.plus(minutes(30)));
    EXPECT_DOUBLE_EQ(record.short_learning.tokens_per_percent, 2000);
    EXPECT_DOUBLE_EQ(record.short_learning.percent_per_hour, 8);
    EXPECT_EQ(record.long_learning.samples, 0U);
}

class LearnPoll : public testing::Test {
protected:
    void used_up_by_error(bool used_up)
    {
        Verdict limit = verdict(Outcome::rate_limited, kNow.plus(hours(3)));
        limit.used_up = used_up;
        segment_->accounts[0].with_lock([&](AccountRecord& record) {
            record.routing = ready();
            learn_verdict(record.routing, limit, kNow);
        });
    }

    AccountStatus status(UnixMillis now)
    {
        return segment_->accounts[0].with_lock(
            [now](AccountRecord& record) { return account_status(record.routing, 0, now); });
    }

    static QuotaUpdate used(double share)
    {
        QuotaUpdate update;
        update.add({18000, UsedShare::from_fraction(share), kNow.plus(hours(3))});
        return update;
    }

    SegmentMapping mapping_{std::move(*SegmentMapping::create(kNow))};
    Segment* segment_ = &*mapping_;
};

TEST_F(LearnPoll, EndsAUsedUpVerdictThatIsNoLongerTrue)
{
    used_up_by_error(true);
    EXPECT_EQ(status(kNow).condition, AccountCondition::exhausted);
    learn_poll(*segment_, {0}, used(0.03), kNow.plus(minutes(5)));
    const AccountStatus after = status(kNow.plus(minutes(5)));
    EXPECT_EQ(after.condition, AccountCondition::ready);
    EXPECT_EQ(after.since, kNow.plus(minutes(5)));
    EXPECT_EQ(after.source, EvidenceSource::poll);
}

TEST_F(LearnPoll, LeavesAVerdictThatItConfirms)
{
    used_up_by_error(true);
    learn_poll(*segment_, {0}, used(1.0), kNow.plus(minutes(5)));
    EXPECT_EQ(status(kNow.plus(minutes(5))).condition, AccountCondition::exhausted);
    learn_poll(*segment_, {0}, {}, kNow.plus(minutes(6)));
    EXPECT_EQ(status(kNow.plus(minutes(6))).condition, AccountCondition::exhausted)
        << "absent is not room";
}

TEST_F(LearnPoll, SaysNothingAboutALimitOfTheMoment)
{
    used_up_by_error(false);
    learn_poll(*segment_, {0}, used(0.03), kNow.plus(minutes(5)));
    EXPECT_EQ(status(kNow.plus(minutes(5))).condition, AccountCondition::cooling);
}

TEST_F(LearnPoll, AnAnswersQuotaDoesNotEndIt)
{
    used_up_by_error(true);
    learn_quota(*segment_, {0}, used(0.99), EvidenceSource::stream, kNow.plus(seconds(1)));
    EXPECT_EQ(status(kNow.plus(seconds(1))).condition, AccountCondition::exhausted);
}

TEST_F(LearnPoll, ClearForgetsEverythingButADeadLoginAndTheOwnersOwnWord)
{
    for (const AccountState state :
         {AccountState::ready,
          AccountState::failing,
          AccountState::needs_login,
          AccountState::disabled}) {
        AccountRecord record;
        record.routing = ready();
        learn_quota(record, used(1.0), EvidenceSource::poll, 0, kNow);
        learn_verdict(record.routing, verdict(Outcome::rate_limited, kNow.plus(hours(1))), kNow);
        add_penalty(record.routing, 500, kNow);
        record.routing.state = state;
        forget_evidence(record, kNow);
        const bool stays = state == AccountState::needs_login || state == AccountState::disabled;
        EXPECT_EQ(condition(record.routing, kNow) == AccountCondition::ready, !stays);
        EXPECT_EQ(penalty_now(record.routing, kNow), 0U);
        EXPECT_FALSE(used_now(record.routing.short_window, kNow).is_known());
    }
}

} // namespace
} // namespace shared
