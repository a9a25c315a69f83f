/// The reader against databases written by the real writer.
#include "admin_ui/usage_query.hpp"
#include "supervisor/usage_db.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace {

using admin_ui::UsageQuery;

constexpr std::int64_t kHour = 3'600'000;
constexpr shared::UnixMillis kTime{500'000 * kHour + 1000};

shared::UsageEntry entry(std::uint16_t account, std::string_view model, std::int64_t finished_ms)
{
    shared::UsageEntry row;
    row.request_id = {'r', 'e', 'q', '1'};
    row.started_at = {finished_ms - 100};
    row.finished_at = {finished_ms};
    row.user = "local";
    row.model.assign(model);
    row.input = 100;
    row.cached_input = 60;
    row.cache_creation = 10;
    row.output = 7;
    row.reasoning = 3;
    row.duration_ms = 100;
    row.first_byte_ms = 20;
    row.own_us = 55;
    row.account = {account};
    row.status = 200;
    row.provider = 1;
    row.attempts = 2;
    row.outcome = shared::RequestOutcome::completed;
    row.path = "/v1/responses";
    return row;
}

std::string_view name_of(shared::AccountSlot slot)
{
    return slot.value == 0 ? "codex:a" : "codex:b";
}

class UsageQueryTest : public testing::Test {
protected:
    void write(const std::vector<shared::UsageEntry>& rows)
    {
        auto db = supervisor::UsageDb::open(path_);
        ASSERT_TRUE(db.has_value()) << db.error().text();
        supervisor::UsageBacklog backlog;
        for (const auto& row : rows)
            backlog.add(row, name_of(row.account));
        ASSERT_TRUE(db->write(backlog, rows.size(), name_of).has_value());
    }

    tests::TempDir folder_;
    std::filesystem::path path_ = folder_.path() / "proxy.db";
};

TEST_F(UsageQueryTest, AMissingDatabaseIsFineAndIsFoundOnceItIsThere)
{
    UsageQuery query(path_);
    ASSERT_TRUE(query.model_sums().has_value());
    EXPECT_TRUE(query.model_sums()->empty());
    EXPECT_TRUE(query.recent_requests(10)->empty());
    EXPECT_TRUE(query.hours({})->empty());
    EXPECT_FALSE(std::filesystem::exists(path_)) << "a reader makes nothing";
    write({entry(0, "m", kTime.value)});
    EXPECT_EQ(query.model_sums()->size(), 1U);
}

TEST_F(UsageQueryTest, ReadsSumsPerAccountAndModel)
{
    write(
        {entry(0, "m1", kTime.value),
         entry(0, "m1", kTime.value + 2 * kHour),
         entry(0, "m2", kTime.value),
         entry(1, "m1", kTime.value)});
    UsageQuery query(path_);
    const auto sums = query.model_sums();
    ASSERT_TRUE(sums.has_value()) << sums.error().text();
    ASSERT_EQ(sums->size(), 3U);
    const auto& first = (*sums)[0];
    EXPECT_EQ(first.account, "codex:a");
    EXPECT_EQ(first.model, "m1");
    EXPECT_EQ(first.sums.requests, 2);
    EXPECT_EQ(first.sums.input, 200);
    EXPECT_EQ(first.sums.cached_input, 120);
    EXPECT_EQ(first.sums.cache_creation, 20);
    EXPECT_EQ(first.sums.output, 14);
    EXPECT_EQ(first.sums.reasoning, 6);
    EXPECT_EQ(first.sums.last_used.value, kTime.value + 2 * kHour);
}

TEST_F(UsageQueryTest, ReadsTheNewestRequestsFirst)
{
    write({entry(0, "old", kTime.value), entry(1, "new", kTime.value + 5)});
    UsageQuery query(path_);
    const auto rows = query.recent_requests(1);
    ASSERT_TRUE(rows.has_value()) << rows.error().text();
    ASSERT_EQ(rows->size(), 1U);
    const auto& row = (*rows)[0];
    EXPECT_EQ(row.model, "new");
    EXPECT_EQ(row.request_id, "req1");
    EXPECT_EQ(row.account, "codex:b");
    EXPECT_EQ(row.provider, "codex");
    EXPECT_EQ(row.user, "local");
    EXPECT_EQ(row.path, "/v1/responses");
    EXPECT_EQ(row.status, 200);
    EXPECT_EQ(row.attempts, 2);
    EXPECT_EQ(row.outcome, "completed");
    EXPECT_EQ(row.tokens.input, 100);
    EXPECT_EQ(row.tokens.reasoning, 3);
    EXPECT_EQ(row.duration_ms, 100);
    EXPECT_EQ(row.first_byte_ms, 20);
    EXPECT_EQ(row.own_us, 55);
}

TEST_F(UsageQueryTest, HoursAreSummedOverEverything)
{
    write(
        {entry(0, "m1", kTime.value),
         entry(1, "m2", kTime.value),
         entry(0, "m1", kTime.value + kHour)});
    UsageQuery query(path_);
    const auto all = query.hours({});
    ASSERT_TRUE(all.has_value());
    ASSERT_EQ(all->size(), 2U);
    EXPECT_EQ((*all)[0].hour.value, 500'000 * kHour);
    EXPECT_EQ((*all)[0].sums.requests, 2);
    EXPECT_EQ(query.hours({500'001 * kHour})->size(), 1U);
}

TEST_F(UsageQueryTest, SeesWhatAnOpenWriterCommits)
{
    write({entry(0, "m", kTime.value)});
    UsageQuery query(path_);
    EXPECT_EQ(query.recent_requests(10)->size(), 1U);
    auto db = supervisor::UsageDb::open(path_);
    ASSERT_TRUE(db.has_value());
    supervisor::UsageBacklog backlog;
    backlog.add(entry(0, "m", kTime.value + 1), "codex:a");
    ASSERT_TRUE(db->write(backlog, 1, name_of).has_value());
    EXPECT_EQ(query.recent_requests(10)->size(), 2U);
}

TEST_F(UsageQueryTest, AtMostSoManyRequestsAreRead)
{
    std::vector<shared::UsageEntry> rows;
    for (std::size_t i = 0; i < admin_ui::kRequestEntriesMax + 5; ++i)
        rows.push_back(entry(0, "m", kTime.value + static_cast<std::int64_t>(i)));
    write(rows);
    UsageQuery query(path_);
    EXPECT_EQ(query.recent_requests(1'000'000)->size(), admin_ui::kRequestEntriesMax);
}

TEST_F(UsageQueryTest, AFileThatIsNoDatabaseIsAProblemThatNamesIt)
{
    folder_.write("proxy.db", std::string(8192, 'x'));
    UsageQuery query(path_);
    const auto sums = query.model_sums();
    ASSERT_FALSE(sums.has_value());
    EXPECT_EQ(sums.error().where, path_.string());
}

} // namespace
