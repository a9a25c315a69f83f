/// The simulator's own rules on traffic small enough to count by hand, and the made-up week (Show 2).
#include "shared/simulation/report.hpp"
#include "shared/simulation/simulation.hpp"
#include "shared/simulation/week.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>

namespace shared::simulation {
namespace {

constexpr UnixMillis kStart{1'767'571'200'000};
constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kHour = 60 * kMinute;

AccountModel account(double short_tokens, double long_tokens)
{
    AccountModel model;
    model.provider = ProviderId::codex;
    model.short_tokens = short_tokens;
    model.long_tokens = long_tokens;
    model.long_reset = kStart.plus(std::chrono::hours(24));
    return model;
}

class Small : public testing::Test {
protected:
    void
    ask(std::int64_t at_ms, std::uint64_t conversation, std::int64_t input, std::int64_t cached = 0)
    {
        TraceRequest request;
        request.at = kStart.plus(std::chrono::milliseconds(at_ms));
        request.user = trace.user(user);
        request.model = trace.model(model);
        request.provider = ProviderId::codex;
        request.conversation = conversation;
        request.input = input;
        request.cached_input = cached;
        request.duration_ms = 1000;
        trace.requests.push_back(request);
    }

    Outcome run(Rules rules = {}) { return simulate(trace, accounts, rules); }

    Trace trace;
    std::vector<AccountModel> accounts;
    std::string user = "a"; ///< of the next request
    std::string model = "m";
};

TEST_F(Small, AConversationStaysWhileItsAccountServesAndMovesWhenItCannot)
{
    accounts = {account(100, 1000), account(100, 1000)};
    ask(0, 7, 60);
    ask(kMinute, 7, 60, 50);      // 10 fresh: 70 used
    ask(2 * kMinute, 7, 100, 60); // 110 used: full from here on
    ask(3 * kMinute, 7, 110, 100);
    const Outcome outcome = run();
    EXPECT_EQ(outcome.served, 4U);
    EXPECT_EQ(outcome.pinned, 3U);
    EXPECT_EQ(outcome.moves, 1U);
    EXPECT_EQ(outcome.cache_lost_tokens, 100);
    EXPECT_EQ(outcome.cached_tokens, 210);
    EXPECT_EQ(outcome.rate_limited, 1U) << "nothing told the pool before";
    EXPECT_EQ(outcome.refused, 0U);
}

TEST_F(Small, AFullPoolRefusesAndTheClientComesAgainAtTheReset)
{
    accounts = {account(100, 1000)};
    ask(0, 1, 100);
    ask(kHour, 2, 10);
    ask(6 * kHour, 3, 10);
    const Outcome outcome = run();
    EXPECT_EQ(outcome.served, 3U);
    EXPECT_EQ(outcome.refused, 1U);
    EXPECT_EQ(outcome.refused_with_room, 0U);
    EXPECT_EQ(outcome.waiting[0].max_ms, 4 * kHour) << "until five hours after the first request";
    EXPECT_EQ(outcome.unserved, 0U);
}

TEST_F(Small, WhatIsStillWaitingAtTheEndCounts)
{
    accounts = {account(100, 100)};
    accounts[0].long_reset = kStart.plus(std::chrono::hours(100));
    ask(0, 1, 100);
    ask(kHour, 2, 10);
    ask(2 * kHour, 2, 10);
    const Outcome outcome = run();
    EXPECT_EQ(outcome.served, 1U);
    EXPECT_EQ(outcome.unserved, 2U);
    EXPECT_EQ(outcome.waiting[0].max_ms, kHour);
}

TEST_F(Small, UnusedQuotaIsCountedAtEachWeeklyReset)
{
    accounts = {account(100, 1000), account(100, 1000)};
    accounts[0].long_used = 500;
    accounts[1].long_reset = kStart.plus(std::chrono::hours(1000));
    ask(0, 0, 1);
    ask(25 * kHour, 0, 1);
    Rules rules;
    rules.strategy = Strategy::fill_first;
    const Outcome outcome = run(rules);
    EXPECT_EQ(outcome.resets, 1U);
    EXPECT_NEAR(outcome.unused_percent, 49.9, 0.01);
}

TEST_F(Small, ACapMakesRequestsWaitForTheirTurn)
{
    accounts = {account(1000, 10000)};
    accounts[0].options.max_concurrency = 1;
    ask(0, 1, 1);
    ask(0, 2, 1);
    ask(0, 3, 1);
    ask(kHour, 4, 1);
    const Outcome outcome = run();
    EXPECT_EQ(outcome.served, 4U);
    EXPECT_EQ(outcome.refused, 0U);
    EXPECT_EQ(outcome.waiting[0].max_ms, 2000);
}

TEST_F(Small, AModelGoesOnlyToAccountsThatMayServeIt)
{
    accounts = {account(0, 0), account(1000, 1000)};
    accounts[0].kind = CredentialKind::api_key; // never full
    accounts[0].models_denied = "large*";
    accounts[1].models_allowed = "large-1";
    ask(0, 1, 10);
    model = "large-1";
    ask(kMinute, 2, 1000);
    ask(2 * kMinute, 3, 10);
    ask(3 * kMinute, 0, 0);
    const Outcome outcome = run();
    EXPECT_EQ(outcome.by_account, (std::vector<std::uint64_t>{1, 1}));
    EXPECT_GT(outcome.refused, 0U) << "the other account must not serve it";
    EXPECT_EQ(outcome.refused_with_room, 0U) << "its room is for other models";
}

TEST_F(Small, WhatAnOwnerKeepsIsForItsOwnerOnly)
{
    accounts = {account(100, 1000)};
    accounts[0].options.reserve_percent = 50;
    accounts[0].owner = "a";
    ask(0, 1, 60);
    user = "b";
    ask(6 * kMinute, 2, 10); // a poll has told what is used
    user = "a";
    ask(7 * kMinute, 1, 30);
    const Outcome outcome = run();
    EXPECT_EQ(outcome.served, 2U);
    EXPECT_GT(outcome.refused, 0U);
    EXPECT_EQ(outcome.refused_with_room, 0U) << "what is left is kept";
}

TEST_F(Small, ATurnWaitsForTheTurnBefore)
{
    accounts = {account(1000, 10000)};
    ask(0, 1, 1);
    ask(100, 1, 1);
    ask(kHour, 2, 1);
    const Outcome outcome = run();
    EXPECT_EQ(outcome.served, 3U);
    EXPECT_EQ(outcome.waiting[0].max_ms, 0) << "nobody asks while he is being answered";
}

// ---- Show 2 -------------------------------------------------------------------------------------------

class Week : public testing::TestWithParam<std::uint64_t> {
protected:
    static Outcome run(std::uint64_t seed, double load, Strategy strategy)
    {
        const Scenario week = make_week(ProviderId::codex, seed, load);
        EXPECT_EQ(week.accounts.size(), 8U);
        EXPECT_EQ(week.trace.users.size(), 6U);
        Rules rules;
        rules.strategy = strategy;
        rules.seed = seed;
        return simulate(week.trace, week.accounts, rules);
    }
};

INSTANTIATE_TEST_SUITE_P(Seeds, Week, testing::Values(1, 2, 3, 4));

TEST_P(Week, BalancedRefusesNobodyRarelyMovesAndWastesLess)
{
    for (const double load : {70.0, 85.0, 95.0}) {
        const Outcome balanced = run(GetParam(), load, Strategy::balanced);
        const Outcome in_turn = run(GetParam(), load, Strategy::round_robin);
        EXPECT_EQ(balanced.refused, 0U) << load;
        EXPECT_EQ(balanced.unserved, 0U) << load;
        EXPECT_EQ(balanced.served, balanced.requests) << load;
        EXPECT_LT(balanced.moves * 100, balanced.pinned) << load << ": a percent is the limit";
        EXPECT_LT(balanced.moves, in_turn.moves + 20) << load;
        EXPECT_LT(balanced.unused_percent, in_turn.unused_percent) << load;
        EXPECT_EQ(balanced.resets, 8U);
    }
}

TEST_P(Week, NobodyIsEverRefusedWhileAnAccountHasRoom)
{
    std::uint64_t refused = 0;
    for (const Strategy strategy : kStrategies) {
        const Outcome outcome = run(GetParam(), 130, strategy);
        EXPECT_EQ(outcome.refused_with_room, 0U) << to_string(strategy);
        refused += outcome.refused;
    }
    EXPECT_GT(refused, 0U) << "or this shows nothing";
}

TEST_P(Week, TheSameSeedGivesTheSameWeek)
{
    EXPECT_EQ(run(GetParam(), 95, Strategy::balanced), run(GetParam(), 95, Strategy::balanced));
    EXPECT_NE(
        run(GetParam(), 95, Strategy::balanced), run(GetParam() + 100, 95, Strategy::balanced));
}

TEST(WeekTable, TheDocumentationShowsIt)
{
    std::ifstream file(std::string(CODEX_POOL_SOURCE_DIR) + "/docs/simulation.md");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const Scenario week = make_week(ProviderId::codex, 1, 85);
    std::vector<Column> columns;
    for (const Strategy strategy : kStrategies) {
        Rules rules;
        rules.strategy = strategy;
        columns.push_back({strategy, simulate(week.trace, week.accounts, rules)});
    }
    const std::string expected = table(week.trace, columns);
    EXPECT_NE(text.find(expected), std::string::npos)
        << "docs/simulation.md should hold what `codex-pool simulate --scenario week` prints:\n"
        << expected;
}

} // namespace
} // namespace shared::simulation
