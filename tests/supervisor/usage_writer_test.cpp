#include "shared/base/clock.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"
#include "shared/segment/worker_slots.hpp"
#include "supervisor/usage_writer.hpp"
#include "tests/supervisor/usage_fixture.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <future>
#include <string_view>

namespace supervisor::test {
namespace {

class UsageWriterTest : public ::testing::Test {
protected:
    void SetUp() override
    {
        writer = make();
        slot = *shared::claim_slot(*segment, 1);
    }

    std::unique_ptr<UsageWriter> make(std::uint32_t retention_days = 30)
    {
        auto db = UsageDb::open(file);
        if (!db) ADD_FAILURE() << db.error().text();
        auto made = UsageWriter::create(*segment, std::move(*db), retention_days);
        if (!made) ADD_FAILURE() << made.error().text();
        return std::move(*made);
    }

    void publish_account(std::uint16_t index, std::string_view id)
    {
        shared::AccountIdentity identity;
        identity.id = id;
        segment->accounts[index].with_lock(
            [&](shared::AccountRecord& record) { shared::write_identity(record, identity); });
        segment->account_slots.store(index + 1U);
    }

    /// As a worker does: a request that ran and ended.
    void finish_request(const shared::UsageEntry& e)
    {
        auto running = shared::RunningRequest::begin(*segment, slot, e);
        ASSERT_TRUE(running);
        running->finish(shared::RequestOutcome::completed, kNow);
    }

    /// One second later, one round.
    void step() { writer->step(kNow, steady_us += 1'100'000); }

    tests::TempDir folder;
    std::filesystem::path file = folder.path() / "proxy.db";
    shared::SegmentMapping segment = std::move(*shared::SegmentMapping::create(kNow));
    std::unique_ptr<UsageWriter> writer;
    std::uint16_t slot = 0;
    std::int64_t steady_us = 1'000'000'000;
};

TEST_F(UsageWriterTest, CarriesUsageFromTheRingIntoDatabaseAndTotals)
{
    publish_account(0, "codex:a");
    writer->watch(slot);
    finish_request(entry(0, 10));
    finish_request(entry(0, 20));
    step();
    EXPECT_EQ(query(file, "SELECT sum(input_tokens) FROM requests WHERE account='codex:a'"), "30");
    EXPECT_EQ(segment->totals[0].requests, 2);
    EXPECT_EQ(segment->totals[0].input, 30);
    EXPECT_EQ(segment->usage_rows_waiting, 0U);
}

TEST_F(UsageWriterTest, LoadsTheTotalsOfEarlierRunsWhenAnAccountAppears)
{
    publish_account(0, "codex:a");
    writer->watch(slot);
    finish_request(entry(0, 10));
    step();
    writer.reset();

    // Another run: the same account stands elsewhere, and appears later than its usage is asked for.
    shared::SegmentMapping other = std::move(*shared::SegmentMapping::create(kNow));
    auto db = UsageDb::open(file);
    auto again = UsageWriter::create(*other, std::move(*db), 30);
    ASSERT_TRUE(again);
    (*again)->step(kNow, 1);
    EXPECT_EQ(other->totals[1].input, 0);
    shared::AccountIdentity identity;
    identity.id = "codex:a";
    other->accounts[1].with_lock(
        [&](shared::AccountRecord& record) { shared::write_identity(record, identity); });
    other->account_slots.store(2);
    (*again)->step(kNow, 2);
    EXPECT_EQ(other->totals[1].input, 10);
    (*again)->step(kNow, 3);
    EXPECT_EQ(other->totals[1].input, 10); // once
    EXPECT_EQ(other->totals[0].input, 0);
}

TEST_F(UsageWriterTest, TakesWhatADeadWorkerLeft)
{
    publish_account(0, "codex:a");
    writer->watch(slot);
    finish_request(entry(0, 10));
    auto running = shared::RunningRequest::begin(*segment, slot, entry(shared::AccountSlot::kNone));
    running->assign({0});
    running->entry().input = 7;
    segment->workers[slot].pid = 4711;

    shared::clear_in_flight(*segment, slot);
    EXPECT_EQ(shared::in_flight(*segment, {0}), 0U);
    writer->close(slot);
    step();
    EXPECT_EQ(query(file, "SELECT sum(input_tokens) FROM requests"), "17");
    EXPECT_EQ(query(file, "SELECT input_tokens FROM requests WHERE outcome='worker_killed'"), "7");
    EXPECT_EQ(segment->workers[slot].state.load(), shared::SlotState::free);
}

TEST_F(UsageWriterTest, RowsWaitWhileTheDiskIsFullAndAreWrittenLater)
{
    publish_account(0, "codex:a");
    writer->watch(slot);
    {
        const FullDisk full(1024);
        for (int i = 0; i < 500; ++i)
            finish_request(entry(0, 10));
        step();
        EXPECT_EQ(segment->usage_rows_waiting, 500U);
        finish_request(entry(0, 10));
        steady_us += 40'000'000; // beyond any back-off
        step();
        EXPECT_EQ(segment->usage_rows_waiting, 501U);
        EXPECT_EQ(segment->totals[0].requests, 501); // counted all the same
    }
    step(); // too early
    EXPECT_EQ(query(file, "SELECT count(*) FROM requests"), "0");
    steady_us += 40'000'000;
    step();
    EXPECT_EQ(query(file, "SELECT count(*) FROM requests"), "501");
    EXPECT_EQ(segment->usage_rows_waiting, 0U);
}

TEST_F(UsageWriterTest, FoldsRowsBeyondTheBoundAndLosesNoToken)
{
    publish_account(0, "codex:a");
    writer->watch(slot);
    constexpr std::size_t kExtra = 1000;
    {
        const FullDisk full(1024);
        std::size_t left = UsageBacklog::kRowsMax + kExtra;
        while (left > 0) {
            const std::size_t now = std::min<std::size_t>(left, shared::kUsageRingEntries);
            for (std::size_t i = 0; i < now; ++i)
                finish_request(entry(0, 1));
            left -= now;
            writer->step(kNow, ++steady_us);
        }
        EXPECT_EQ(segment->usage_rows_waiting, UsageBacklog::kRowsMax);
        EXPECT_EQ(segment->usage_rows_folded, kExtra);
    }
    for (int i = 0; i < 30 && !writer->backlog().empty(); ++i) {
        steady_us += 40'000'000;
        step();
    }
    EXPECT_EQ(query(file, "SELECT count(*) FROM requests"), "100000");
    EXPECT_EQ(query(file, "SELECT sum(input_tokens) FROM usage_hourly"), "101000");
    EXPECT_EQ(query(file, "SELECT sum(requests) FROM usage_hourly"), "101000");
}

TEST_F(UsageWriterTest, StopWritesEverythingThatIsLeft)
{
    publish_account(0, "codex:a");
    writer->watch(slot);
    writer->start();
    std::promise<void> ran;
    writer->post([&] { ran.set_value(); });
    ran.get_future().wait();
    for (int i = 0; i < 100; ++i)
        finish_request(entry(0, 1));
    writer->close(slot);
    writer->stop();
    EXPECT_EQ(query(file, "SELECT count(*) FROM requests"), "100");
}

/// Of a request of its own.
shared::UsageEntry numbered(char number, std::int64_t tokens = 10)
{
    shared::UsageEntry e = entry(0, tokens);
    e.request_id[0] = number;
    return e;
}

TEST_F(UsageWriterTest, CountsWhatAnotherProcessWrites)
{
    publish_account(0, "codex:a");
    writer->watch(slot);
    finish_request(numbered('1'));
    step();
    shared::SegmentMapping other = std::move(*shared::SegmentMapping::create(kNow));
    const std::uint16_t theirs = *shared::claim_slot(*other, 1);
    shared::AccountIdentity identity;
    identity.id = "codex:a";
    other->accounts[0].with_lock(
        [&](shared::AccountRecord& record) { shared::write_identity(record, identity); });
    other->account_slots.store(1);
    const auto drainer = UsageWriter::create_waiting(*other, 0);
    auto database = UsageDb::open_beside(file);
    ASSERT_TRUE(database) << database.error().text();
    ASSERT_TRUE(drainer->open(std::move(*database)));
    drainer->watch(theirs);
    auto running = shared::RunningRequest::begin(*other, theirs, numbered('2', 30));
    running->finish(shared::RequestOutcome::completed, kNow);
    drainer->step(kNow, steady_us);
    EXPECT_EQ(query(file, "SELECT count(*) FROM requests"), "2");
    for (int i = 0; i < 4; ++i)
        step();
    EXPECT_EQ(segment->totals[0].requests, 2);
    EXPECT_EQ(segment->totals[0].input, 40);
    finish_request(numbered('3'));
    step();
    EXPECT_EQ(segment->totals[0].requests, 3);
}

TEST_F(UsageWriterTest, AnotherGoesOnAfterAPauseAndThenItselfAgain)
{
    publish_account(0, "codex:a");
    writer->watch(slot);
    writer->start();
    finish_request(numbered('1'));
    ASSERT_TRUE(writer->pause());
    const auto other = make();
    finish_request(numbered('2'));
    other->watch(slot);
    other->start();
    ASSERT_TRUE(other->pause());
    writer->start();
    finish_request(numbered('3'));
    writer->stop();
    EXPECT_EQ(query(file, "SELECT count(*) FROM requests"), "3");
    EXPECT_EQ(query(file, "SELECT count(DISTINCT request_id) FROM requests"), "3");
}

TEST_F(UsageWriterTest, WatchingTwiceCountsOnce)
{
    publish_account(0, "codex:a");
    writer->watch(slot);
    writer->watch(slot);
    finish_request(entry());
    step();
    EXPECT_EQ(query(file, "SELECT count(*) FROM requests"), "1");
}

TEST_F(UsageWriterTest, PrunesOldRowsAMinuteAfterTheStart)
{
    publish_account(0, "codex:a");
    writer->watch(slot);
    shared::UsageEntry old = entry();
    old.started_at = kNow.plus(-std::chrono::hours(24 * 31));
    auto running = shared::RunningRequest::begin(*segment, slot, old);
    running->finish(shared::RequestOutcome::completed, old.started_at);
    finish_request(entry());
    step();
    EXPECT_EQ(query(file, "SELECT count(*) FROM requests"), "2");
    steady_us += 70'000'000;
    step();
    EXPECT_EQ(query(file, "SELECT count(*) FROM requests"), "1");
    EXPECT_EQ(query(file, "SELECT sum(requests) FROM usage_hourly"), "2");
}

TEST_F(UsageWriterTest, TrustsNoAccountIndexOfAnotherProcess)
{
    writer->watch(slot);
    finish_request(entry(200, 10)); // no such account was ever published
    step();
    EXPECT_EQ(query(file, "SELECT account||input_tokens FROM requests"), "10");
}

} // namespace
} // namespace supervisor::test
