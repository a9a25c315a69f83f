/// The reader against databases written by the real writer.
#include "admin_ui/usage_query.hpp"
#include "supervisor/usage_db.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace {

using namespace admin_ui;

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
    EXPECT_TRUE(query.usage({{}, kTime})->empty());
    EXPECT_TRUE(query.find_requests({})->requests.empty());
    EXPECT_FALSE(query.find_request("req1", 0)->has_value());
    EXPECT_TRUE(query.users()->empty());
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

TEST_F(UsageQueryTest, RangesAreReadByHourOrDayAndUser)
{
    shared::UsageEntry of_ann = entry(0, "m1", kTime.value + kHour);
    of_ann.user = "ann";
    write({entry(0, "m1", kTime.value), entry(1, "m2", kTime.value), of_ann});
    UsageQuery query(path_);
    UsageRange range;
    range.step = UsageStep::hour;
    range.from = {500'000 * kHour};
    range.to = {500'002 * kHour};
    const auto hours = query.usage(range);
    ASSERT_TRUE(hours.has_value()) << hours.error().text();
    ASSERT_EQ(hours->size(), 3U);
    EXPECT_EQ((*hours)[0].at.value, 500'000 * kHour);
    EXPECT_EQ((*hours)[2].user, "ann");
    range.to = {500'001 * kHour};
    EXPECT_EQ(query.usage(range)->size(), 2U);
    range.to = {500'002 * kHour};
    range.user = "ann";
    EXPECT_EQ(query.usage(range)->size(), 1U);

    range.user.clear();
    range.step = UsageStep::day;
    range.from = {499'992 * kHour}; // midnight
    range.to = {500'016 * kHour};
    const auto days = query.usage(range);
    ASSERT_EQ(days->size(), 3U) << "one per user, account and model";
    EXPECT_EQ((*days)[0].at.value, 499'992 * kHour);
    EXPECT_EQ((*days)[0].sums.input, 100);
}

TEST_F(UsageQueryTest, UsersAreKnownWithTheirFirstDayAndLastRequest)
{
    shared::UsageEntry of_ann = entry(0, "m1", kTime.value + 30 * kHour);
    of_ann.user = "ann";
    write({entry(0, "m1", kTime.value), of_ann, entry(0, "m2", kTime.value + 50 * kHour)});
    UsageQuery query(path_);
    const auto users = query.users();
    ASSERT_TRUE(users.has_value());
    ASSERT_EQ(users->size(), 2U);
    EXPECT_EQ((*users)[0].user, "ann");
    EXPECT_EQ((*users)[1].sums.requests, 2);
    EXPECT_EQ((*users)[1].first_seen.value, 499'992 * kHour);
    EXPECT_EQ((*users)[1].sums.last_used.value, kTime.value + 50 * kHour);
}

class RequestSearchTest : public UsageQueryTest {
protected:
    /// `count` requests, one a minute, from the first hour on.
    std::vector<shared::UsageEntry> minutes(int count)
    {
        std::vector<shared::UsageEntry> rows;
        for (int i = 0; i < count; ++i) {
            rows.push_back(entry(0, "m", kTime.value + i * 60'000LL));
            std::snprintf(id_.data(), id_.size(), "%016d", i);
            std::copy_n(id_.begin(), 16, rows.back().request_id.begin());
        }
        return rows;
    }

    static std::vector<std::int64_t> rows_of(const RequestPage& page)
    {
        std::vector<std::int64_t> rows;
        for (const RequestEntry& request : page.requests)
            rows.push_back(request.row);
        return rows;
    }

    RequestPage find(const RequestFilter& filter)
    {
        UsageQuery query(path_);
        auto page = query.find_requests(filter);
        EXPECT_TRUE(page.has_value());
        return page.has_value() ? *page : RequestPage();
    }

    std::array<char, 32> id_{};
};

TEST_F(RequestSearchTest, EveryFilterFindsItsRequestsAlone)
{
    auto rows = minutes(10);
    rows[2].user = "ann";
    rows[3].account = {1};
    rows[4].model.assign("other");
    rows[5].status = 429;
    rows[6].outcome = shared::RequestOutcome::upstream_cut;
    rows[7].status = 503;
    write(rows);
    RequestFilter filter;
    const auto expect = [&](const char* what, std::vector<std::int64_t> expected) {
        const RequestPage page = find(filter);
        EXPECT_EQ(rows_of(page), expected) << what;
        EXPECT_EQ(page.next, 0) << what;
        filter = RequestFilter();
    };
    filter.user = "ann";
    expect("user", {3});
    filter.account = "codex:b";
    expect("account", {4});
    filter.model = "other";
    expect("model", {5});
    filter.status_from = filter.status_to = 429;
    expect("status", {6});
    filter.outcome = "upstream_cut";
    expect("outcome", {7});
    filter.failed = true;
    expect("failed", {8, 7, 6});
    filter.from = {kTime.value + 8 * 60'000};
    expect("from", {10, 9});
    filter.to = {kTime.value + 2 * 60'000};
    expect("to", {2, 1});
    filter.from = {kTime.value + 3 * 60'000};
    filter.to = {kTime.value + 5 * 60'000};
    filter.failed = false;
    expect("both", {5, 4});
    filter.user = "ann";
    filter.model = "other";
    expect("nobody did that", {});
    filter.user = "'; DROP TABLE requests; --";
    expect("a name is a name", {});
}

TEST_F(RequestSearchTest, PagesFollowEachOtherWithoutGapOrRepeat)
{
    write(minutes(25));
    RequestFilter filter;
    filter.limit = 10;
    std::vector<std::int64_t> seen;
    do {
        const RequestPage page = find(filter);
        for (const std::int64_t row : rows_of(page))
            seen.push_back(row);
        filter.before = page.next;
    } while (filter.before != 0);
    ASSERT_EQ(seen.size(), 25U);
    for (std::size_t i = 0; i < seen.size(); ++i)
        EXPECT_EQ(seen[i], 25 - static_cast<std::int64_t>(i));
}

TEST_F(RequestSearchTest, OneSearchLooksAtSoManyRowsAndSaysHowFarItCame)
{
    const int count = static_cast<int>(kRowsSearchedMax) + 500;
    auto rows = minutes(count);
    rows[100].status = 418; // beyond the first search
    write(rows);
    RequestFilter filter;
    filter.status_from = filter.status_to = 418;
    RequestPage page = find(filter);
    EXPECT_TRUE(page.requests.empty());
    EXPECT_EQ(page.next, 501);
    EXPECT_TRUE(page.searched_to.is_set());
    filter.before = page.next;
    page = find(filter);
    EXPECT_EQ(rows_of(page), std::vector<std::int64_t>{101});
    EXPECT_EQ(page.next, 0);
    EXPECT_FALSE(page.searched_to.is_set());
}

TEST_F(RequestSearchTest, WhatARollUpKnowsIsFoundHoweverFarBack)
{
    auto rows = minutes(static_cast<int>(kRowsSearchedMax) + 5000);
    rows[3].user = "ann"; // 17 days before the newest
    write(rows);
    RequestFilter filter;
    filter.user = "ann";
    const RequestPage page = find(filter);
    EXPECT_EQ(rows_of(page), std::vector<std::int64_t>{4});
    EXPECT_EQ(page.next, 0);
}

TEST_F(RequestSearchTest, OneIsFoundByItsIdOrItsRow)
{
    write(minutes(30));
    UsageQuery query(path_);
    const auto by_id = query.find_request("0000000000000007", 0);
    ASSERT_TRUE(by_id.has_value() && by_id->has_value());
    EXPECT_EQ((*by_id)->row, 8);
    EXPECT_EQ((*query.find_request("0000000000000007", 8))->row, 8);
    EXPECT_FALSE(query.find_request("0000000000000007", 9)->has_value()) << "another one's row";
    EXPECT_FALSE(query.find_request("ffffffffffffffff", 0)->has_value());
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
