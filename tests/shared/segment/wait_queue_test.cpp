#include "shared/base/clock.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"
#include "shared/segment/wait_queue.hpp"
#include "shared/segment/worker_slots.hpp"
#include "tests/shared/segment/flood_simulation.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <set>
#include <string>
#include <thread>

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace shared {
namespace {

constexpr MonotonicMillis kNow{100'000'000};
constexpr UnixMillis kUnixNow{1'700'000'000'000};
constexpr AccountSlot kA{0};
constexpr AccountSlot kB{1};

class WaitQueueTest : public testing::Test {
protected:
    SegmentMapping mapping_ = *SegmentMapping::create(kUnixNow);
    Segment& segment_ = *mapping_;
    std::uint16_t slot_ = *claim_slot(segment_, 1);
    std::uint16_t other_slot_ = *claim_slot(segment_, 1);

    Ask ask_of(std::string_view user, std::uint16_t slot)
    {
        Ask ask;
        ask.user = fair_user(segment_, user, 1, kNow).index;
        ask.slot = slot;
        ask.wants.add(kA);
        return ask;
    }

    Ask ask_of(std::string_view user) { return ask_of(user, slot_); }

    RunningRequest row(const Ask& ask)
    {
        auto row = RunningRequest::begin(segment_, ask.slot, UsageEntry());
        row->count_for(ask.user);
        return std::move(*row);
    }

    std::vector<AccountPlace> places(std::uint32_t cap)
    {
        return {{kA, cap, in_flight(segment_, kA)}, {kB, cap, in_flight(segment_, kB)}};
    }

    bool take(Ask& ask, RunningRequest& row, std::uint32_t cap = 1)
    {
        return take_place(segment_, ask, kA, places(cap), row, kNow);
    }

    std::vector<std::uint16_t> due(std::uint16_t slot, std::uint32_t cap = 1)
    {
        std::vector<std::uint16_t> out(64);
        out.resize(due_tickets(segment_, slot, places(cap), kNow, out));
        return out;
    }
};

TEST_F(WaitQueueTest, APlaceIsTakenAtMostAsOftenAsThereAre)
{
    Ask first = ask_of("a");
    Ask second = ask_of("a", other_slot_);
    RunningRequest one = row(first);
    RunningRequest two = row(second);
    EXPECT_TRUE(take(first, one));
    const std::vector<AccountPlace> stale{{kA, 1, 0}};
    EXPECT_FALSE(take_place(segment_, second, kA, stale, two, kNow))
        << "an old view of the places admits nobody";
    EXPECT_EQ(in_flight(segment_, kA), 1U);
    one.finish(RequestOutcome::completed, kUnixNow);
    EXPECT_TRUE(take(second, two));
}

TEST_F(WaitQueueTest, WhoWaitsIsServedBeforeANewcomer)
{
    Ask running = ask_of("a");
    RunningRequest one = row(running);
    ASSERT_TRUE(take(running, one));
    Ask waiting = ask_of("a", other_slot_);
    RunningRequest two = row(waiting);
    ASSERT_TRUE(join_queue(segment_, waiting, kNow));
    EXPECT_EQ(waiting_requests(segment_), 1U);
    EXPECT_TRUE(due(other_slot_).empty());
    one.finish(RequestOutcome::completed, kUnixNow);

    Ask newcomer = ask_of("a");
    RunningRequest three = row(newcomer);
    EXPECT_TRUE(closed_places(segment_, newcomer, places(1), kNow).contains(kA));
    EXPECT_FALSE(closed_places(segment_, newcomer, places(1), kNow).contains(kB))
        << "nobody waits for that one";
    EXPECT_FALSE(take(newcomer, three));
    EXPECT_EQ(due(other_slot_), std::vector<std::uint16_t>{*waiting.ticket});
    EXPECT_TRUE(due(slot_).empty()) << "a worker hears of its own tickets only";
    EXPECT_TRUE(take(waiting, two));
    EXPECT_FALSE(waiting.ticket);
    EXPECT_EQ(waiting_requests(segment_), 0U);
}

TEST_F(WaitQueueTest, ALightNewcomerPassesAHeavyUsersQueue)
{
    Ask heavy = ask_of("heavy");
    RunningRequest done = row(heavy);
    ASSERT_TRUE(take(heavy, done, 4));
    done.entry().output = 1'000'000;
    done.finish(RequestOutcome::completed, kUnixNow);
    ASSERT_TRUE(join_queue(segment_, heavy, kNow));
    Ask light = ask_of("light");
    RunningRequest row_of_light = row(light);
    EXPECT_TRUE(take(light, row_of_light));
}

TEST_F(WaitQueueTest, TicketsAreBoundedPerUserAndOverAll)
{
    std::vector<Ask> asks;
    for (std::size_t i = 0; i < kTicketsPerUserMax; ++i) {
        asks.push_back(ask_of("flood"));
        ASSERT_TRUE(join_queue(segment_, asks.back(), kNow));
    }
    Ask more = ask_of("flood");
    EXPECT_FALSE(join_queue(segment_, more, kNow));
    EXPECT_TRUE(join_queue(segment_, asks.front(), kNow)) << "renewing needs no room";
    std::size_t joined = kTicketsPerUserMax;
    for (int user = 0; user < 10; ++user) {
        for (std::size_t i = 0; i < kTicketsPerUserMax; ++i) {
            Ask ask = ask_of("user" + std::to_string(user));
            joined += join_queue(segment_, ask, kNow) ? 1 : 0;
        }
    }
    EXPECT_EQ(joined, kTicketsMax);
    leave_queue(segment_, asks.front());
    EXPECT_EQ(waiting_requests(segment_), kTicketsMax - 1);
    EXPECT_TRUE(join_queue(segment_, more, kNow));
}

TEST_F(WaitQueueTest, ADeadWorkerLeavesNeitherTicketsNorCounts)
{
    const pid_t pid = fork();
    if (pid == 0) {
        Ask running = ask_of("a", other_slot_);
        RunningRequest one = row(running);
        bool fine = take(running, one);
        Ask waiting = ask_of("a", other_slot_);
        fine = join_queue(segment_, waiting, kNow) && fine;
        if (fine) kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(waiting_requests(segment_), 1U);
    (void)close_slot(segment_, other_slot_, kUnixNow);
    EXPECT_EQ(waiting_requests(segment_), 0U);
    Ask next = ask_of("a");
    RunningRequest two = row(next);
    EXPECT_TRUE(take(next, two));
    for (const auto& count : segment_.fair.rows[other_slot_].in_flight)
        ASSERT_EQ(count.load(), 0U);
}

TEST_F(WaitQueueTest, UsersAreToldApartByNameAndProviderAndTheCheapestGivesWay)
{
    const FairUserRef a = fair_user(segment_, "a", 1, kNow);
    EXPECT_EQ(fair_user(segment_, "a", 1, kNow).index, a.index);
    EXPECT_NE(fair_user(segment_, "a", 2, kNow).index, a.index);
    {
        Ask spends = ask_of("a");
        RunningRequest row_of_a = row(spends);
        ASSERT_TRUE(take(spends, row_of_a));
        row_of_a.entry().output = 100;
        row_of_a.finish(RequestOutcome::completed, kUnixNow);
        fold_costs(segment_, slot_, kNow);
    }
    const MonotonicMillis later = kNow + std::chrono::minutes(2);
    for (int i = 0; i < 600; ++i)
        (void)fair_user(segment_, "passer-by" + std::to_string(i), 1, later);
    EXPECT_TRUE(is_current(segment_, a)) << "whoever cost something is remembered";
    const FairUserRef gone = fair_user(segment_, "x", 1, later);
    for (int i = 600; i < 1200; ++i)
        (void)fair_user(segment_, "passer-by" + std::to_string(i), 1, later);
    EXPECT_FALSE(is_current(segment_, gone));
}

/// Processes that take places, wait, and are killed at any moment; whoever looks finds the caps kept, and nothing is left
/// over.
TEST_F(WaitQueueTest, KilledAnywhereTheCapsHoldAndNothingIsLeftOver)
{
    constexpr std::uint32_t kCap = 2;
    constexpr int kProcesses = 4;
    constexpr int kKills = 200;
    auto* served = static_cast<std::atomic<std::uint64_t>*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const auto worker = [&](std::uint16_t slot) {
        for (std::uint64_t turn = 0;; ++turn) {
            Ask ask = ask_of("user" + std::to_string(turn % 3), slot);
            RunningRequest running = row(ask);
            const auto now = [] { return MonotonicMillis(now_monotonic_us() / 1000); };
            while (!take_place(segment_, ask, kA, places(kCap), running, now())) {
                if (!join_queue(segment_, ask, now())) break;
                std::array<std::uint16_t, 8> out{};
                while (due_tickets(segment_, slot, places(kCap), now(), out) == 0)
                    sched_yield();
            }
            leave_queue(segment_, ask);
            if (turn % 2 == 0) sched_yield();
            served->fetch_add(1);
            running.finish(RequestOutcome::completed, kUnixNow);
            drain_ring(segment_.usage[slot], 100, [](const UsageEntry&) {});
        }
    };
    std::vector<std::pair<pid_t, std::uint16_t>> alive;
    const auto start = [&] {
        const std::uint16_t slot = *claim_slot(segment_, 2);
        const pid_t pid = fork();
        if (pid == 0) {
            worker(slot);
            _exit(0);
        }
        alive.emplace_back(pid, slot);
    };
    for (int i = 0; i < kProcesses; ++i)
        start();
    for (int i = 0; i < kKills; ++i) {
        const std::uint64_t before = served->load();
        // Something is served between two kills; nobody stays blocked by the dead.
        while (served->load() < before + 1 + static_cast<std::uint64_t>(i % 5)) {
            // Under the lock nobody is admitted, so the sum is no mixture of moments.
            const std::uint32_t running =
                segment_.fair.queue.with_lock([&](WaitQueue&) { return in_flight(segment_, kA); });
            ASSERT_LE(running, kCap);
        }
        const auto [pid, slot] = alive.front();
        alive.erase(alive.begin());
        kill(pid, SIGKILL);
        int status = 0;
        waitpid(pid, &status, 0);
        (void)close_slot(segment_, slot, kUnixNow);
        start();
    }
    for (const auto& [pid, slot] : alive) {
        kill(pid, SIGKILL);
        int status = 0;
        waitpid(pid, &status, 0);
        (void)close_slot(segment_, slot, kUnixNow);
    }
    EXPECT_EQ(in_flight(segment_, kA), 0U);
    EXPECT_EQ(waiting_requests(segment_), 0U);
    const std::uint32_t tickets = segment_.fair.queue.with_lock([](WaitQueue& queue) {
        std::uint32_t left = 0;
        for (const Ticket& ticket : queue.tickets)
            left += ticket.sequence != 0 ? 1 : 0;
        return left;
    });
    EXPECT_EQ(tickets, 0U);
    munmap(served, 4096);
}

} // namespace
} // namespace shared

namespace tests {
namespace {

SimulatedPool scarce_pool(bool flood, bool all_one_user, unsigned seed)
{
    SimulatedPool pool;
    pool.caps = {3, 3, 3, 3};
    pool.seed = seed;
    pool.seconds = std::getenv("CODEX_POOL_LONG") != nullptr ? 600 : 60;
    for (int i = 0; i < 5; ++i) {
        SimulatedUser user;
        user.name = "user" + std::to_string(i);
        user.parallel = 4;
        user.counted_as = all_one_user ? "everybody" : user.name;
        pool.users.push_back(user);
    }
    if (flood) {
        SimulatedUser user;
        user.name = "flood";
        user.parallel = 50;
        user.counted_as = all_one_user ? "everybody" : user.name;
        pool.users.push_back(user);
    }
    return pool;
}

/// Waiting time of everybody but the flood, over some seeds, worst first.
double p99_of_others(bool flood, bool all_one_user)
{
    SimulatedWaits all;
    for (unsigned seed = 1; seed <= 3; ++seed) {
        SimulatedWaits waits = FloodSimulation(scarce_pool(flood, all_one_user, seed)).run();
        EXPECT_FALSE(waits.over_cap);
        EXPECT_LE(waits.most_at_once, 12U);
        for (auto& [user, times] : waits.by_user) {
            if (user == "flood") continue;
            auto& others = all.by_user["others"];
            others.insert(others.end(), times.begin(), times.end());
        }
    }
    return all.percentile("others", 0.99);
}

TEST(Flood, LeavesOthersWaitingTimeWithinTwiceWhatItWas)
{
    const double without = p99_of_others(false, false);
    const double with = p99_of_others(true, false);
    RecordProperty("p99_without_ms", static_cast<int>(without));
    RecordProperty("p99_with_ms", static_cast<int>(with));
    EXPECT_GT(without, 1000) << "accounts must be scarce for this to mean anything";
    EXPECT_LE(with, 2 * without);
    // The same crowd first come first served: what the queue is there for.
    EXPECT_GT(p99_of_others(true, true), 3 * without);
}

TEST(Flood, ThatComesLateIsOwedNothing)
{
    // The others have been at it for five minutes; then comes somebody who has cost nothing so far.
    const auto p99 = [](bool flood) {
        SimulatedPool pool = scarce_pool(flood, false, 1);
        pool.seconds = 600;
        if (flood) pool.users.back().from_seconds = 300;
        SimulatedWaits waits = FloodSimulation(pool).run();
        std::vector<double>& others = waits.by_user["others"];
        for (const auto& [user, times] : waits.by_user)
            if (user.starts_with("user")) others.insert(others.end(), times.begin(), times.end());
        return waits.percentile("others", 0.99);
    };
    EXPECT_LE(p99(true), 2 * p99(false));
}

TEST(Flood, DoesNotMakeWaitWhoeverComesSeldom)
{
    SimulatedPool pool;
    pool.caps = {3, 3, 3, 3};
    pool.seconds = 300;
    for (int i = 0; i < 5; ++i) {
        SimulatedUser user;
        user.name = "user" + std::to_string(i);
        user.per_second = 0.2;
        pool.users.push_back(user);
    }
    SimulatedUser flood;
    flood.name = "flood";
    flood.parallel = 50;
    pool.users.push_back(flood);
    SimulatedWaits waits = FloodSimulation(pool).run();
    EXPECT_FALSE(waits.over_cap);
    for (const SimulatedUser& user : pool.users) {
        if (user.parallel > 0) continue;
        ASSERT_GT(waits.by_user[user.name].size(), 20U);
        EXPECT_LT(waits.percentile(user.name, 0.9), 500) << "a turn takes 4000";
    }
    EXPECT_GT(waits.by_user["flood"].size(), 300U) << "what is free is used all the same";
}

} // namespace
} // namespace tests
