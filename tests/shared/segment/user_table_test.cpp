#include "shared/segment/segment.hpp"
#include "shared/segment/user_table.hpp"
#include "shared/segment/worker_slots.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace shared {
namespace {

/// Saturday, 2027-01-16 08:00:00 UTC.
constexpr UnixMillis kNow{1'800'086'400'000};
constexpr UnixMillis kMidnight{1'800'144'000'000};
constexpr UnixMillis kMonday{1'800'230'400'000};

class UserTableTest : public testing::Test {
protected:
    SegmentMapping mapping_ = *SegmentMapping::create(kNow);
    Segment& segment_ = *mapping_;
    std::uint16_t slot_ = *claim_slot(segment_, 1);
    std::uint16_t other_slot_ = *claim_slot(segment_, 1);

    UserSlot publish(std::string_view id, const UserLimits& limits = {}, std::uint32_t keys = 1)
    {
        UserPublication user;
        user.id = id;
        user.generation = keys;
        user.limits = limits;
        return *publish_user(segment_, user);
    }

    UserAsk ask(UnixMillis now = kNow) const
    {
        UserAsk made;
        made.provider = 1;
        made.model = "gpt-5.1-codex";
        made.slot = slot_;
        made.now = now;
        return made;
    }

    LimitKind admit(UserSlot user, UnixMillis now = kNow)
    {
        return admit_user(segment_, user, ask(now)).kind;
    }
};

TEST_F(UserTableTest, FindsWhoWasPublished)
{
    const UserSlot anna = publish("a1");
    const UserSlot bert = publish("b2");
    EXPECT_EQ(find_user(segment_, "a1"), anna);
    EXPECT_EQ(find_user(segment_, "b2"), bert);
    EXPECT_FALSE(find_user(segment_, "c3").is_set());
    EXPECT_FALSE(find_user(segment_, "").is_set());
    EXPECT_EQ(publish("a1"), anna) << "a change keeps the place";
    EXPECT_EQ(segment_.users.users.load(), 2U);
}

TEST_F(UserTableTest, TenThousandUsersFindTheirPlace)
{
    std::vector<UserSlot> slots;
    for (std::size_t i = 0; i < kUsersMax; ++i)
        slots.push_back(publish("u" + std::to_string(i)));
    for (std::size_t i = 0; i < kUsersMax; ++i)
        ASSERT_EQ(find_user(segment_, "u" + std::to_string(i)), slots[i]);
    UserPublication late;
    late.id = "late";
    EXPECT_FALSE(publish_user(segment_, late)) << "the table is full";
    late.id = "u5";
    late.state = UserState::deleted;
    EXPECT_TRUE(publish_user(segment_, late)) << "but those in it can be changed";
    late.id = "late";
    late.state = UserState::active;
    EXPECT_TRUE(publish_user(segment_, late));
}

TEST_F(UserTableTest, StandingFollowsWhatTheOwnerSays)
{
    UserPublication user;
    user.id = "a1";
    user.generation = 2;
    const UserSlot slot = *publish_user(segment_, user);
    const auto standing = [&](std::uint32_t generation, UnixMillis now = kNow) {
        return user_standing(segment_, slot, generation, now);
    };
    EXPECT_EQ(standing(2), UserStanding::active);
    EXPECT_EQ(standing(1), UserStanding::revoked);
    EXPECT_EQ(standing(3), UserStanding::revoked);
    EXPECT_EQ(user_standing(segment_, {}, 2, kNow), UserStanding::unknown);
    user.limits.expires_at = kMidnight;
    static_cast<void>(publish_user(segment_, user));
    EXPECT_EQ(standing(2), UserStanding::active);
    EXPECT_EQ(standing(2, kMidnight), UserStanding::expired);
    user.state = UserState::disabled;
    static_cast<void>(publish_user(segment_, user));
    EXPECT_EQ(standing(2), UserStanding::disabled);
    user.state = UserState::deleted;
    static_cast<void>(publish_user(segment_, user));
    EXPECT_EQ(standing(2), UserStanding::unknown);
}

TEST_F(UserTableTest, RequestsPerMinuteHoldInAnySixtySeconds)
{
    UserLimits limits;
    limits.requests_per_minute = 3;
    const UserSlot user = publish("a1", limits);
    const auto at = [](int seconds) { return kNow.plus(std::chrono::seconds(seconds)); };
    EXPECT_EQ(admit(user, at(0)), LimitKind::none);
    EXPECT_EQ(admit(user, at(30)), LimitKind::none);
    EXPECT_EQ(admit(user, at(59)), LimitKind::none);
    const LimitHit met = admit_user(segment_, user, ask(at(59)));
    EXPECT_EQ(met.kind, LimitKind::requests_per_minute);
    EXPECT_EQ(met.limit, 3U);
    EXPECT_EQ(met.used, 3U);
    EXPECT_EQ(met.until, at(60));
    EXPECT_EQ(admit(user, at(60)), LimitKind::none);
    EXPECT_EQ(admit_user(segment_, user, ask(at(60))).until, at(90));
    EXPECT_EQ(admit(user, at(600)), LimitKind::none);
    EXPECT_EQ(requests_this_minute(read_user(segment_, user, at(600)).usage, at(600)), 1U);
}

TEST_F(UserTableTest, ARefusedRequestIsNotCounted)
{
    UserLimits limits;
    limits.requests_per_minute = 1;
    const UserSlot user = publish("a1", limits);
    EXPECT_EQ(admit(user), LimitKind::none);
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(admit(user), LimitKind::requests_per_minute);
    EXPECT_EQ(admit(user, kNow.plus(std::chrono::seconds(60))), LimitKind::none);
    EXPECT_EQ(user_in_flight(segment_, user), 2U);
}

TEST_F(UserTableTest, AskingWhetherCountsNothing)
{
    UserLimits limits;
    limits.requests_per_minute = 1;
    const UserSlot user = publish("a1", limits);
    UserAsk whether = ask();
    whether.counts = false;
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(admit_user(segment_, user, whether).kind, LimitKind::none);
    EXPECT_EQ(admit(user), LimitKind::none);
    EXPECT_EQ(admit_user(segment_, user, whether).kind, LimitKind::requests_per_minute);
    EXPECT_EQ(user_in_flight(segment_, user), 1U);
}

TEST_F(UserTableTest, ConcurrencyIsOverAllWorkers)
{
    UserLimits limits;
    limits.concurrency = 2;
    const UserSlot user = publish("a1", limits);
    UserAsk other = ask();
    other.slot = other_slot_;
    EXPECT_EQ(admit(user), LimitKind::none);
    EXPECT_EQ(admit_user(segment_, user, other).kind, LimitKind::none);
    const LimitHit met = admit_user(segment_, user, other);
    EXPECT_EQ(met.kind, LimitKind::concurrency);
    EXPECT_EQ(met.used, 2U);
    EXPECT_FALSE(met.until.is_set()) << "nobody knows when a request ends";
    leave_user(segment_, user, slot_);
    EXPECT_EQ(admit_user(segment_, user, other).kind, LimitKind::none);
    clear_user_row(segment_, other_slot_); // its worker died
    EXPECT_EQ(user_in_flight(segment_, user), 0U);
}

TEST_F(UserTableTest, TokensOfTheDayAndTheWeek)
{
    UserLimits limits;
    limits.tokens_per_day = 1000;
    limits.tokens_per_week = 1500;
    const UserSlot user = publish("a1", limits);
    add_user_tokens(segment_, user, 999, kNow);
    EXPECT_EQ(admit(user), LimitKind::none);
    add_user_tokens(segment_, user, 1, kNow);
    const LimitHit day = admit_user(segment_, user, ask());
    EXPECT_EQ(day.kind, LimitKind::tokens_per_day);
    EXPECT_EQ(day.used, 1000U);
    EXPECT_EQ(day.until, kMidnight);
    EXPECT_EQ(admit(user, kMidnight), LimitKind::none) << "a new day";
    add_user_tokens(segment_, user, 500, kMidnight);
    const LimitHit week = admit_user(segment_, user, ask(kMidnight));
    EXPECT_EQ(week.kind, LimitKind::tokens_per_week);
    EXPECT_EQ(week.until, kMonday);
    EXPECT_EQ(admit(user, kMonday), LimitKind::none);
    EXPECT_EQ(read_user(segment_, user, kMonday).usage.week_tokens, 0U);
}

TEST_F(UserTableTest, AClockSetBackForgetsNothing)
{
    UserLimits limits;
    limits.tokens_per_day = 10;
    limits.requests_per_minute = 1;
    const UserSlot user = publish("a1", limits);
    EXPECT_EQ(admit(user), LimitKind::none);
    EXPECT_EQ(admit(user, {kNow.value - 5000}), LimitKind::requests_per_minute);
    add_user_tokens(segment_, user, 10, kNow);
    EXPECT_EQ(admit(user, {kNow.value - 86'400'000}), LimitKind::tokens_per_day);
}

TEST_F(UserTableTest, ShareOfThePoolHoldsOnceThePoolIsKnown)
{
    UserLimits limits;
    limits.share_percent = 10;
    const UserSlot user = publish("a1", limits);
    add_user_tokens(segment_, user, 10'000, kNow);
    UserAsk asked = ask();
    EXPECT_EQ(admit_user(segment_, user, asked).kind, LimitKind::none) << "nothing learnt yet";
    asked.week_capacity = 100'001;
    EXPECT_EQ(admit_user(segment_, user, asked).kind, LimitKind::none);
    asked.week_capacity = 100'000;
    const LimitHit met = admit_user(segment_, user, asked);
    EXPECT_EQ(met.kind, LimitKind::share_percent);
    EXPECT_EQ(met.used, 10U);
    EXPECT_EQ(met.until, kMonday);
}

TEST_F(UserTableTest, ProvidersAndModelsThatAreNotAllowed)
{
    UserLimits limits;
    limits.providers = 1U << 2U;
    EXPECT_EQ(admit(publish("a1", limits)), LimitKind::provider);
    limits.providers = 1U << 1U;
    limits.models = "gpt-5*";
    EXPECT_EQ(admit(publish("b2", limits)), LimitKind::none);
    limits.models = "o3";
    EXPECT_EQ(admit(publish("c3", limits)), LimitKind::model);
}

TEST_F(UserTableTest, WithoutAUserNothingIsLimited)
{
    EXPECT_EQ(admit({}), LimitKind::none);
    leave_user(segment_, {}, slot_);
    add_user_tokens(segment_, {}, 5, kNow);
}

TEST_F(UserTableTest, ARunningRequestCountsForItsUser)
{
    const UserSlot user = publish("a1");
    std::optional<RunningRequest> running = RunningRequest::begin(segment_, slot_, UsageEntry());
    ASSERT_EQ(admit(user), LimitKind::none);
    running->belongs_to(user);
    EXPECT_EQ(user_in_flight(segment_, user), 1U);
    running->entry().input = 100;
    running->entry().cached_input = 40;
    running->entry().output = 7;
    running->finish(RequestOutcome::completed, kNow);
    EXPECT_EQ(user_in_flight(segment_, user), 0U);
    EXPECT_EQ(read_user(segment_, user, kNow).usage.day_tokens, 67U);
}

TEST_F(UserTableTest, AKilledWorkersRequestsAreCountedOnce)
{
    const UserSlot user = publish("a1");
    const pid_t child = fork();
    if (child == 0) {
        auto done = RunningRequest::begin(segment_, slot_, UsageEntry());
        auto open = RunningRequest::begin(segment_, slot_, UsageEntry());
        for (auto* request : {&*done, &*open}) {
            if (admit(user) != LimitKind::none) _exit(1);
            request->belongs_to(user);
            request->entry().input = 50;
        }
        done->finish(RequestOutcome::completed, kNow);
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(close_slot(segment_, slot_, kNow).size(), 2U);
    EXPECT_EQ(user_in_flight(segment_, user), 0U);
    EXPECT_EQ(read_user(segment_, user, kNow).usage.day_tokens, 100U);
}

TEST_F(UserTableTest, ManyProcessesAdmitExactlyTheLimit)
{
    UserLimits limits;
    limits.requests_per_minute = 500;
    limits.concurrency = 400;
    const UserSlot user = publish("a1", limits);
    std::vector<pid_t> children;
    for (int c = 0; c < 4; ++c) {
        const pid_t child = fork();
        if (child == 0) {
            UserAsk asked = ask();
            asked.slot = static_cast<std::uint16_t>(c);
            int admitted = 0;
            for (int i = 0; i < 400; ++i)
                admitted += admit_user(segment_, user, asked).kind == LimitKind::none ? 1 : 0;
            _exit(admitted > 250 ? 250 : admitted);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
    }
    // Slots that no worker holds do not count: only the first two are claimed.
    const std::uint32_t counted = requests_this_minute(read_user(segment_, user, kNow).usage, kNow);
    const std::uint32_t running = user_in_flight(segment_, user);
    EXPECT_LE(running, 400U);
    EXPECT_LE(counted, 500U);
    EXPECT_TRUE(running == 400 || counted == 500) << running << " running, " << counted;
}

TEST_F(UserTableTest, AUserHalfWrittenIsRefusedUntilPublishedAgain)
{
    const UserSlot user = publish("a1");
    segment_.users.shards[user.value / kUsersPerShard].with_lock([&](UserShard& shard) {
        shard.users[user.value % kUsersPerShard].writing = 1;
        shard.repair();
    });
    EXPECT_EQ(user_standing(segment_, user, 1, kNow), UserStanding::disabled);
    publish("a1");
    EXPECT_EQ(user_standing(segment_, user, 1, kNow), UserStanding::active);
}

TEST_F(UserTableTest, UsageIsRestoredForTheDayAndTheWeekOnly)
{
    UserLimits limits;
    limits.tokens_per_day = 100;
    const UserSlot user = publish("a1", limits);
    restore_user_usage(segment_, user, 100, 300, kNow);
    EXPECT_EQ(admit(user), LimitKind::tokens_per_day);
    EXPECT_EQ(read_user(segment_, user, kNow).usage.week_tokens, 300U);
    EXPECT_EQ(admit(user, kMidnight), LimitKind::none);
}

} // namespace
} // namespace shared
