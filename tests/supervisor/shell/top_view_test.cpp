#include "tests/supervisor/shell/snapshots.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "supervisor/shell/top_view.hpp"

namespace supervisor::shell {
namespace {

using testing::HasSubstr;
using testing::Not;
using tests::account_line;
using tests::running_line;

std::string
frame(const Snapshot& snapshot, const TopState& state, ScreenSize size, bool colour = false)
{
    const Paper paper{colour, true, size.columns};
    return text_of(top_lines(snapshot, Rates(), state, size, colour, ""), paper);
}

Snapshot crowded()
{
    Snapshot snapshot = tests::snapshot_of_two();
    for (int i = 0; i < 60; ++i) {
        snapshot.accounts.push_back(account_line("claude:" + std::to_string(100 + i)));
        snapshot.running.push_back(running_line("m" + std::to_string(i), "u", 1000 * i));
    }
    snapshot.running_total = 300;
    return snapshot;
}

TEST(TopView, FillsEveryScreenExactlyAndNoMore)
{
    Snapshot snapshot = crowded();
    TopState state;
    state.chosen = "claude:130";
    arrange(snapshot, state);
    for (std::size_t rows : {1U, 5U, 6U, 8U, 13U, 14U, 24U, 50U, 200U}) {
        for (std::size_t columns : {1U, 29U, 30U, 80U, 250U}) {
            const ScreenSize size{rows, columns};
            const Lines lines = top_lines(snapshot, Rates(), state, size, false, "");
            EXPECT_LE(lines.size(), rows) << rows << 'x' << columns;
            const Paper paper{false, true, columns};
            for (const Line& line : lines) {
                const std::string text = line.text(paper);
                const auto width = std::count_if(
                    text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
                EXPECT_LE(static_cast<std::size_t>(width), columns) << text;
            }
        }
    }
    EXPECT_THAT(frame(snapshot, state, {24, 100}), HasSubstr("claude:130"))
        << "the cursor is always seen";
    EXPECT_THAT(frame(snapshot, state, {24, 100}), HasSubstr("more"));
    EXPECT_THAT(frame(snapshot, state, {3, 20}), HasSubstr("too small"));
}

TEST(TopView, AnEmptyPoolHasAScreenToo)
{
    EXPECT_THAT(frame(Snapshot(), TopState(), {24, 80}), HasSubstr("q quit"));
}

TEST(TopView, TheCursorsAccountIsReversedAndExplained)
{
    TopState state;
    state.chosen = "codex:b";
    const std::string text = frame(tests::snapshot_of_two(), state, {24, 100}, true);
    EXPECT_THAT(text, HasSubstr("\x1b[7mcodex:b"));
    EXPECT_THAT(text, HasSubstr("the vendor no longer knows its refresh token"));
}

TEST(TopView, QuestionsProblemsAndMessagesTakeTheLastLine)
{
    TopState state;
    state.message = "done";
    const ScreenSize size{24, 100};
    EXPECT_THAT(frame(tests::snapshot_of_two(), state, size), HasSubstr("\ndone\n"));
    state.question = "Pause it?";
    EXPECT_THAT(frame(tests::snapshot_of_two(), state, size), HasSubstr("\nPause it?\n"));
    const Lines lines =
        top_lines(tests::snapshot_of_two(), Rates(), TopState(), size, false, "no answer");
    EXPECT_EQ(lines.back().text({false, true, 100}), "no answer");
}

std::string models(const Snapshot& snapshot)
{
    std::string all;
    for (const RunningLine& running : snapshot.running)
        all += running.model;
    return all;
}

TEST(TopView, SortsRequests)
{
    Snapshot snapshot;
    snapshot.running = {
        running_line("a", "z", 1), running_line("b", "y", 3), running_line("c", "x", 2)};
    snapshot.running[0].output = 7;
    snapshot.running[2].account = "claude:a";
    TopState state;
    arrange(snapshot, state);
    EXPECT_EQ(models(snapshot), "bca") << "longest first";
    state.running_order = RunningOrder::output;
    arrange(snapshot, state);
    EXPECT_EQ(models(snapshot), "abc");
    state.running_order = RunningOrder::user;
    arrange(snapshot, state);
    EXPECT_EQ(models(snapshot), "cba");
    state.reversed = true;
    arrange(snapshot, state);
    EXPECT_EQ(models(snapshot), "abc");
    state = {};
    state.running_order = RunningOrder::account;
    arrange(snapshot, state);
    EXPECT_EQ(models(snapshot), "cba");
}

TEST(TopView, SortsAccountsAndMovesAmongThem)
{
    Snapshot snapshot;
    snapshot.accounts = {account_line("a"), account_line("b", "cooling"), account_line("c")};
    snapshot.accounts[2].long_window = tests::window_of(0.9, 10);
    snapshot.accounts[1].in_flight = 4;
    EXPECT_EQ(neighbour(snapshot, "", 0), "a");
    EXPECT_EQ(neighbour(snapshot, "gone", 1), "a");
    EXPECT_EQ(neighbour(snapshot, "a", 1), "b");
    EXPECT_EQ(neighbour(snapshot, "a", -1), "a");
    EXPECT_EQ(neighbour(snapshot, "b", 10), "c");
    EXPECT_EQ(neighbour(Snapshot(), "a", 1), "");
    TopState state;
    state.account_order = AccountOrder::used;
    arrange(snapshot, state);
    EXPECT_EQ(snapshot.accounts[0].id, "c");
    state.account_order = AccountOrder::running;
    arrange(snapshot, state);
    EXPECT_EQ(snapshot.accounts[0].id, "b");
    state.account_order = AccountOrder::name;
    arrange(snapshot, state);
    EXPECT_EQ(snapshot.accounts[0].id, "a");
}

TEST(Rates, AreOverTheLastSeconds)
{
    Rates rates;
    EXPECT_EQ(rates.requests_per_second(), 0);
    rates.add(0, 1000, 0);
    EXPECT_EQ(rates.requests_per_second(), 0);
    for (int i = 1; i <= 100; ++i)
        rates.add(i * 100, 1000 + i, i / 10);
    EXPECT_DOUBLE_EQ(rates.requests_per_second(), 10);
    EXPECT_NEAR(rates.errors_per_second(), 1, 0.1);
    rates.add(10'100, 3, 0);
    EXPECT_EQ(rates.requests_per_second(), 0) << "the pool was started anew";
}

TEST(Keys, AreTakenOneByOne)
{
    std::string bytes = "q\x1b[A\x1bOB\x1b[6~\x1b[15~s\x1b[";
    const auto kind = [&] { return take_key(bytes).kind; };
    const Input first = take_key(bytes);
    EXPECT_EQ(first.kind, Input::Kind::key);
    EXPECT_EQ(first.key, 'q');
    EXPECT_EQ(kind(), Input::Kind::up);
    EXPECT_EQ(kind(), Input::Kind::down);
    EXPECT_EQ(kind(), Input::Kind::page_down);
    const Input after = take_key(bytes);
    EXPECT_EQ(after.key, 's') << "keys that mean nothing are skipped";
    EXPECT_EQ(kind(), Input::Kind::nothing);
    EXPECT_EQ(bytes, "\x1b[") << "the rest of it may come";
}

} // namespace
} // namespace supervisor::shell
