#include "shared/segment/decision_ring.hpp"
#include "shared/segment/segment.hpp"
#include "shared/segment/worker_slots.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

namespace shared {
namespace {

constexpr UnixMillis kNow{1'700'000'000'000};

/// "0000000000000123"
std::string id_of(std::uint64_t number)
{
    std::string text = std::to_string(number);
    return std::string(16 - text.size(), '0') + text;
}

DecisionWriter begin(DecisionRing& ring, std::uint64_t number, std::uint32_t generation = 1)
{
    return DecisionWriter::begin(ring, [&](Decision& decision) {
        std::memcpy(decision.request_id.data(), id_of(number).data(), 16);
        decision.generation = generation;
        decision.started_at = kNow;
        decision.user = "local";
    });
}

class DecisionRings : public testing::Test {
protected:
    SegmentMapping mapping_ = *SegmentMapping::create(kNow);
    Segment& segment_ = *mapping_;
    std::uint16_t slot_ = *claim_slot(segment_, 1);
    DecisionRing& ring_ = segment_.decisions[slot_];
};

TEST_F(DecisionRings, ARecordIsFoundByItsIdWhileItsRequestRunsAndAfter)
{
    DecisionWriter writer = begin(ring_, 7);
    auto found = find_decision(segment_, id_of(7));
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->worker_lives);
    EXPECT_EQ(found->decision.outcome, RequestOutcome::running);
    EXPECT_EQ(found->decision.user.view(), "local");
    writer.edit([](Decision& decision) {
        decision.attempts[0].account = {3};
        decision.attempts_total = 1;
        decision.outcome = RequestOutcome::completed;
        decision.status = 200;
    });
    found = find_decision(segment_, id_of(7));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->decision.status, 200);
    ASSERT_EQ(found->decision.attempts_noted(), 1U);
    EXPECT_EQ(found->decision.attempts[0].account.value, 3);
    EXPECT_FALSE(find_decision(segment_, id_of(8)));
    EXPECT_FALSE(find_decision(segment_, "7"));
    EXPECT_FALSE(find_decision(segment_, ""));
}

TEST_F(DecisionRings, TheOldestGivesWayAndItsWriterWritesNoMore)
{
    DecisionWriter old = begin(ring_, 0);
    old.edit([](Decision& decision) {
        decision.attempts_total = 4;
        decision.queue_ms = 9;
    });
    for (std::uint64_t i = 1; i < kDecisionsPerSlot; ++i)
        (void)begin(ring_, i);
    EXPECT_TRUE(find_decision(segment_, id_of(0)));
    (void)begin(ring_, kDecisionsPerSlot);
    EXPECT_FALSE(find_decision(segment_, id_of(0)));
    old.edit([](Decision& decision) { decision.user = "ghost"; });
    const auto next = find_decision(segment_, id_of(kDecisionsPerSlot));
    ASSERT_TRUE(next);
    EXPECT_EQ(next->decision.user.view(), "local");
    EXPECT_EQ(next->decision.attempts_total, 0) << "nothing of the old record shines through";
    EXPECT_EQ(next->decision.queue_ms, 0U);
    EXPECT_TRUE(find_decision(segment_, id_of(1)));
    DecisionWriter().edit([](Decision&) { FAIL() << "an empty writer writes nowhere"; });
}

TEST_F(DecisionRings, AKilledWorkersRequestsAreStillFoundAndItsSuccessorGoesOn)
{
    const pid_t pid = fork();
    if (pid == 0) {
        (void)begin(ring_, 1);
        DecisionWriter torn = begin(ring_, 2);
        torn.edit([](Decision& decision) {
            decision.status = 999;
            kill(getpid(), SIGKILL);
        });
    }
    int status = 0;
    waitpid(pid, &status, 0);
    (void)close_slot(segment_, slot_, kNow);
    auto found = find_decision(segment_, id_of(1));
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->worker_lives);
    EXPECT_EQ(found->decision.outcome, RequestOutcome::running);
    EXPECT_FALSE(find_decision(segment_, id_of(2))) << "half-written: skipped";

    ASSERT_EQ(claim_slot(segment_, 2), slot_);
    for (std::uint64_t i = 3; i < kDecisionsPerSlot; ++i)
        (void)begin(ring_, i, 2);
    found = find_decision(segment_, id_of(1));
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->worker_lives) << "another process has the slot now";
    EXPECT_TRUE(find_decision(segment_, id_of(3))->worker_lives);
    // The successor comes round to the torn record and uses it like any other.
    for (std::uint64_t i = 1000; i < 1003; ++i)
        (void)begin(ring_, i, 2);
    EXPECT_TRUE(find_decision(segment_, id_of(1002)));
}

TEST_F(DecisionRings, AReaderNeverSeesAHalfWrittenRecord)
{
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        DecisionWriter record = begin(ring_, 5);
        for (std::uint32_t i = 0; !stop; ++i) {
            record.edit([i](Decision& decision) {
                decision.queue_ms = i;
                for (DecisionAttempt& attempt : decision.attempts)
                    attempt.ms = i;
                decision.duration_ms = i;
            });
        }
    });
    int seen = 0;
    while (seen < 2000) {
        const auto found = find_decision(segment_, id_of(5));
        if (!found) continue;
        ++seen;
        EXPECT_EQ(found->decision.queue_ms, found->decision.duration_ms);
        for (const DecisionAttempt& attempt : found->decision.attempts)
            EXPECT_EQ(attempt.ms, found->decision.duration_ms);
    }
    stop = true;
    writer.join();
}

} // namespace
} // namespace shared
