/// Which token is renewed next, as a function of both clocks.
#include "refresher/refresh_schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace {

using refresher::choose_refreshes;
using refresher::due_at;
using refresher::MonotonicTime;
using refresher::RefreshChoice;
using refresher::RefreshLane;
using refresher::RefreshNeed;
using refresher::RefreshTimings;
using shared::UnixMillis;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr UnixMillis kNow{1'000'000'000'000};
constexpr minutes kLead{10};
const MonotonicTime kMono{std::chrono::hours(5)};

RefreshNeed need(std::string_view id, minutes expires_in, std::uint8_t lane = 1)
{
    RefreshNeed out;
    out.id = id;
    out.lane = lane;
    out.expires_at = kNow.plus(expires_in);
    return out;
}

RefreshChoice choose(
    const std::vector<RefreshNeed>& needs,
    const std::map<std::uint8_t, RefreshLane>& lanes = {},
    UnixMillis wall = kNow)
{
    return choose_refreshes(needs, lanes, wall, kMono, kLead, {});
}

std::vector<std::string> started(const std::vector<RefreshNeed>& needs, const RefreshChoice& choice)
{
    std::vector<std::string> out;
    for (const std::size_t i : choice.start)
        out.emplace_back(needs[i].id);
    return out;
}

using Ids = std::vector<std::string>;

TEST(RefreshSchedule, ATokenIsDueBetweenTheLeadAndTwoThirdsOfIt)
{
    std::set<std::int64_t> points;
    for (int i = 0; i < 200; ++i) {
        const std::string id = "codex:" + std::to_string(i);
        const RefreshNeed one = need(id, minutes(60));
        const auto before = one.expires_at.since(due_at(one, kLead, {}));
        EXPECT_LE(before, kLead);
        EXPECT_GT(before, kLead - kLead / 3);
        EXPECT_EQ(due_at(one, kLead, {}), due_at(one, kLead, {}));
        points.insert(before.count());
    }
    EXPECT_GT(points.size(), 100U) << "spread over the time";
    const RefreshNeed one = need("codex:a", minutes(60 * 24 * 10));
    const auto before = one.expires_at.since(due_at(one, std::chrono::hours(24), {}));
    EXPECT_GE(before, std::chrono::hours(24) - minutes(3)) << "a long lead is not spread by hours";
}

TEST(RefreshSchedule, WithoutAnEndOnlyAgeCounts)
{
    RefreshNeed one;
    one.id = "codex:a";
    EXPECT_FALSE(due_at(one, kLead, {}).is_set());
    one.last_refresh = kNow;
    EXPECT_EQ(due_at(one, kLead, {}), kNow.plus(std::chrono::hours(12)));
    EXPECT_TRUE(choose({one}).start.empty());
    one.asked = true;
    EXPECT_EQ(choose({one}).start.size(), 1U);
}

TEST(RefreshSchedule, OneOfEachProviderAskedOnesFirstThenWhoEndsFirst)
{
    std::vector<RefreshNeed> needs{
        need("codex:b", minutes(2)),
        need("codex:a", minutes(1)),
        need("codex:asked", minutes(600)),
        need("claude:a", minutes(-5), 2),
        need("claude:fresh", minutes(60), 2)};
    needs[2].asked = true;
    EXPECT_EQ(started(needs, choose(needs)), (Ids{"codex:asked", "claude:a"}));
    needs[2].asked = false;
    EXPECT_EQ(started(needs, choose(needs)), (Ids{"codex:a", "claude:a"}));
}

TEST(RefreshSchedule, ABusyOrPausingLaneStartsNothing)
{
    const std::vector<RefreshNeed> needs{
        need("codex:a", minutes(1)), need("claude:a", minutes(1), 2)};
    std::map<std::uint8_t, RefreshLane> lanes;
    lanes[1].busy = true;
    lanes[2].free_at = kMono + seconds(7);
    const RefreshChoice choice = choose(needs, lanes);
    EXPECT_TRUE(choice.start.empty());
    EXPECT_EQ(choice.look_again, seconds(7));
    lanes[2].free_at = kMono;
    EXPECT_EQ(started(needs, choose(needs, lanes)), Ids{"claude:a"});
}

TEST(RefreshSchedule, BackOffHoldsOneAccountAndNotItsNeighbour)
{
    std::vector<RefreshNeed> needs{need("codex:a", minutes(1)), need("codex:b", minutes(2))};
    needs[0].not_before = kMono + seconds(20);
    needs[0].asked = true;
    EXPECT_EQ(started(needs, choose(needs)), Ids{"codex:b"});
    needs.pop_back();
    EXPECT_EQ(choose(needs).look_again, seconds(20));
}

TEST(RefreshSchedule, TheWallClockIsLookedAtOftenEnoughToSeeItJump)
{
    const std::vector<RefreshNeed> needs{need("codex:a", minutes(60))};
    EXPECT_EQ(choose(needs).look_again, RefreshTimings{}.look_max);
    EXPECT_EQ(choose({}).look_again, RefreshTimings{}.look_max);
    // Forward by a day: due at once. Back by a day: not due, and no pause grows by it.
    EXPECT_EQ(choose(needs, {}, kNow.plus(std::chrono::hours(24))).start.size(), 1U);
    const RefreshChoice back = choose(needs, {}, kNow.plus(-std::chrono::hours(24)));
    EXPECT_TRUE(back.start.empty());
    EXPECT_EQ(back.look_again, RefreshTimings{}.look_max);
}

TEST(RefreshSchedule, BackOffDoublesFromOneMinuteToThirty)
{
    const RefreshTimings timings;
    EXPECT_EQ(refresher::back_off(1, timings), minutes(1));
    EXPECT_EQ(refresher::back_off(2, timings), minutes(2));
    EXPECT_EQ(refresher::back_off(3, timings), minutes(4));
    EXPECT_EQ(refresher::back_off(6, timings), minutes(30));
    EXPECT_EQ(refresher::back_off(4'000'000'000U, timings), minutes(30));
    EXPECT_GT(timings.deadline, seconds(60)) << "endpoints have answered after a minute";
}

} // namespace
