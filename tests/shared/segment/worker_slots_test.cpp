#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"
#include "shared/segment/worker_slots.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <map>
#include <string>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace shared {
namespace {

constexpr UnixMillis kNow{1'700'000'000'000};

UsageEntry entry_of(std::int64_t id)
{
    UsageEntry entry;
    entry.started_at = kNow;
    entry.input = id;
    return entry;
}

class WorkerSlots : public testing::Test {
protected:
    SegmentMapping mapping_ = *SegmentMapping::create(kNow);
    Segment& segment_ = *mapping_;
    std::uint16_t slot_ = *claim_slot(segment_, 1);

    std::vector<UsageEntry> drained()
    {
        std::vector<UsageEntry> all;
        drain_ring(segment_.usage[slot_], kUsageRingEntries, [&](const UsageEntry& e) {
            all.push_back(e);
        });
        return all;
    }
};

TEST_F(WorkerSlots, SlotsAreClaimedUntilNoneIsLeftAndComeBack)
{
    for (std::size_t i = 1; i < kMaxSlots; ++i)
        EXPECT_TRUE(claim_slot(segment_, 1));
    EXPECT_FALSE(claim_slot(segment_, 1));
    (void)close_slot(segment_, 9, kNow);
    EXPECT_EQ(claim_slot(segment_, 2), 9);
}

TEST_F(WorkerSlots, InFlightFollowsTheRequestAndReturnsToZero)
{
    auto request = RunningRequest::begin(segment_, slot_, entry_of(1));
    ASSERT_TRUE(request);
    request->assign({4});
    EXPECT_EQ(in_flight(segment_, {4}), 1U);
    request->assign({5});
    EXPECT_EQ(in_flight(segment_, {4}), 0U);
    EXPECT_EQ(in_flight(segment_, {5}), 1U);
    request->finish(RequestOutcome::completed, kNow);
    EXPECT_EQ(in_flight(segment_, {5}), 0U);
    ASSERT_EQ(drained().size(), 1U);
    EXPECT_EQ(segment_.workers[slot_].running_requests.load(), 0U);
}

TEST_F(WorkerSlots, AFullRingDelaysRowsAndLosesNone)
{
    constexpr std::int64_t kCount = kUsageRingEntries + 50;
    for (std::int64_t i = 0; i < kCount; ++i) {
        RunningRequest::begin(segment_, slot_, entry_of(i))
            ->finish(RequestOutcome::completed, kNow);
    }
    std::map<std::int64_t, int> seen;
    for (const auto& entry : drained())
        ++seen[entry.input];
    publish_waiting(segment_, slot_);
    for (const auto& entry : drained())
        ++seen[entry.input];
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(kCount));
    for (const auto& [id, times] : seen)
        EXPECT_EQ(times, 1) << id;
}

TEST_F(WorkerSlots, RowsAreBounded)
{
    std::vector<RunningRequest> running;
    for (std::size_t i = 0; i < kRequestRows; ++i) {
        running.push_back(*RunningRequest::begin(segment_, slot_, entry_of(1)));
    }
    EXPECT_FALSE(RunningRequest::begin(segment_, slot_, entry_of(1)));
    running.pop_back();
    EXPECT_TRUE(RunningRequest::begin(segment_, slot_, entry_of(1)));
}

TEST_F(WorkerSlots, ADeadWorkersRunningRequestsAreClosedWithWhatTheyHadUsed)
{
    const pid_t pid = fork();
    if (pid == 0) {
        auto done = RunningRequest::begin(segment_, slot_, entry_of(1));
        done->finish(RequestOutcome::completed, kNow);
        auto running = RunningRequest::begin(segment_, slot_, entry_of(0));
        running->assign({2});
        running->entry().output = 77;
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_EQ(in_flight(segment_, {2}), 1U);
    clear_in_flight(segment_, slot_);
    EXPECT_EQ(in_flight(segment_, {2}), 0U);
    const auto left = close_slot(segment_, slot_, kNow.plus(std::chrono::seconds(3)));
    ASSERT_EQ(left.size(), 2U);
    EXPECT_EQ(left[0].outcome, RequestOutcome::completed);
    EXPECT_EQ(left[1].outcome, RequestOutcome::worker_killed);
    EXPECT_EQ(left[1].output, 77);
    EXPECT_EQ(left[1].duration_ms, 3000U);
    EXPECT_TRUE(close_slot(segment_, slot_, kNow).empty()) << "nothing is harvested twice";
}

TEST_F(WorkerSlots, WhatAWorkerCountedOutlivesIt)
{
    WorkerSlot::Counters& counters = segment_.workers[slot_].counters;
    counters.requests = 3;
    counters.own.observe(kOwnBoundsUs, 50); // the bound itself belongs to the bucket
    counters.own.observe(kOwnBoundsUs, 51);
    counters.own.observe(kOwnBoundsUs, 2'000'000); // beyond the last
    (void)close_slot(segment_, slot_, kNow);
    EXPECT_EQ(counters.own.counts[0], 0U);
    EXPECT_EQ(segment_.retired.requests, 3U);
    EXPECT_EQ(segment_.retired.own.counts[0], 1U);
    EXPECT_EQ(segment_.retired.own.counts[1], 1U);
    EXPECT_EQ(segment_.retired.own.counts[kHistogramBounds], 1U);
    EXPECT_EQ(segment_.retired.own.sum_us, 2'000'101U);
}

TEST_F(WorkerSlots, KilledAnywhereNoFinishedRequestIsLostOrCountedTwice)
{
    // The child counts in its own shared page what it finished; the sum must come out exactly.
    auto* finished = static_cast<std::atomic<std::int64_t>*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    constexpr int kRounds = 150;
    for (int round = 0; round < kRounds; ++round) {
        finished->store(0);
        const std::uint16_t slot = *claim_slot(segment_, 2);
        const pid_t pid = fork();
        if (pid == 0) {
            for (std::int64_t i = 1; i < static_cast<std::int64_t>(kUsageRingEntries); ++i) {
                auto request = RunningRequest::begin(segment_, slot, entry_of(i));
                finished->store(i);
                request->finish(RequestOutcome::completed, kNow);
            }
            pause();
        }
        while (finished->load() < round % 7) {
        }
        kill(pid, SIGKILL);
        int status = 0;
        waitpid(pid, &status, 0);
        std::map<std::int64_t, int> seen;
        for (const auto& entry : close_slot(segment_, slot, kNow))
            ++seen[entry.input];
        for (std::int64_t i = 1; i <= finished->load(); ++i)
            ASSERT_EQ(seen[i], 1) << "round " << round;
    }
    munmap(finished, 4096);
}

} // namespace
} // namespace shared
