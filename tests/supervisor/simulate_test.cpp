#include "supervisor/simulate.hpp"
#include "supervisor/usage_history.hpp"
#include "tests/supervisor/usage_fixture.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <sstream>
#include <string>

namespace supervisor {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class SimulateTest : public ::testing::Test {
protected:
    SimulateTest()
    {
        inputs_.working_directory = dir_.path();
        inputs_.now = test::kNow;
        std::filesystem::create_directory(dir_.path() / "pool");
    }

    int simulate()
    {
        std::ostringstream out;
        std::ostringstream err;
        const int code = run_simulate(registry_, inputs_, out, err);
        out_ = out.str();
        err_ = err.str();
        return code;
    }

    [[nodiscard]] std::filesystem::path database() const { return dir_.path() / "data/proxy.db"; }

    /// `count` requests of one conversation, an hour apart, the last one an hour ago.
    void record(int count, std::uint64_t conversation)
    {
        auto db = UsageDb::open(database());
        ASSERT_TRUE(db) << db.error().text();
        UsageBacklog backlog;
        for (int i = count; i > 0; --i) {
            shared::UsageEntry entry = test::entry();
            entry.started_at = test::kNow.plus(-std::chrono::hours(i));
            entry.finished_at = entry.started_at.plus(std::chrono::seconds(1));
            entry.conversation = conversation;
            backlog.add(entry, "codex:a");
        }
        ASSERT_TRUE(db->write(backlog, backlog.rows().size(), test::account_name));
    }

    tests::TempDir dir_;
    shared::ProviderRegistry registry_;
    SimulateInputs inputs_;
    std::string out_;
    std::string err_;
};

TEST_F(SimulateTest, AMadeUpWeekNeedsNoPoolAndIsTheSameEachTime)
{
    inputs_.options.scenario = "week";
    inputs_.options.strategies = "round_robin,balanced";
    ASSERT_EQ(simulate(), 0) << err_;
    EXPECT_THAT(
        out_,
        AllOf(
            HasSubstr("a week made up, seed 1: 6 users, "),
            HasSubstr("8 accounts, quotas of which the requests need 85 %"),
            HasSubstr("    round_robin       balanced\n"),
            HasSubstr("unused at weekly resets"),
            HasSubstr("\n  nightly "),
            Not(HasSubstr("fill_first"))));
    const std::string before = out_;
    ASSERT_EQ(simulate(), 0);
    EXPECT_EQ(out_, before);
    inputs_.options.seed = 2;
    ASSERT_EQ(simulate(), 0);
    EXPECT_NE(out_, before);
}

TEST_F(SimulateTest, ReplaysTheUsageDatabase)
{
    record(100, 0xF000000000000005);
    inputs_.options.last = "50h";
    inputs_.options.accounts = 2;
    ASSERT_EQ(simulate(), 0) << err_;
    EXPECT_THAT(out_, HasSubstr("the last 50h: 1 user, 50 requests of 1 conversation in 2.0 days"));
    EXPECT_THAT(out_, Not(HasSubstr("guessed")));
    EXPECT_THAT(out_, HasSubstr("\n  local "));
}

TEST_F(SimulateTest, TheAccountsOfThePoolFolderWithTheirPlans)
{
    record(10, 1);
    EXPECT_EQ(simulate(), 1);
    EXPECT_THAT(err_, AllOf(HasSubstr("has no account of Codex"), HasSubstr("--accounts N")));
    dir_.write("pool/one.json", R"({"OPENAI_API_KEY":"sk-test"})");
    dir_.write("pool/two.json", R"({"OPENAI_API_KEY":"sk-other"})");
    dir_.write("pool/claude_other.json", R"({"api_key":"sk-ant-api-test"})");
    ASSERT_EQ(simulate(), 0) << err_;
    EXPECT_THAT(out_, HasSubstr("2 accounts,"));
    EXPECT_THAT(out_, HasSubstr("no reset")) << "API keys have no windows";
}

TEST_F(SimulateTest, AccountsCountWithTheirOptions)
{
    record(10, 1);
    dir_.write("pool/one.json", R"({"OPENAI_API_KEY":"sk-test"})");
    dir_.write("pool/two.json", R"({"OPENAI_API_KEY":"sk-other"})");
    dir_.write(
        "pool/three.json", R"({"OPENAI_API_KEY":"sk-third","codex_pool":{"disabled":true}})");
    dir_.write(
        "data/account_settings.json",
        R"({"version":1,"accounts":{"codex:one":{"paused":true},"codex:two":{"models":{"deny":["*"]}}}})");
    ASSERT_EQ(simulate(), 0) << err_;
    EXPECT_THAT(out_, HasSubstr("1 account,"));
    EXPECT_THAT(out_, testing::ContainsRegex("429 answers to clients +[1-9]")) << "it serves no model";

    dir_.write("data/account_settings.json", "{");
    EXPECT_EQ(simulate(), 1);
    EXPECT_THAT(err_, HasSubstr("account_settings.json"));
}

TEST_F(SimulateTest, RowsThatNameNoConversationAreGuessed)
{
    record(10, 0);
    inputs_.options.accounts = 1;
    ASSERT_EQ(simulate(), 0) << err_;
    EXPECT_THAT(out_, HasSubstr("guessed from pauses of ten minutes"));
    EXPECT_THAT(out_, HasSubstr("10 requests of 10 conversations"));
}

TEST_F(SimulateTest, ADatabaseOfTheFirstSchemaIsReadAsItIs)
{
    record(3, 9);
    test::query(database(), "ALTER TABLE requests DROP COLUMN conversation");
    test::query(database(), "PRAGMA user_version = 1");
    const auto trace = read_history(database(), registry_, {1});
    ASSERT_TRUE(trace) << trace.error().text();
    EXPECT_EQ(trace->requests.size(), 3U);
    EXPECT_EQ(test::query(database(), "PRAGMA user_version"), "1");
}

TEST_F(SimulateTest, ReplaysATraceFile)
{
    dir_.write(
        "t.csv",
        "time,user,provider,conversation,tokens\n"
        "2026-05-01T00:00:00Z,ann,codex,x,1000\n"
        "2026-05-08T00:00:00Z,bob,claude,y,1000\n");
    inputs_.options.trace = "t.csv";
    inputs_.options.accounts = 3;
    inputs_.options.week_tokens = 5000;
    ASSERT_EQ(simulate(), 0) << err_;
    EXPECT_THAT(
        out_,
        AllOf(
            HasSubstr("t.csv: 2 users, 2 requests of 2 conversations in 7.0 days"),
            HasSubstr("6 accounts, weekly quotas of 5000 tokens times the plan"),
            HasSubstr("\n  ann "),
            HasSubstr("\n  bob ")));
}

TEST_F(SimulateTest, AsJson)
{
    record(10, 1);
    inputs_.options.accounts = 2;
    inputs_.options.strategies = "balanced,fill_first";
    inputs_.options.json = true;
    ASSERT_EQ(simulate(), 0) << err_;
    const auto json = nlohmann::json::parse(out_);
    EXPECT_EQ(json["source"], "the last 7d");
    EXPECT_EQ(json["quotas"], "quotas of which the requests need 85 %");
    EXPECT_EQ(json["users"], 1);
    EXPECT_EQ(json["requests"], 10);
    EXPECT_EQ(json["conversations"], 1);
    EXPECT_EQ(json["conversations_guessed"], false);
    EXPECT_DOUBLE_EQ(json["days"].get<double>(), 9.0 / 24);
    ASSERT_EQ(json["strategies"].size(), 2U);
    EXPECT_EQ(json["strategies"][0]["strategy"], "balanced");
    const auto& second = json["strategies"][1];
    EXPECT_EQ(second["strategy"], "fill_first");
    EXPECT_EQ(second["served"], 10);
    EXPECT_EQ(second["moves"], 0);
    EXPECT_EQ(second["unused_percent"], nullptr) << "no week ended";
    EXPECT_EQ(second["waiting"][0]["user"], "local");
    EXPECT_EQ(second["waiting"][0]["p99_ms"], 0);
    ASSERT_EQ(second["accounts"].size(), 2U);
    EXPECT_EQ(second["accounts"][0]["account"], "codex:1");
    EXPECT_EQ(
        second["accounts"][0]["served"].get<int>() + second["accounts"][1]["served"].get<int>(),
        10);
}

TEST_F(SimulateTest, WhatCannotBeIsNamedWithItsRemedy)
{
    const auto fails_with = [&](const char* text) {
        EXPECT_EQ(simulate(), 1);
        EXPECT_EQ(out_, "");
        EXPECT_THAT(err_, HasSubstr(text));
    };
    fails_with("there is no usage database");
    inputs_.options.last = "7w";
    fails_with("--last: is no length of time; write it like 7d or 48h");
    inputs_.options.trace = "none.csv";
    fails_with("none.csv: there is no such file");
    inputs_.options.scenario = "year";
    fails_with("--scenario: is not known; there is one: week");
    inputs_.options.load_percent = 0;
    fails_with("--load: is out of range");
    inputs_.options.strategies = "balanced,best";
    fails_with("\"best\" is no strategy; use balanced,");
}

TEST_F(SimulateTest, AnEmptyTimeSaysSo)
{
    record(1, 1);
    inputs_.now = test::kNow.plus(std::chrono::hours(24 * 30));
    EXPECT_EQ(simulate(), 1);
    EXPECT_THAT(err_, HasSubstr("there is nothing to replay"));
}

} // namespace
} // namespace supervisor
