#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"

#include <gtest/gtest.h>

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
    return routing;
}

UnixMillis in_minutes(int minutes)
{
    return kNow.plus(std::chrono::minutes(minutes));
}

void record(
    AccountRouting& routing, std::uint32_t seconds, int percent, UnixMillis reset, UnixMillis seen)
{
    const UsedShare used = UsedShare::from_fraction(percent / 100.0);
    record_window(routing, seconds, used, reset, EvidenceSource::header, seen);
}

TEST(AccountTable, WindowsAreKnownByTheirLength)
{
    AccountRouting routing = ready();
    record(routing, kWeek, 40, in_minutes(60), kNow);
    record(routing, kFiveHours, 10, in_minutes(30), kNow);
    record(routing, 3600, 99, in_minutes(30), kNow); // neither
    EXPECT_EQ(routing.long_window.used.basis_points, 4000);
    EXPECT_EQ(routing.short_window.used.basis_points, 1000);
}

TEST(AccountTable, OlderEvidenceNeverOverwritesNewer)
{
    AccountRouting routing = ready();
    record(routing, kWeek, 40, in_minutes(60), kNow);
    record(routing, kWeek, 10, in_minutes(60), kNow.plus(std::chrono::milliseconds(-1)));
    EXPECT_EQ(routing.long_window.used.basis_points, 4000);
}

TEST(AccountTable, AClockThatWasSetBackDoesNotSilenceEvidence)
{
    AccountRouting routing = ready();
    record(routing, kWeek, 40, in_minutes(60), kNow);
    record(routing, kWeek, 41, in_minutes(60), in_minutes(-24 * 60));
    EXPECT_EQ(routing.long_window.used.basis_points, 4100);
}

TEST(AccountTable, AbsentIsNotZero)
{
    AccountRouting routing = ready();
    record(routing, kWeek, 40, in_minutes(60), kNow);
    record_window(routing, kWeek, {}, {}, EvidenceSource::header, in_minutes(1));
    EXPECT_EQ(routing.long_window.used.basis_points, 4000);
}

TEST(AccountTable, AWindowWhoseResetHasPassedIsUnknown)
{
    AccountRouting routing = ready();
    record(routing, kFiveHours, 100, in_minutes(30), kNow);
    EXPECT_EQ(condition(routing, kNow), AccountCondition::exhausted);
    EXPECT_EQ(available_at(routing, kNow), in_minutes(30));
    EXPECT_FALSE(used_now(routing.short_window, in_minutes(30)).is_known());
    EXPECT_EQ(condition(routing, in_minutes(30)), AccountCondition::ready);
}

TEST(AccountTable, ExhaustionWithoutAResetEndsWithTheWindow)
{
    AccountRouting routing = ready();
    record(routing, kFiveHours, 100, {}, kNow);
    EXPECT_EQ(condition(routing, kNow), AccountCondition::exhausted);
    EXPECT_FALSE(available_at(routing, kNow).is_set());
    EXPECT_EQ(condition(routing, in_minutes(301)), AccountCondition::ready);
}

TEST(AccountTable, CreditsGoOnWhereTheWindowsEnd)
{
    AccountRouting routing = ready();
    record(routing, kWeek, 100, in_minutes(30), kNow);
    routing.has_credits = 1;
    EXPECT_EQ(condition(routing, kNow), AccountCondition::ready);
}

TEST(AccountTable, ACooldownEndsByItself)
{
    AccountRouting routing = ready();
    routing.cooling_until = in_minutes(1);
    EXPECT_EQ(condition(routing, kNow), AccountCondition::cooling);
    EXPECT_EQ(condition(routing, in_minutes(1)), AccountCondition::ready);
}

TEST(AccountTable, APenaltyHalvesInFiveMinutesHoweverOftenItIsRead)
{
    AccountRouting routing = ready();
    add_penalty(routing, 400, kNow);
    for (int i = 0; i < 100; ++i)
        (void)penalty_now(routing, kNow);
    EXPECT_EQ(penalty_now(routing, kNow), 400U);
    EXPECT_EQ(penalty_now(routing, in_minutes(5)), 200U);
    EXPECT_EQ(penalty_now(routing, in_minutes(600)), 0U);
}

TEST(AccountTable, TokensUpToTheLimitAreKeptWholeLongerOnesRefused)
{
    auto segment = SegmentMapping::create({1});
    ASSERT_TRUE(segment.has_value());
    const std::string longest(kTokenBytesMax, 't');
    EXPECT_TRUE(store_token(**segment, {3}, longest));
    EXPECT_EQ(load_token(**segment, {3}), longest);
    EXPECT_FALSE(store_token(**segment, {3}, longest + "t"));
    EXPECT_EQ(load_token(**segment, {3}), longest);
    EXPECT_EQ((*segment)->token_version[3].load(), 1U);
}

} // namespace
} // namespace shared
