/// What two workers may not both take.
#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"
#include "shared/selection/claim.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace shared {
namespace {

constexpr UnixMillis kNow{1'700'000'000'000};
constexpr std::chrono::minutes kProbe{2};
constexpr std::uint16_t kAccounts = 200;

class Claim : public testing::Test {
protected:
    SegmentMapping mapping_ = *SegmentMapping::create(kNow);
    Segment& segment_ = *mapping_;

    void set(std::uint16_t account, const AccountRouting& routing)
    {
        segment_.accounts[account].with_lock(
            [&](AccountRecord& record) { record.routing = routing; });
    }

    AccountRouting get(std::uint16_t account)
    {
        return segment_.accounts[account].with_lock(
            [](AccountRecord& record) { return record.routing; });
    }

    static AccountRouting ready()
    {
        AccountRouting routing;
        routing.state = AccountState::ready;
        return routing;
    }

    static AccountRouting half_open_one()
    {
        AccountRouting routing = ready();
        routing.cooling_until = kNow;
        return routing;
    }

    RunningRequest request(std::uint16_t slot)
    {
        UsageEntry entry;
        entry.started_at = kNow;
        return *RunningRequest::begin(segment_, slot, entry);
    }

    /// Lets `workers` processes at once try to take every account `tries` times each, all starting together; returns
    /// how many requests each account got.
    std::vector<std::uint32_t> race(unsigned workers, unsigned tries, const Selection& selection)
    {
        std::array<int, 2> start{};
        std::array<int, 2> done{};
        std::array<int, 2> leave{};
        EXPECT_EQ(pipe(start.data()) + pipe(done.data()) + pipe(leave.data()), 0);
        std::vector<pid_t> children;
        for (unsigned i = 0; i < workers; ++i) {
            const std::uint16_t slot = *claim_slot(segment_, 1);
            const pid_t child = fork();
            if (child == 0) {
                close(start[1]);
                close(leave[1]);
                compete(slot, tries, selection, start[0], done[1], leave[0]);
            }
            children.push_back(child);
        }
        close(start[1]); // the end of file is the signal
        char byte = 0;
        for (unsigned i = 0; i < workers; ++i)
            EXPECT_EQ(read(done[0], &byte, 1), 1);
        std::vector<std::uint32_t> taken;
        for (std::uint16_t account = 0; account < kAccounts; ++account)
            taken.push_back(in_flight(segment_, {account}));
        close(leave[1]);
        for (const pid_t child : children)
            waitpid(child, nullptr, 0);
        for (const int fd : {start[0], done[0], done[1], leave[0]})
            close(fd);
        return taken;
    }

private:
    [[noreturn]] void
    compete(std::uint16_t slot, unsigned tries, Selection selection, int start, int done, int leave)
    {
        char byte = 0;
        static_cast<void>(read(start, &byte, 1));
        std::vector<RunningRequest> held;
        held.reserve(std::size_t{kAccounts} * tries);
        for (std::uint16_t account = 0; account < kAccounts; ++account) {
            for (unsigned i = 0; i < tries; ++i) {
                selection.account = {account};
                held.push_back(request(slot));
                static_cast<void>(claim(segment_, selection, held.back(), kNow, kProbe));
            }
        }
        static_cast<void>(write(done, &byte, 1));
        static_cast<void>(read(leave, &byte, 1));
        _exit(0);
    }
};

TEST_F(Claim, OneOfManyWorkersGetsTheProbe)
{
    for (std::uint16_t account = 0; account < kAccounts; ++account)
        set(account, half_open_one());
    Selection selection;
    selection.probe = true;
    const std::vector<std::uint32_t> taken = race(4, 2, selection);
    for (std::uint16_t account = 0; account < kAccounts; ++account) {
        ASSERT_EQ(taken[account], 1U) << "account " << account;
        ASSERT_EQ(get(account).probing_until, kNow.plus(kProbe));
    }
}

TEST_F(Claim, ACapHoldsOverAllWorkers)
{
    AccountRouting routing = ready();
    routing.max_concurrency = 3;
    for (std::uint16_t account = 0; account < kAccounts; ++account)
        set(account, routing);
    Selection selection;
    selection.capped = true;
    const std::vector<std::uint32_t> taken = race(4, 2, selection);
    for (std::uint16_t account = 0; account < kAccounts; ++account)
        ASSERT_EQ(taken[account], 3U) << "account " << account;
}

TEST_F(Claim, WhatACrashedProbeHeldIsFreeAgainInTime)
{
    set(0, half_open_one());
    Selection selection;
    selection.account = {0};
    selection.probe = true;
    const std::uint16_t slot = *claim_slot(segment_, 1);
    RunningRequest first = request(slot);
    ASSERT_TRUE(claim(segment_, selection, first, kNow, kProbe));
    RunningRequest second = request(slot);
    EXPECT_FALSE(claim(segment_, selection, second, kNow, kProbe));
    EXPECT_EQ(in_flight(segment_, {0}), 1U) << "who loses counts nowhere";
    EXPECT_TRUE(claim(segment_, selection, second, kNow.plus(kProbe), kProbe));
}

TEST_F(Claim, AProbeThatToldNothingLetsTheNextOneTry)
{
    set(0, half_open_one());
    Selection selection;
    selection.account = {0};
    selection.probe = true;
    const std::uint16_t slot = *claim_slot(segment_, 1);
    RunningRequest first = request(slot);
    ASSERT_TRUE(claim(segment_, selection, first, kNow, kProbe));
    end_probe(segment_, {0});
    RunningRequest second = request(slot);
    EXPECT_TRUE(claim(segment_, selection, second, kNow, kProbe));
}

TEST_F(Claim, AnAccountWithoutCapOrProbeIsTakenWithoutALock)
{
    set(0, ready());
    Selection selection;
    selection.account = {0};
    const std::uint16_t slot = *claim_slot(segment_, 1);
    RunningRequest running = request(slot);
    segment_.accounts[0].with_lock([&](AccountRecord&) {
        EXPECT_TRUE(claim(segment_, selection, running, kNow, kProbe)) << "or this would dead-lock";
    });
}

} // namespace
} // namespace shared
