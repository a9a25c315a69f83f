#include "supervisor/child_table.hpp"
#include "supervisor/respawn_policy.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace supervisor::test {
namespace {

using namespace std::chrono_literals;
using Action = RespawnDecision::Action;

TEST(RespawnPolicy, ThrottlesStartsThatFail)
{
    RespawnPolicy policy;
    for (const auto delay : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s, 60s}) {
        const RespawnDecision decision = policy.on_end({});
        EXPECT_EQ(decision.action, Action::respawn);
        EXPECT_EQ(decision.delay, delay);
    }
    for (int i = 0; i < 100; ++i)
        EXPECT_EQ(policy.on_end({}).delay, 60s);
}

TEST(RespawnPolicy, StartsAtOnceWhatHasServedAndForgetsEarlierFailures)
{
    RespawnPolicy policy;
    (void)policy.on_end({});
    (void)policy.on_end({});
    EXPECT_EQ(policy.on_end({.was_ready = true, .fatal = false, .served = 5s}).delay, 0ms);
    EXPECT_EQ(policy.on_end({}).delay, 1s);
}

TEST(RespawnPolicy, LeavesATinyPauseAfterAShortLife)
{
    RespawnPolicy policy;
    EXPECT_EQ(policy.on_end({.was_ready = true, .fatal = false, .served = 10ms}).delay, 100ms);
}

TEST(RespawnPolicy, NeverStartsAgainWhatSaysItIsNoUse)
{
    RespawnPolicy policy;
    EXPECT_EQ(
        policy.on_end({.was_ready = false, .fatal = true, .served = 0ms}).action, Action::give_up);
    EXPECT_EQ(
        policy.on_end({.was_ready = true, .fatal = true, .served = 1h}).action, Action::give_up);
}

Child child(std::size_t place, std::uint32_t generation, ChildState state)
{
    Child c;
    c.place = place;
    c.pid = static_cast<pid_t>(1000 + generation);
    c.generation = generation;
    c.state = state;
    return c;
}

TEST(ChildTable, HasOnePlacePerRoleAndWorker)
{
    ChildTable table(3);
    ASSERT_EQ(table.places().size(), 5U);
    EXPECT_EQ(table.places()[0].role, Role::refresher);
    EXPECT_EQ(table.places()[1].role, Role::admin);
    EXPECT_EQ(table.places()[4].role, Role::worker);
    EXPECT_EQ(table.places()[4].number, 2);
    table.add(child(4, 1, ChildState::starting));
    EXPECT_EQ(table.name(*table.by_generation(1)), "worker 2");
    EXPECT_EQ(table.by_generation(2), nullptr);
}

TEST(ChildTable, TheCurrentChildIsTheNewestThatIsNotLeaving)
{
    ChildTable table(1);
    EXPECT_EQ(table.current(2), nullptr);
    table.add(child(2, 1, ChildState::ready));
    table.add(child(2, 2, ChildState::starting));
    EXPECT_EQ(table.current(2)->generation, 2U);
    table.by_generation(2)->state = ChildState::stopping;
    EXPECT_EQ(table.current(2)->generation, 1U);
    table.by_generation(1)->state = ChildState::draining;
    EXPECT_EQ(table.current(2), nullptr);
    table.add(child(0, 3, ChildState::ready));
    EXPECT_EQ(table.current(Role::refresher)->generation, 3U);
    EXPECT_EQ(table.count(Role::worker), 2U);
    table.remove(1001);
    EXPECT_EQ(table.count(Role::worker), 1U);
}

TEST(ChildTable, KnowsWhenEveryWorkerServes)
{
    ChildTable table(2);
    EXPECT_FALSE(table.all_workers_ready());
    table.add(child(2, 1, ChildState::ready));
    EXPECT_FALSE(table.all_workers_ready());
    table.add(child(3, 2, ChildState::starting));
    EXPECT_FALSE(table.all_workers_ready());
    table.by_generation(2)->state = ChildState::ready;
    EXPECT_TRUE(table.all_workers_ready());
    // A replacement that starts takes nothing away.
    table.add(child(3, 3, ChildState::starting));
    EXPECT_TRUE(table.all_workers_ready());
    table.places()[3].given_up = true;
    EXPECT_TRUE(table.all_workers_ready());
    EXPECT_FALSE(table.all_workers_given_up());
    table.places()[2].given_up = true;
    EXPECT_FALSE(table.all_workers_ready());
    EXPECT_TRUE(table.all_workers_given_up());
}

} // namespace
} // namespace supervisor::test
