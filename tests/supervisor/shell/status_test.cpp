#include "tests/supervisor/shell/snapshots.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>

#include "supervisor/shell/status_text.hpp"

namespace supervisor::shell {
namespace {

using testing::HasSubstr;
using testing::Not;
using tests::kAt;

std::string shown(const Snapshot& snapshot, const Paper& paper, std::size_t rows = 0)
{
    return text_of(status_lines(snapshot, paper, rows), paper);
}

TEST(Status, SaysStateAccountsStreamsAndProblems)
{
    Snapshot snapshot = tests::snapshot_of_two();
    snapshot.events = {
        {{kAt.value - 60'000}, "warn", "pool_low", "codex has 5 % left"},
        {{kAt.value - 50'000}, "info", "recovered", "all is well"},
        {{kAt.value - 5'000}, "error", "needs_login", "codex:b needs a login"}};
    snapshot.problems = {"pool/x.json: is no JSON"};
    const std::string text = shown(snapshot, {});
    for (const char* part :
         {"● 1 account of 2 can serve (1 needs login).\n",
          "codex-pool 9.8.7, up 2 h 5 min, 1 worker, 3 connections, 0 requests served\n",
          " 50 %   2h 3m  100 %   5d 0h    0\n",
          "  the vendor no longer knows its refresh token\n",
          "  do: sign in again\n",
          "1 running\n",
          "     1m  gpt-x",
          "LAST PROBLEMS\n  pool/x.json: is no JSON\n  5 s ago  codex:b needs a login\n  1 min ago "
          " "
          "codex has 5 % left\n"})
        EXPECT_THAT(text, HasSubstr(part));
    EXPECT_THAT(text, Not(HasSubstr("all is well")));
    EXPECT_THAT(text, Not(HasSubstr("\x1b"))) << "no colours unless there are some";
    EXPECT_THAT(text, Not(HasSubstr("█"))) << "nor bars";
}

TEST(Status, BarsShowWhatIsUsedAndWhatThePresentPaceWillUse)
{
    Snapshot snapshot = tests::snapshot_of_two();
    snapshot.accounts[0].short_window.percent_per_hour = 10; // 20 % more by the reset
    const std::string text = shown(snapshot, {false, true, 100});
    EXPECT_THAT(text, HasSubstr("█▒▒"));
    EXPECT_THAT(text, HasSubstr("██ 100 %"));
    snapshot.accounts[0].short_window.empty_at = {kAt.value + 40 * 60'000};
    EXPECT_THAT(
        shown(snapshot, {false, true, 100}),
        HasSubstr("  5 hours: empty in 40 min at 10 % an hour\n"));
}

TEST(Status, ColoursSayHowGoodItIs)
{
    const std::string text = shown(tests::snapshot_of_two(), {true, true, 100});
    EXPECT_THAT(text, HasSubstr("\x1b[33m● \x1b[0m")) << "degraded";
    EXPECT_THAT(text, HasSubstr("\x1b[31mneeds login\x1b[0m"));
    EXPECT_THAT(text, HasSubstr("\x1b[32mready      \x1b[0m"));
}

TEST(Status, NoLineIsWiderThanTheTerminal)
{
    Snapshot snapshot = tests::snapshot_of_two();
    snapshot.accounts[0].id = "codex:" + std::string(200, 'x');
    snapshot.running[0].model = std::string(200, 'm') + "äöü";
    for (std::size_t columns : {20U, 40U, 60U, 80U, 100U, 132U, 300U}) {
        const Paper paper{false, true, columns};
        for (const Line& line : status_lines(snapshot, paper, 0)) {
            const std::string text = line.text(paper);
            const auto width =
                std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
            EXPECT_LE(static_cast<std::size_t>(width), columns) << text;
        }
    }
}

TEST(Status, FitsOneScreenByShowingLessOfWhatRuns)
{
    Snapshot snapshot = tests::snapshot_of_two();
    snapshot.running.clear();
    for (int i = 0; i < 60; ++i)
        snapshot.running.push_back(tests::running_line("m" + std::to_string(i), "ann", 1000 * i));
    snapshot.running_total = 77;
    EXPECT_LE(status_lines(snapshot, {}, 24).size(), 23U);
    EXPECT_THAT(shown(snapshot, {}, 24), HasSubstr(" more\n"));
    EXPECT_THAT(shown(snapshot, {}), HasSubstr("  and 57 more\n"));
}

TEST(Status, AnEmptyPoolIsNoTable)
{
    Snapshot snapshot;
    snapshot.sentence = "There is no account.";
    const std::string text = shown(snapshot, {});
    EXPECT_THAT(text, HasSubstr("0 running\n"));
    EXPECT_THAT(text, Not(HasSubstr("ACCOUNT")));
}

TEST(Snapshot, ReadsWhatThePoolSays)
{
    const auto parsed = parse_snapshot(R"({
        "at":"2025-11-22T08:26:40Z","version":"0.1.0","uptime_seconds":5,"status":"ok","sentence":"All\u001b[2J is well.",
        "risk":"","inflight":1,"waiting":2,"requests":3,"server_errors":4,"problems":["p"],
        "events":[{"sequence":1,"at":"2025-11-22T08:26:39Z","severity":"warn","event":"pool_low","text":"low"}],
        "workers":[{"slot":0,"pid":1,"state":"serving","connections":5,"running":6,"silent_ms":7}],
        "accounts":[{"id":"codex:a","provider":"codex","plan":"pro","state":"ready","severity":"good","note":"","next_step":"",
            "inflight":1,"requests":9,"short":{"seconds":18000,"used":0.25,"resets_at":"2025-11-22T09:26:40Z","empty_at":null,
            "percent_per_hour":1.5},"long":{"seconds":0,"used":null,"resets_at":null,"empty_at":null,"percent_per_hour":0}}],
        "running_total":1,"running":[{"request_id":"r","user":"u","account":null,"model":"m","path":"/p","websocket":true,
            "elapsed_ms":8,"input_tokens":9,"output_tokens":10}]})");
    ASSERT_TRUE(parsed.has_value()) << parsed.error().text();
    EXPECT_EQ(parsed->at, kAt);
    EXPECT_EQ(parsed->sentence, "All?[2J is well.") << "nothing in it can move the cursor";
    EXPECT_EQ(parsed->accounts[0].short_window.used, 0.25);
    EXPECT_EQ(parsed->accounts[0].short_window.resets_at.since(kAt), std::chrono::hours(1));
    EXPECT_FALSE(parsed->accounts[0].long_window.exists);
    EXPECT_LT(parsed->accounts[0].long_window.used, 0);
    EXPECT_TRUE(parsed->running[0].websocket);
    EXPECT_EQ(parsed->running[0].account, "");
    EXPECT_EQ(parsed->events[0].type, "pool_low");
}

TEST(Snapshot, WhatIsNoneIsAProblemAndWhatIsMissingIsNot)
{
    for (const char* text : {"", "x", "[]", "{}", R"({"accounts":5})", R"({"accounts":)"})
        EXPECT_FALSE(parse_snapshot(text).has_value()) << text;
    const auto bare =
        parse_snapshot(R"({"accounts":[{},5],"at":7,"running":[null],"events":"x","workers":{}})");
    ASSERT_TRUE(bare.has_value());
    EXPECT_EQ(bare->accounts.size(), 2U);
    EXPECT_FALSE(bare->at.is_set());
    EXPECT_FALSE(shown(*bare, {true, true, 80}, 24).empty());
}

} // namespace
} // namespace supervisor::shell
