#include "supervisor/usage_db.hpp"
#include "tests/supervisor/usage_fixture.hpp"
#include "tests/support/as_nobody.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include <sys/stat.h>

namespace supervisor::test {
namespace {

using ::testing::HasSubstr;

class UsageDbTest : public ::testing::Test {
protected:
    UsageDb open_ok()
    {
        auto db = UsageDb::open(file);
        if (!db) ADD_FAILURE() << db.error().text();
        return std::move(*db);
    }

    std::string open_error()
    {
        auto db = UsageDb::open(file);
        return db ? "it opened" : db.error().text();
    }

    /// As a pool of that version left it.
    void back_to_version_2() const
    {
        for (const char* sql :
             {"DROP TABLE usage_daily",
              "ALTER TABLE requests DROP COLUMN queued_ms",
              "ALTER TABLE requests DROP COLUMN connect_ms",
              "PRAGMA user_version = 2"})
            query(file, sql);
    }

    tests::TempDir folder;
    std::filesystem::path file = folder.path() / "sub/proxy.db";
};

TEST_F(UsageDbTest, MakesAPrivateFileInAPrivateFolder)
{
    open_ok();

    struct stat status {};

    ASSERT_EQ(stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    ASSERT_EQ(stat(file.parent_path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700U);
    EXPECT_EQ(query(file, "PRAGMA user_version"), "3");
    EXPECT_EQ(query(file, "PRAGMA journal_mode"), "wal");
}

TEST_F(UsageDbTest, WritesRowsAndRollUpsTogether)
{
    UsageDb db = open_ok();
    UsageBacklog backlog;
    backlog.add(entry(0, 10), "codex:a");
    backlog.add(entry(0, 20), "codex:a");
    shared::UsageEntry failed = entry(1, 5);
    failed.status = 429;
    backlog.add(failed, "codex:b");
    shared::UsageEntry nobody = entry(shared::AccountSlot::kNone, 0);
    nobody.outcome = shared::RequestOutcome::refused;
    backlog.add(nobody, "");
    ASSERT_TRUE(db.write(backlog, backlog.rows().size(), account_name));

    EXPECT_EQ(query(file, "SELECT count(*) FROM requests"), "4");
    EXPECT_EQ(
        query(
            file, "SELECT request_id||provider||account||outcome||status FROM requests WHERE id=1"),
        "0123456789abcdefcodexcodex:acompleted200");
    EXPECT_EQ(
        query(file, "SELECT requests||'/'||input_tokens FROM usage_hourly WHERE account='codex:a'"),
        "2/30");
    EXPECT_EQ(query(file, "SELECT failed_requests FROM usage_hourly WHERE account='codex:b'"), "1");
    EXPECT_EQ(query(file, "SELECT requests FROM usage_hourly WHERE account=''"), "1");
    EXPECT_EQ(query(file, "SELECT min(hour % 3600000) FROM usage_hourly"), "0");

    const auto totals = db.account_totals();
    ASSERT_TRUE(totals);
    EXPECT_EQ(totals->size(), 2U); // what no account answered has no total
    EXPECT_EQ(totals->find("codex:a")->second.input, 30);
    EXPECT_EQ(totals->find("codex:a")->second.last_used_ms, entry().finished_at.value);
}

TEST_F(UsageDbTest, RowsThatShareValuesWithTheOneBeforeKeepTheirOwn)
{
    UsageDb db = open_ok();
    UsageBacklog backlog;
    const auto add = [&](std::string_view model, std::string_view user, std::int64_t input) {
        shared::UsageEntry row = entry(0, input);
        row.model = model;
        row.user = user;
        backlog.add(row, "codex:a");
    };
    add("long-model-name-that-fills-more-than-a-short-string", "ann", 1);
    add("short", "ann", 1);
    add("short", "bob", 0);
    add("", "bob", 0);
    add("short", "", 1);
    add("shorT", "", 1);
    ASSERT_TRUE(db.write(backlog, backlog.rows().size(), account_name));
    // Other rows in the same memory.
    backlog.written(backlog.rows().size());
    add("other", "", 2);
    ASSERT_TRUE(db.write(backlog, backlog.rows().size(), account_name));
    EXPECT_EQ(
        query(
            file,
            "SELECT group_concat(model||'/'||user||'/'||input_tokens||'/'||account, ' ') FROM "
            "requests"),
        "long-model-name-that-fills-more-than-a-short-string/ann/1/codex:a short/ann/1/codex:a"
        " short/bob/0/codex:a /bob/0/codex:a short//1/codex:a shorT//1/codex:a other//2/codex:a");
}

TEST_F(UsageDbTest, AddsToTheRollUpOfAnEarlierRun)
{
    UsageBacklog backlog;
    backlog.add(entry(0, 10), "codex:a");
    ASSERT_TRUE(open_ok().write(backlog, 1, account_name));
    ASSERT_TRUE(open_ok().write(backlog, 1, account_name));
    EXPECT_EQ(query(file, "SELECT sum(input_tokens) FROM usage_hourly"), "20");
    EXPECT_EQ(query(file, "SELECT count(*) FROM usage_hourly"), "1");
}

TEST_F(UsageDbTest, DeletesOldRowsInSmallBatchesAndKeepsRollUps)
{
    UsageDb db = open_ok();
    UsageBacklog backlog;
    for (int i = 0; i < 25; ++i)
        backlog.add(entry(), "codex:a");
    ASSERT_TRUE(db.write(backlog, 25, account_name));
    EXPECT_EQ(*db.delete_before(kNow, 10), 10U);
    EXPECT_EQ(*db.delete_before(kNow, 10), 10U);
    EXPECT_EQ(*db.delete_before(kNow, 10), 5U);
    EXPECT_EQ(*db.delete_before(kNow, 10), 0U);
    EXPECT_EQ(query(file, "SELECT sum(requests) FROM usage_hourly"), "25");
}

TEST_F(UsageDbTest, MigratesAnOlderVersionAndKeepsItsRows)
{
    UsageBacklog backlog;
    backlog.add(entry(), "codex:a");
    ASSERT_TRUE(open_ok().write(backlog, 1, account_name));
    const std::array<Migration, 4> newer{
        usage_migrations()[0],
        usage_migrations()[1],
        usage_migrations()[2],
        "ALTER TABLE requests ADD COLUMN note TEXT NOT NULL DEFAULT 'x';"};
    auto db = UsageDb::open(file, newer);
    ASSERT_TRUE(db) << db.error().text();
    EXPECT_EQ(query(file, "SELECT note||input_tokens FROM requests"), "x10");
    EXPECT_EQ(query(file, "PRAGMA user_version"), "4");
}

TEST_F(UsageDbTest, RowsOfVersion1NameNoConversation)
{
    UsageBacklog backlog;
    shared::UsageEntry with = entry();
    with.conversation = 0xF000000000000001;
    backlog.add(with, "codex:a");
    ASSERT_TRUE(open_ok().write(backlog, 1, account_name));
    EXPECT_EQ(
        query(file, "SELECT conversation FROM requests"),
        std::to_string(static_cast<std::int64_t>(with.conversation)));
    back_to_version_2();
    query(file, "ALTER TABLE requests DROP COLUMN conversation");
    query(file, "PRAGMA user_version = 1");
    ASSERT_TRUE(open_ok().write(backlog, 1, account_name));
    EXPECT_EQ(query(file, "SELECT count(*) FROM requests WHERE conversation = 0"), "1");
    EXPECT_EQ(query(file, "SELECT count(*) FROM requests"), "2");
}

TEST_F(UsageDbTest, DaysAreTheSumsOfTheirHours)
{
    constexpr std::int64_t kHour = 3'600'000;
    UsageBacklog backlog;
    const std::int64_t midnight = kNow.value / (24 * kHour) * (24 * kHour);
    for (const std::int64_t at : {midnight - 1, midnight, midnight + 5 * kHour}) {
        shared::UsageEntry one = entry();
        one.started_at = one.finished_at = {at};
        one.queued_ms = 7;
        one.connect_ms = 9;
        backlog.add(one, "codex:a");
    }
    ASSERT_TRUE(open_ok().write(backlog, 3, account_name));
    const char* days = "SELECT group_concat(day||':'||requests||':'||input_tokens||':'||last_used)"
                       " FROM usage_daily";
    const std::string expected =
        std::to_string(midnight - 24 * kHour) + ":1:10:" + std::to_string(midnight - 1) + "," +
        std::to_string(midnight) + ":2:20:" + std::to_string(midnight + 5 * kHour);
    EXPECT_EQ(query(file, days), expected);
    EXPECT_EQ(query(file, "SELECT sum(queued_ms)||'/'||sum(connect_ms) FROM requests"), "21/27");

    // What an older version wrote is summed when it is opened.
    back_to_version_2();
    open_ok();
    EXPECT_EQ(query(file, days), expected);
    EXPECT_EQ(query(file, "SELECT sum(queued_ms) FROM requests"), "0");
    EXPECT_EQ(query(file, "PRAGMA user_version"), "3");
}

TEST_F(UsageDbTest, AFailedMigrationLeavesTheOldVersion)
{
    open_ok();
    const std::array<Migration, 4> broken{
        usage_migrations()[0],
        usage_migrations()[1],
        usage_migrations()[2],
        "CREATE TABLE extra(a); INSERT INTO nowhere VALUES (1);"};
    EXPECT_FALSE(UsageDb::open(file, broken));
    EXPECT_EQ(query(file, "PRAGMA user_version"), "3");
    EXPECT_EQ(query(file, "SELECT count(*) FROM sqlite_schema WHERE name='extra'"), "0");
    open_ok();
}

TEST_F(UsageDbTest, RefusesANewerVersion)
{
    open_ok();
    query(file, "PRAGMA user_version = 7");
    EXPECT_THAT(open_error(), HasSubstr("newer version (schema 7, this one knows 3)"));
    EXPECT_EQ(query(file, "PRAGMA user_version"), "7");
}

TEST_F(UsageDbTest, NamesTheBoltDatabaseOfThePredecessorAndLeavesIt)
{
    std::filesystem::create_directories(file.parent_path());
    std::string bolt(4096, '\0');
    bolt[8] = 4; // a meta page
    bolt.replace(16, 4, "\xED\xDA\x0C\xED", 4);
    write_file(file, bolt);
    EXPECT_THAT(open_error(), HasSubstr("BoltDB"));
    EXPECT_EQ(file_bytes(file), bolt);
}

TEST_F(UsageDbTest, RefusesFilesThatAreNoDatabaseAndLeavesThem)
{
    std::filesystem::create_directories(file.parent_path());
    for (const std::string bytes : {"x", "hello world, this is some text\n", "SQLite format"}) {
        write_file(file, bytes);
        EXPECT_THAT(open_error(), HasSubstr("is not an SQLite database")) << bytes;
        EXPECT_EQ(file_bytes(file), bytes);
    }
}

TEST_F(UsageDbTest, RefusesAnotherProgramsDatabase)
{
    std::filesystem::create_directories(file.parent_path());
    write_file(file, "");
    query(file, "CREATE TABLE theirs(a)");
    EXPECT_THAT(open_error(), HasSubstr("another program"));
    EXPECT_EQ(query(file, "SELECT count(*) FROM sqlite_schema"), "1");
}

TEST_F(UsageDbTest, RefusesADamagedDatabaseAndLeavesIt)
{
    {
        UsageDb db = open_ok();
        UsageBacklog backlog;
        for (int i = 0; i < 2000; ++i)
            backlog.add(entry(), "codex:a");
        ASSERT_TRUE(db.write(backlog, 2000, account_name));
    }
    std::string bytes = file_bytes(file);
    ASSERT_GT(bytes.size(), 100'000U);
    const std::string head = bytes.substr(0, 100);

    // Zeroes over inner pages; then cut off; then only the head is left.
    std::string zeroed = bytes;
    std::fill(zeroed.begin() + 4096, zeroed.begin() + 90'000, '\0');
    for (const std::string& damaged : {zeroed, bytes.substr(0, 50'000), head}) {
        write_file(file, damaged);
        EXPECT_THAT(open_error(), HasSubstr("left as it is")) << damaged.size();
        EXPECT_EQ(file_bytes(file), damaged);
    }
}

TEST_F(UsageDbTest, RefusesWhatIsNoFile)
{
    std::filesystem::create_directories(file);
    EXPECT_THAT(open_error(), HasSubstr("Is a directory"));
    file = folder.path() / "file/proxy.db";
    write_file(folder.path() / "file", "x");
    EXPECT_THAT(open_error(), HasSubstr((folder.path() / "file").string()));
}

TEST_F(UsageDbTest, SaysThatAFolderIsReadOnly)
{
    open_ok();
    chmod(file.c_str(), 0444);
    chmod(file.parent_path().c_str(), 0555);
    chmod(folder.path().c_str(), 0755);
    std::string error;
    std::string other;
    {
        const tests::AsNobody nobody;
        error = open_error();
        file = file.parent_path() / "new.db";
        other = open_error();
    }
    EXPECT_THAT(error, HasSubstr("writable for this user"));
    EXPECT_THAT(other, HasSubstr("writable for this user"));
}

TEST_F(UsageDbTest, AFullDiskLosesNothingThatWasWrittenAndWorksAgainLater)
{
    UsageDb db = open_ok();
    UsageBacklog backlog;
    for (int i = 0; i < 5000; ++i)
        backlog.add(entry(), "codex:a");
    ASSERT_TRUE(db.write(backlog, 1, account_name));
    {
        const FullDisk full(64 * 1024);
        const auto refused = db.write(backlog, 5000, account_name);
        ASSERT_FALSE(refused);
        EXPECT_THAT(refused.error().text(), HasSubstr("cannot write usage"));
        EXPECT_THAT(refused.error().text(), HasSubstr("disk"));
    }
    EXPECT_EQ(query(file, "SELECT count(*) FROM requests"), "1");
    const auto again = db.write(backlog, 5000, account_name);
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(query(file, "SELECT count(*) FROM requests"), "5001");
    EXPECT_EQ(query(file, "SELECT sum(requests) FROM usage_hourly"), "5001");
}

} // namespace
} // namespace supervisor::test
