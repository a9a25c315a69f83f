#include "shared/segment/account_table.hpp"
#include "shared/segment/pin_table.hpp"
#include "shared/segment/segment.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

namespace shared {
namespace {

/// Runs `body` in a child and kills it with SIGKILL from inside.
template <class Body>
void die_inside(Body body)
{
    const pid_t pid = fork();
    if (pid == 0) {
        body();
        _exit(1); // not reached
    }
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(RobustMutex, AHolderKilledInsideLeavesALockTheNextOneGets)
{
    auto segment = SegmentMapping::create({1});
    ASSERT_TRUE(segment.has_value());
    auto& account = (*segment)->accounts[0];
    account.with_lock([](AccountRecord& record) { record.routing.penalty_milli = 7; });
    die_inside([&] {
        account.with_lock([](AccountRecord& record) {
            record.routing.penalty_milli = 8;
            kill(getpid(), SIGKILL);
        });
    });
    const auto penalty =
        account.with_lock([](AccountRecord& record) { return record.routing.penalty_milli; });
    EXPECT_EQ(penalty, 0U) << "numbers become unknown";
    EXPECT_EQ(account.repair_count(), 1U);
}

TEST(RobustMutex, AnIdentityTornByAKillIsTheOldOneAgain)
{
    auto segment = SegmentMapping::create({1});
    ASSERT_TRUE(segment.has_value());
    auto& account = (*segment)->accounts[0];
    AccountIdentity first;
    first.id = "codex:first";
    account.with_lock([&](AccountRecord& record) {
        record.routing.state = AccountState::ready;
        write_identity(record, first);
    });
    die_inside([&] {
        account.with_lock([](AccountRecord& record) {
            record.shadow = record.identity;
            record.identity_writing = 1;
            record.identity.id.assign("codex:sec"); // torn
            kill(getpid(), SIGKILL);
        });
    });
    const auto id = account.with_lock([](AccountRecord& record) { return record.identity.id; });
    EXPECT_EQ(id.view(), "codex:first");
}

TEST(RobustMutex, ATokenWriterKilledInsideLeavesTheOldWholeToken)
{
    auto segment = SegmentMapping::create({1});
    ASSERT_TRUE(segment.has_value());
    ASSERT_TRUE(store_token(**segment, {0}, "old-token"));
    die_inside([&] {
        (*segment)->tokens[0].with_lock([](TokenRecord& record) {
            auto& half = record.halves[record.active == 0 ? 1 : 0];
            half.bytes.fill('x');
            half.size = 4000;
            kill(getpid(), SIGKILL);
        });
    });
    EXPECT_EQ(load_token(**segment, {0}), "old-token");
}

TEST(RobustMutex, AKillStormLeavesEveryPinWhole)
{
    auto segment = SegmentMapping::create({1});
    ASSERT_TRUE(segment.has_value());
    constexpr int kRounds = 60;
    for (int round = 0; round < kRounds; ++round) {
        int ready[2];
        ASSERT_EQ(pipe(ready), 0);
        const pid_t pid = fork();
        if (pid == 0) {
            for (std::uint64_t i = 0;; ++i) {
                if (i == 1 && write(ready[1], "r", 1) != 1) _exit(1);
                const PinKey key{i % 3 * kPinShards, i};
                set_pin(**segment, key, {static_cast<std::uint16_t>(key[1] % 1000)}, {1});
            }
        }
        char byte = 0;
        ASSERT_EQ(read(ready[0], &byte, 1), 1);
        usleep(static_cast<useconds_t>(round * 17));
        kill(pid, SIGKILL);
        int status = 0;
        waitpid(pid, &status, 0);
        close(ready[0]);
        close(ready[1]);
        for (const Pin& pin : all_pins(**segment))
            ASSERT_EQ(pin.account.value, pin.key[1] % 1000);
    }
}

} // namespace
} // namespace shared
