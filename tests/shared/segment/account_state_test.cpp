/// The states: each from its evidence, its end when it is read, and the page that is made from the table.
#include "shared/segment/account_state.hpp"
#include "shared/segment/account_table.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace shared {
namespace {

constexpr std::uint32_t kFiveHours = 18000;
constexpr std::uint32_t kWeek = 604800;
constexpr UnixMillis kNow{1'700'000'000'000};

AccountRouting ready()
{
    AccountRouting routing;
    routing.state = AccountState::ready;
    routing.state_source = EvidenceSource::file;
    routing.state_since = kNow.plus(std::chrono::hours(-9));
    return routing;
}

UnixMillis in_minutes(int minutes)
{
    return kNow.plus(std::chrono::minutes(minutes));
}

void window(
    AccountRouting& routing, std::uint32_t seconds, int percent, UnixMillis reset, UnixMillis seen)
{
    record_window(
        routing,
        seconds,
        UsedShare::from_fraction(percent / 100.0),
        reset,
        EvidenceSource::poll,
        seen);
}

void cool(AccountRouting& routing, UnixMillis until, bool used_up)
{
    routing.cooling_until = until;
    routing.cooling_used_up = used_up;
    routing.reason = used_up ? "usage_limit_reached" : "rate_limit";
    routing.state_since = kNow;
    routing.state_source = EvidenceSource::error_answer;
}

TEST(AccountState, EveryConditionHasItsOwnRow)
{
    std::set<std::string_view> names;
    for (int i = 0; i <= static_cast<int>(AccountCondition::removed); ++i) {
        const auto condition = static_cast<AccountCondition>(i);
        const StateInfo& row = state_info(condition);
        EXPECT_EQ(row.condition, condition);
        EXPECT_FALSE(row.meaning.empty() || row.ends.empty());
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
    }
    EXPECT_EQ(names.size(), state_table().size());
}

TEST(AccountState, BusyIsItsOwnConcurrencyAndNothingElse)
{
    AccountRouting routing = ready();
    routing.max_concurrency = 2;
    EXPECT_EQ(condition(routing, 1, kNow), AccountCondition::ready);
    EXPECT_EQ(condition(routing, 2, kNow), AccountCondition::busy);
    EXPECT_EQ(condition(routing, kNow), AccountCondition::ready) << "without the requests";
    const AccountStatus status = account_status(routing, 3, kNow);
    EXPECT_EQ(status.reason.view(), kReasonConcurrency);
    EXPECT_EQ(status.source, EvidenceSource::pool);
    EXPECT_FALSE(status.until.is_set());
    cool(routing, in_minutes(1), false);
    EXPECT_EQ(condition(routing, 3, kNow), AccountCondition::cooling) << "what is worse is said";
    routing.max_concurrency = 0;
    EXPECT_EQ(condition(routing, 60000, in_minutes(1)), AccountCondition::ready) << "no limit";
}

TEST(AccountState, CoolingHasReasonSinceUntilAndSourceAndEndsWhenRead)
{
    AccountRouting routing = ready();
    cool(routing, in_minutes(3), false);
    const AccountStatus status = account_status(routing, 0, in_minutes(1));
    EXPECT_EQ(status.condition, AccountCondition::cooling);
    EXPECT_EQ(status.reason.view(), "rate_limit");
    EXPECT_EQ(status.since, kNow);
    EXPECT_EQ(status.until, in_minutes(3));
    EXPECT_EQ(status.source, EvidenceSource::error_answer);
    const AccountStatus after = account_status(routing, 0, in_minutes(3));
    EXPECT_EQ(after.condition, AccountCondition::ready);
    EXPECT_EQ(after.since, in_minutes(3)) << "since its end, although nothing ran then";
    EXPECT_TRUE(after.reason.empty());
    EXPECT_FALSE(after.until.is_set());
}

TEST(AccountState, AnErrorThatSaysUsedUpIsExhaustion)
{
    AccountRouting routing = ready();
    cool(routing, in_minutes(90), true);
    const AccountStatus status = account_status(routing, 0, kNow);
    EXPECT_EQ(status.condition, AccountCondition::exhausted);
    EXPECT_EQ(status.reason.view(), "usage_limit_reached");
    EXPECT_EQ(status.until, in_minutes(90));
    EXPECT_EQ(status.source, EvidenceSource::error_answer);
}

TEST(AccountState, AUsedUpWindowIsExhaustionSinceItWasFirstSeen)
{
    AccountRouting routing = ready();
    window(routing, kFiveHours, 100, in_minutes(200), in_minutes(-20));
    window(routing, kFiveHours, 100, in_minutes(200), in_minutes(-5));
    const AccountStatus status = account_status(routing, 0, kNow);
    EXPECT_EQ(status.condition, AccountCondition::exhausted);
    EXPECT_EQ(status.reason.view(), kReasonShortWindow);
    EXPECT_EQ(status.since, in_minutes(-20)) << "not the last look at it";
    EXPECT_EQ(status.until, in_minutes(200));
    EXPECT_EQ(status.source, EvidenceSource::poll);
    EXPECT_EQ(account_status(routing, 0, in_minutes(200)).condition, AccountCondition::ready);
    EXPECT_EQ(account_status(routing, 0, in_minutes(201)).since, in_minutes(200));
    // The next time is another one.
    window(routing, kFiveHours, 3, in_minutes(500), in_minutes(201));
    window(routing, kFiveHours, 100, in_minutes(500), in_minutes(300));
    EXPECT_EQ(account_status(routing, 0, in_minutes(300)).since, in_minutes(300));
}

TEST(AccountState, OfSeveralCausesTheOneThatEndsLastIsNamed)
{
    AccountRouting routing = ready();
    window(routing, kFiveHours, 100, in_minutes(30), kNow);
    cool(routing, in_minutes(60), false);
    EXPECT_EQ(account_status(routing, 0, kNow).condition, AccountCondition::cooling);
    EXPECT_EQ(account_status(routing, 0, kNow).until, in_minutes(60));
    window(routing, kWeek, 100, in_minutes(3000), kNow);
    const AccountStatus status = account_status(routing, 0, kNow);
    EXPECT_EQ(status.condition, AccountCondition::exhausted);
    EXPECT_EQ(status.reason.view(), kReasonLongWindow);
    EXPECT_EQ(status.until, in_minutes(3000));
}

TEST(AccountState, FailingEndsWithItsBackOff)
{
    AccountRouting routing = ready();
    routing.state = AccountState::failing;
    routing.state_since = kNow;
    routing.reason = "http_403";
    routing.cooling_until = in_minutes(1);
    EXPECT_EQ(account_status(routing, 0, kNow).condition, AccountCondition::failing);
    EXPECT_EQ(account_status(routing, 0, kNow).until, in_minutes(1));
    EXPECT_EQ(account_status(routing, 0, in_minutes(1)).condition, AccountCondition::ready);
}

TEST(AccountState, WhatOnlyTheOwnerEndsHasNoUntil)
{
    for (const AccountState state : {AccountState::disabled, AccountState::needs_login}) {
        AccountRouting routing = ready();
        cool(routing, in_minutes(60), false);
        window(routing, kWeek, 100, in_minutes(3000), kNow);
        routing.state = state;
        routing.reason = "why";
        const AccountStatus status = account_status(routing, 7, kNow);
        EXPECT_EQ(
            status.condition,
            state == AccountState::disabled ? AccountCondition::disabled
                                            : AccountCondition::needs_login);
        EXPECT_FALSE(status.until.is_set());
        EXPECT_EQ(status.reason.view(), "why");
    }
}

TEST(AccountState, AResetThatIsLaterThanItsWindowIsLongIsNoHint)
{
    AccountRouting routing = ready();
    window(routing, kFiveHours, 100, in_minutes(60 * 24 * 30), kNow);
    EXPECT_FALSE(account_status(routing, 0, kNow).until.is_set()) << "never an invented time";
    EXPECT_EQ(account_status(routing, 0, in_minutes(301)).condition, AccountCondition::ready);
}

TEST(AccountState, AResetInThePastMeansThatTheNumbersAreOver)
{
    AccountRouting routing = ready();
    window(routing, kFiveHours, 100, in_minutes(-1), kNow);
    EXPECT_EQ(account_status(routing, 0, kNow).condition, AccountCondition::ready);
    EXPECT_FALSE(used_now(routing.short_window, kNow).is_known());
}

TEST(AccountState, ReasonsInWords)
{
    EXPECT_EQ(reason_in_words(kReasonShortWindow), "its 5-hour window is used up");
    EXPECT_EQ(reason_in_words("something_else"), "something else");
}

TEST(StatesPage, IsWhatTheTableSays)
{
    const std::string path = std::string(CODEX_POOL_SOURCE_DIR) + "/docs/states.md";
    if (std::getenv("CODEX_POOL_WRITE_DOCS") != nullptr) std::ofstream(path) << states_markdown();
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_EQ(text.str(), states_markdown())
        << "renew it: CODEX_POOL_WRITE_DOCS=1 ctest --test-dir BUILD -R StatesPage";
}

} // namespace
} // namespace shared
