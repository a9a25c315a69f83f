#include "shared/segment/fair_order.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace shared {
namespace {

constexpr MonotonicMillis kNow{100'000'000};

class FairOrder : public testing::Test {
protected:
    std::uint16_t add_user(double cost, double requests = 1, double weight = 1)
    {
        const auto number = static_cast<std::uint16_t>(++users_);
        queue_->users_used = number + 1U;
        FairUser& user = queue_->users[number];
        user.name.assign("user" + std::to_string(number));
        user.provider = 1;
        user.cost = cost;
        user.requests = requests;
        user.cost_at = kNow;
        user.weight = weight;
        user.used = true;
        return number;
    }

    std::uint16_t add_ticket(std::uint16_t user, AccountSet wants = all())
    {
        const auto number = static_cast<std::uint16_t>(queue_->tickets_used++);
        queue_->tickets[number] = {++queue_->last_sequence, wants, kNow, 0, user};
        return number;
    }

    static AccountSet all()
    {
        AccountSet set;
        for (std::uint16_t i = 0; i < 8; ++i)
            set.add({i});
        return set;
    }

    const FairLoad& load(MonotonicMillis now = kNow)
    {
        load_ = std::make_unique<FairLoad>();
        if (asking_) load_->users[*asking_].active = true;
        for (const auto& [user, count] : running_)
            load_->users[user].in_flight = count;
        load_users(*queue_, now, *load_);
        return *load_;
    }

    std::vector<std::uint16_t> order(MonotonicMillis now = kNow)
    {
        const auto turns = std::make_unique<Turns>();
        const std::size_t count = order_of_service(*queue_, load(now), now, *turns);
        std::vector<std::uint16_t> out;
        for (std::size_t i = 0; i < count; ++i)
            out.push_back((*turns)[i].ticket);
        return out;
    }

    std::unique_ptr<WaitQueue> queue_ = std::make_unique<WaitQueue>();
    std::unique_ptr<FairLoad> load_;
    std::vector<std::pair<std::uint16_t, std::uint32_t>> running_;
    std::size_t users_ = 0;
    std::optional<std::uint16_t> asking_;
};

using Order = std::vector<std::uint16_t>;

TEST_F(FairOrder, TheOneWhoCostLeastGoesBeforeTheOneWhoCameFirst)
{
    const auto heavy = add_user(500'000);
    const auto light = add_user(1'000);
    const auto first = add_ticket(heavy);
    const auto second = add_ticket(light);
    EXPECT_EQ(order(), (Order{second, first}));
}

TEST_F(FairOrder, BelowTheAverageItIsFirstComeFirstServed)
{
    add_user(900'000);
    queue_->users[1].active_at = kNow; // lifts the average
    const auto middle = add_user(30'000);
    const auto least = add_user(0);
    const auto first = add_ticket(middle);
    const auto second = add_ticket(least);
    EXPECT_EQ(order(), (Order{first, second}));
}

TEST_F(FairOrder, AFloodStandsBehindWhoeverComesLater)
{
    const auto flood = add_user(10'000, 10);
    const auto other = add_user(10'000, 10);
    Order floods;
    for (int i = 0; i < 50; ++i)
        floods.push_back(add_ticket(flood));
    const auto late = add_ticket(other);
    const Order all = order();
    const auto place = std::find(all.begin(), all.end(), late) - all.begin();
    EXPECT_LE(place, 1) << "at most the flood's first, which came earlier at the same cost";
    // The flood's own stay in their order.
    Order rest;
    for (const std::uint16_t ticket : all)
        if (ticket != late) rest.push_back(ticket);
    EXPECT_EQ(rest, floods);
}

TEST_F(FairOrder, WhatRunsCountsAsIfItHadEnded)
{
    const auto busy = add_user(1'000);
    const auto idle = add_user(1'500);
    const auto first = add_ticket(busy);
    const auto second = add_ticket(idle);
    EXPECT_EQ(order().front(), first);
    running_ = {{busy, 5}};
    EXPECT_EQ(order().front(), second);
}

TEST_F(FairOrder, WeightBuysAShare)
{
    const auto plain = add_user(90'000);
    const auto paying = add_user(100'000, 1, 4);
    const auto first = add_ticket(plain);
    const auto second = add_ticket(paying);
    EXPECT_EQ(order(), (Order{second, first}));
}

TEST_F(FairOrder, CostIsForgottenByHalves)
{
    const auto user = add_user(8'000);
    EXPECT_DOUBLE_EQ(cost_now(queue_->users[user], kNow + kCostHalfLife), 4'000);
    EXPECT_DOUBLE_EQ(cost_now(queue_->users[user], kNow + 3 * kCostHalfLife), 1'000);
    add_cost(queue_->users[user], 500, 1, kNow + 3 * kCostHalfLife);
    EXPECT_DOUBLE_EQ(
        cost_now(queue_->users[user], kNow + 3 * kCostHalfLife), 1'500 + kRequestTokens);
    // Time that stands still or goes back changes nothing.
    EXPECT_DOUBLE_EQ(cost_now(queue_->users[user], kNow), 1'500 + kRequestTokens);
}

TEST_F(FairOrder, TicketsOfASilentWorkerHoldNobodyUp)
{
    const auto user = add_user(0);
    add_ticket(user);
    const auto seen = add_ticket(user);
    const MonotonicMillis later = kNow + kTicketForgottenAfter + MonotonicMillis(1);
    queue_->tickets[seen].seen_at = later;
    EXPECT_EQ(order(later), (Order{seen}));
}

TEST_F(FairOrder, PlacesGoToThoseInFrontAndTheRestIsLeft)
{
    const auto user = add_user(0);
    AccountSet only_first;
    only_first.add({0});
    const std::vector<AccountPlace> places{{{0}, 1, 0}, {{1}, 1, 0}};
    PlacesLeft left(load(), places);
    EXPECT_TRUE(left.grant(only_first, user));
    EXPECT_FALSE(left.open(0, user));
    EXPECT_TRUE(left.open(1, user));
    EXPECT_FALSE(left.grant(only_first, user));
    EXPECT_TRUE(left.grant(all(), user));
    EXPECT_FALSE(left.grant(all(), user));
}

TEST_F(FairOrder, AnAccountWithoutALimitIsAlwaysOpen)
{
    const auto user = add_user(1e9);
    add_user(1);
    queue_->users[2].active_at = kNow;
    running_ = {{user, 1000}};
    const std::vector<AccountPlace> places{{{3}, 0, 1000}};
    PlacesLeft left(load(), places);
    for (int i = 0; i < 2000; ++i)
        ASSERT_TRUE(left.grant(all(), user));
}

TEST_F(FairOrder, TheLastPlaceIsNotForAHeavyUserWhileOthersAreAbout)
{
    const auto heavy = add_user(100'000);
    const auto light = add_user(1'000);
    running_ = {{heavy, 1}};
    const std::vector<AccountPlace> places{{{0}, 2, 1}};
    EXPECT_TRUE(PlacesLeft(load(), places).open(0, heavy)) << "nobody else was here lately";
    queue_->users[light].active_at = kNow;
    EXPECT_FALSE(PlacesLeft(load(), places).open(0, heavy));
    EXPECT_TRUE(PlacesLeft(load(), places).open(0, light));
    const MonotonicMillis later = kNow + kActiveFor + MonotonicMillis(1);
    EXPECT_TRUE(PlacesLeft(load(later), places).open(0, heavy));
}

TEST_F(FairOrder, WithOnePlaceThereIsNoneToLeave)
{
    const auto heavy = add_user(100'000);
    add_user(1'000);
    queue_->users[2].active_at = kNow;
    running_ = {{heavy, 3}};
    const std::vector<AccountPlace> places{{{0}, 1, 0}};
    EXPECT_TRUE(PlacesLeft(load(), places).open(0, heavy));
}

TEST_F(FairOrder, AUserWithinItsShareMayTakeTheLastPlace)
{
    const auto heavy = add_user(100'000);
    add_user(1'000);
    queue_->users[2].active_at = kNow;
    running_ = {{heavy, 1}};
    const std::vector<AccountPlace> places{{{0}, 2, 1}, {{1}, 2, 2}};
    EXPECT_TRUE(PlacesLeft(load(), places).open(0, heavy)) << "one of four runs, two are its share";
}

} // namespace
} // namespace shared
