/// Learning and forecasts with made-up traffic: the vendor tells whole percents, the pool counts tokens.
#include "shared/segment/account_table.hpp"
#include "shared/segment/forecast.hpp"
#include "shared/segment/segment.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace shared {
namespace {

constexpr std::uint32_t kFiveHours = 18000;
constexpr UnixMillis kStart{1'700'000'000'000};

UnixMillis in_minutes(double minutes)
{
    return kStart.plus(std::chrono::milliseconds(static_cast<std::int64_t>(minutes * 60'000)));
}

/// One account's short window, fed with evidence.
struct Traffic {
    AccountRouting routing;
    WindowLearning learning;
    double percent = 0;
    double tokens = 0;
    UnixMillis reset = in_minutes(300);

    void see(double minute)
    {
        const WindowRecord before = routing.short_window;
        record_window(
            routing,
            kFiveHours,
            UsedShare::from_fraction(std::floor(percent) / 100.0),
            reset,
            EvidenceSource::header,
            in_minutes(minute));
        learn_window(learning, before, routing.short_window, static_cast<std::uint64_t>(tokens));
    }

    /// Minutes `from` to `to`, an answer every `step`; `per_hour` percent, `per_percent` tokens.
    void run(double from, double to, double step, double per_hour, double per_percent)
    {
        for (double minute = from; minute < to; minute += step) {
            percent += per_hour * step / 60;
            tokens += per_hour * step / 60 * per_percent;
            see(minute + step);
        }
    }

    [[nodiscard]] Forecast at(double minute) const
    {
        return forecast(routing.short_window, learning, in_minutes(minute));
    }
};

TEST(Forecast, NothingIsKnownInTheBeginning)
{
    Traffic traffic;
    EXPECT_EQ(traffic.at(0).confidence, Confidence::none);
    traffic.see(0);
    traffic.see(1);
    EXPECT_EQ(traffic.at(1).confidence, Confidence::none) << "one percent has to be used first";
    EXPECT_FALSE(traffic.at(1).empty_at.is_set());
}

TEST(Forecast, SteadyTrafficIsForetoldWithinAFewPercent)
{
    Traffic traffic;
    traffic.run(0, 90, 0.5, 40, 12'345); // 40 % an hour: empty after 150 minutes
    const Forecast forecast = traffic.at(90);
    EXPECT_EQ(forecast.confidence, Confidence::high);
    EXPECT_NEAR(forecast.percent_per_hour, 40, 2);
    EXPECT_NEAR(traffic.learning.tokens_per_percent, 12'345, 500);
    EXPECT_NEAR(forecast.tokens_left, 40 * 12'345, 40'000);
    ASSERT_TRUE(forecast.empty_at.is_set());
    EXPECT_NEAR(
        static_cast<double>(forecast.empty_at.since(in_minutes(150)).count()), 0, 6 * 60'000.0);
}

TEST(Forecast, WhatResetsFirstDoesNotRunEmpty)
{
    Traffic traffic;
    traffic.run(0, 120, 1, 10, 1000); // 20 % of 100, 180 minutes to go
    const Forecast forecast = traffic.at(120);
    EXPECT_FALSE(forecast.empty_at.is_set());
    EXPECT_NE(forecast.confidence, Confidence::none) << "that is known, too";
    EXPECT_NEAR(forecast.percent_per_hour, 10, 1);
}

TEST(Forecast, FollowsAChangeOfPace)
{
    Traffic traffic;
    traffic.run(0, 60, 1, 10, 1000);
    traffic.run(60, 120, 1, 60, 1000);
    EXPECT_GT(traffic.at(120).percent_per_hour, 45);
    EXPECT_TRUE(traffic.at(120).empty_at.is_set());
}

TEST(Forecast, IdlenessSlowsThePaceWithoutAnythingRunning)
{
    Traffic traffic;
    traffic.run(0, 60, 1, 60, 1000);
    EXPECT_NEAR(traffic.at(60).percent_per_hour, 60, 5);
    EXPECT_LT(traffic.at(120).percent_per_hour, 1.1) << "less than 1 % in the last hour";
    EXPECT_FALSE(traffic.at(120).empty_at.is_set());
    EXPECT_EQ(traffic.at(180).confidence, Confidence::low) << "old evidence";
}

TEST(Forecast, AResetBeginsANewRoundAndKeepsWhatWasLearnt)
{
    Traffic traffic;
    traffic.run(0, 60, 1, 40, 2000);
    const WindowLearning before = traffic.learning;
    traffic.percent = 0;
    traffic.reset = in_minutes(600);
    traffic.see(61);
    EXPECT_EQ(traffic.learning.samples, before.samples) << "no sample across the reset";
    EXPECT_EQ(traffic.learning.anchor_used, UsedShare{0});
    EXPECT_DOUBLE_EQ(traffic.learning.tokens_per_percent, before.tokens_per_percent);
    traffic.run(61, 91, 1, 40, 2000);
    EXPECT_NEAR(traffic.learning.tokens_per_percent, 2000, 200);
}

TEST(Forecast, UseOutsideThePoolTeachesThePaceButNoTokens)
{
    Traffic traffic;
    traffic.run(0, 30, 1, 60, 0);
    EXPECT_EQ(traffic.learning.tokens_per_percent, 0);
    EXPECT_NEAR(traffic.at(30).percent_per_hour, 60, 5);
    EXPECT_EQ(traffic.at(30).tokens_left, 0);
}

TEST(Forecast, AFullWindowIsEmptySinceThen)
{
    Traffic traffic;
    traffic.run(0, 60, 1, 95, 100);
    traffic.percent = 100;
    traffic.see(64);
    traffic.see(70);
    const Forecast forecast = traffic.at(80);
    EXPECT_EQ(forecast.empty_at, in_minutes(64));
    EXPECT_EQ(forecast.confidence, Confidence::high);
    EXPECT_EQ(traffic.at(301).confidence, Confidence::none) << "its reset has passed";
}

TEST(Forecast, ABurstIsNoPace)
{
    Traffic traffic;
    traffic.see(0);
    traffic.percent = 5;
    traffic.see(0.01);
    EXPECT_EQ(traffic.learning.samples, 0U);
    traffic.see(10);
    EXPECT_NEAR(traffic.learning.percent_per_hour, 30, 0.1) << "5 % in ten minutes";
}

TEST(Forecast, ACounterThatBeganAnewIsNoNegativeSample)
{
    Traffic traffic;
    traffic.tokens = 1e9;
    traffic.see(0);
    traffic.tokens = 5;
    traffic.percent = 7;
    traffic.see(20);
    EXPECT_EQ(traffic.learning.samples, 0U);
    EXPECT_EQ(traffic.learning.anchor_tokens, 5U);
}

TEST(WeekCapacity, IsWhatTheAccountsHaveTaught)
{
    SegmentMapping mapping = *SegmentMapping::create(UnixMillis{1'800'000'000'000});
    Segment& segment = *mapping;
    EXPECT_EQ(week_capacity(segment), 0U);
    segment.account_slots.store(4);
    const auto set = [&](std::size_t slot, std::uint8_t provider, double tokens_per_percent) {
        segment.accounts[slot].with_lock([&](AccountRecord& account) {
            account.routing.state = AccountState::ready;
            account.routing.provider = provider;
            account.long_learning.tokens_per_percent = tokens_per_percent;
        });
    };
    set(0, 1, 1000);
    set(1, 1, 0); // as the other one of its provider
    set(2, 2, 0); // nothing is known of the whole provider
    EXPECT_EQ(week_capacity(segment), 200'000U);
    set(3, 2, 10);
    EXPECT_EQ(week_capacity(segment), 202'000U);
    segment.accounts[0].with_lock(
        [](AccountRecord& account) { account.routing.state = AccountState::disabled; });
    EXPECT_EQ(week_capacity(segment), 2'000U);
}

} // namespace
} // namespace shared
