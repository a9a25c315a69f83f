/// What happens to accounts, second by second, and which events that makes.
#include "refresher/event_watch.hpp"
#include "shared/providers/provider.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace refresher {
namespace {

using namespace std::chrono_literals;
using shared::AccountSnapshot;
using shared::AccountState;
using shared::Event;
using shared::EventType;
using shared::UnixMillis;

constexpr UnixMillis kStart{1'763'800'000'000};

class EventWatch : public testing::Test {
protected:
    EventWatch()
    {
        accounts_.reserve(8); // add() gives out references
        settings_.provider_name = [](std::uint8_t id) {
            return id == 1 ? std::string("codex") : std::string("claude");
        };
    }

    AccountSnapshot& add(const std::string& id, std::uint8_t provider = 1)
    {
        AccountSnapshot& account = accounts_.emplace_back();
        account.slot = {static_cast<std::uint16_t>(accounts_.size() - 1)};
        account.identity.id.assign(id);
        account.routing.state = AccountState::ready;
        account.routing.provider = provider;
        account.routing.kind = static_cast<std::uint8_t>(shared::CredentialKind::oauth);
        return account;
    }

    void use_up(AccountSnapshot& account, double week, std::chrono::milliseconds resets_in = 48h)
    {
        shared::record_window(
            account.routing,
            7 * 24 * 3600,
            shared::UsedShare::from_fraction(week),
            now_.plus(resets_in),
            shared::EvidenceSource::header,
            now_);
    }

    /// Looks once a second for `how_long` and returns "type subject" of everything that was said.
    std::vector<std::string> pass(std::chrono::seconds how_long)
    {
        std::vector<std::string> said;
        for (std::chrono::seconds t{0}; t < how_long; t += 1s) {
            now_ = now_.plus(1s);
            for (const Event& event : watch(accounts_, forecasts_, settings_, now_, alarms_)) {
                const bool of_account = !event.account.empty();
                std::string line(shared::to_string(event.type));
                if (event.was != EventType::none)
                    line += " of " + std::string(shared::to_string(event.was));
                said.push_back(
                    line + ' ' +
                    std::string(of_account ? event.account.view() : event.provider.view()));
                last_ = event;
            }
        }
        return said;
    }

    using Said = std::vector<std::string>;

    WatchSettings settings_;
    std::vector<AccountSnapshot> accounts_;
    std::vector<AccountForecast> forecasts_;
    shared::Alarms alarms_;
    UnixMillis now_ = kStart;
    Event last_;
};

TEST_F(EventWatch, AQuietPoolSaysNothing)
{
    use_up(add("codex:a"), 0.5);
    add("codex:b");
    EXPECT_EQ(pass(3600s), Said());
}

TEST_F(EventWatch, NeedsLoginIsSaidOnceAndItsEndToo)
{
    add("codex:a").routing.state = AccountState::needs_login;
    accounts_[0].routing.reason = "invalid_grant";
    add("codex:b");
    EXPECT_EQ(pass(60s), Said{"needs_login codex:a"});
    EXPECT_EQ(last_.reason.view(), "invalid_grant");
    EXPECT_EQ(
        last_.text.view(),
        "codex:a needs a new login (invalid grant): sign in again with its CLI, copy the file "
        "into the pool folder and reload.");
    accounts_[0].routing.state = AccountState::ready;
    accounts_[0].routing.reason = {};
    EXPECT_EQ(pass(9s), Said()) << "not before it has held for a while";
    EXPECT_EQ(pass(9s), Said{"recovered of needs_login codex:a"});
    EXPECT_EQ(last_.text.view(), "codex:a is in service again.");
    EXPECT_EQ(pass(3600s), Said());
}

TEST_F(EventWatch, FailingNamesWhenItIsTriedAgain)
{
    AccountSnapshot& account = add("codex:a");
    add("codex:b");
    account.routing.state = AccountState::failing;
    account.routing.reason = "deactivated_workspace";
    account.routing.cooling_until = kStart.plus(60s);
    EXPECT_EQ(pass(30s), Said{"account_failing codex:a"});
    EXPECT_EQ(last_.until, kStart.plus(60s));
    EXPECT_EQ(
        last_.text.view(),
        "codex:a is refused by the vendor (deactivated workspace); it is tried again at "
        "2025-11-22 08:27 UTC.");
    EXPECT_EQ(pass(120s), Said()) << "a back-off that is over is not yet a recovery";
    account.routing.state = AccountState::ready;
    EXPECT_EQ(pass(20s), Said{"recovered of account_failing codex:a"});
}

TEST_F(EventWatch, FromFailingToNeedsLoginIsNoRecovery)
{
    AccountSnapshot& account = add("codex:a");
    add("codex:b");
    account.routing.state = AccountState::failing;
    EXPECT_EQ(pass(30s), Said{"account_failing codex:a"});
    account.routing.state = AccountState::needs_login;
    EXPECT_EQ(pass(60s), Said{"needs_login codex:a"});
}

TEST_F(EventWatch, WhatItsOwnerTakesOutOfServiceNeitherFailsNorRecovers)
{
    AccountSnapshot& account = add("codex:a");
    add("codex:b");
    account.routing.state = AccountState::needs_login;
    EXPECT_EQ(pass(5s), Said{"needs_login codex:a"});
    account.routing.state = AccountState::disabled;
    EXPECT_EQ(pass(60s), Said());
    account.routing.state = AccountState::removed;
    EXPECT_EQ(pass(60s), Said());
}

TEST_F(EventWatch, AFlappingAccountMakesTwoEventsInTenMinutes)
{
    AccountSnapshot& account = add("codex:a");
    add("codex:b");
    for (const std::chrono::seconds period : {2s, 5s, 15s, 40s}) {
        std::size_t said = 0;
        for (std::chrono::seconds t{0}; t < 3600s; t += 2 * period) {
            account.routing.state = AccountState::failing;
            said += pass(period).size();
            account.routing.state = AccountState::ready;
            said += pass(period).size();
        }
        EXPECT_LE(said, 14U) << period.count() << " s: " << said;
        EXPECT_GE(said, 1U);
        pass(3600s);
    }
}

TEST_F(EventWatch, AnEmptyPoolIsSaidAfterAMomentAndItsReturnToo)
{
    AccountSnapshot& a = add("codex:a");
    use_up(a, 1.0, 60s);
    AccountSnapshot& b = add("codex:b");
    b.routing.cooling_until = kStart.plus(200s);
    add("claude:a", 2);
    EXPECT_EQ(pass(3s), Said());
    EXPECT_EQ(pass(40s), Said{"pool_empty codex"});
    EXPECT_EQ(last_.until, a.routing.long_window.resets_at);
    EXPECT_EQ(
        last_.text.view(),
        "No account of codex can serve (1 cooling, 1 exhausted); the first is back at 2025-11-22 "
        "08:27 UTC.");
    EXPECT_EQ(pass(60s), Said{"recovered of pool_empty codex"});
    EXPECT_EQ(last_.text.view(), "codex can serve again.");
}

TEST_F(EventWatch, AShortPauseOfTheOnlyAccountIsNotWorthAWord)
{
    AccountSnapshot& a = add("codex:a");
    a.routing.cooling_until = kStart.plus(3s);
    EXPECT_EQ(pass(60s), Said());
}

TEST_F(EventWatch, ProvidersWithoutAccountsAreNotEmpty)
{
    EXPECT_EQ(pass(60s), Said());
    add("codex:a").routing.state = AccountState::disabled;
    add("codex:b").routing.state = AccountState::removed;
    EXPECT_EQ(pass(60s), Said());
}

TEST_F(EventWatch, LowIsTheMeanRoomOverSubscriptions)
{
    AccountSnapshot& a = add("codex:a");
    AccountSnapshot& b = add("codex:b");
    AccountSnapshot& key = add("codex:key");
    key.routing.kind = static_cast<std::uint8_t>(shared::CredentialKind::api_key);
    use_up(a, 0.95);
    use_up(b, 0.80);
    EXPECT_EQ(pass(5s), Said()) << "12.5 % are left";
    use_up(b, 0.90);
    EXPECT_EQ(pass(60s), Said{"pool_low codex"});
    EXPECT_EQ(last_.text.view(), "codex has 8 % of its room left over 2 accounts.");
    use_up(b, 0.80);
    EXPECT_EQ(pass(60s), Said()) << "just above the limit is not yet a recovery";
    use_up(b, 0.61);
    EXPECT_EQ(pass(60s), Said{"recovered of pool_low codex"});
    EXPECT_EQ(last_.text.view(), "codex has 22 % of its room left over 2 accounts again.");
}

TEST_F(EventWatch, UnknownRoomCountsAsAllAndADeadAccountHasNone)
{
    AccountSnapshot& a = add("codex:a");
    use_up(a, 0.97);
    AccountSnapshot& b = add("codex:b");
    EXPECT_EQ(pass(5s), Said());
    b.routing.state = AccountState::needs_login;
    EXPECT_EQ(pass(5s), (Said{"needs_login codex:b", "pool_low codex"}));
    settings_.pool_low_percent = 0;
    alarms_ = {};
    EXPECT_EQ(pass(5s), Said{"needs_login codex:b"}) << "0 = never";
}

TEST_F(EventWatch, AnEmptyPoolIsNotCalledLowAsWell)
{
    use_up(add("codex:a"), 1.0);
    EXPECT_EQ(pass(60s), Said{"pool_empty codex"});
}

TEST_F(EventWatch, AForecastIsSaidWhenItHoldsAndNotEverySoOften)
{
    AccountSnapshot& a = add("codex:a");
    use_up(a, 0.5, 48h);
    forecasts_.resize(1);
    shared::Forecast& week = forecasts_[0].long_window;
    week.empty_at = kStart.plus(30h);
    week.confidence = shared::Confidence::low;
    EXPECT_EQ(pass(600s), Said()) << "nothing to rely on";
    week.confidence = shared::Confidence::medium;
    EXPECT_EQ(pass(60s), Said());
    week.empty_at = {};
    EXPECT_EQ(pass(60s), Said()) << "it did not hold";
    week.empty_at = kStart.plus(30h);
    EXPECT_EQ(pass(600s), Said{"forecast_empty_before_reset codex:a"});
    EXPECT_EQ(last_.until, week.empty_at);
    EXPECT_EQ(
        last_.text.view(),
        "At the present pace codex:a will have used up its week at 2025-11-23 14:26 UTC; it is "
        "renewed at 2025-11-24 08:26 UTC (confidence: medium).");
    for (int i = 0; i < 20; ++i) {
        week.empty_at = {};
        EXPECT_EQ(pass(60s), Said()) << "that it will last after all is no event";
        week.empty_at = kStart.plus(30h);
        EXPECT_EQ(pass(600s), Said());
    }
    week.empty_at = kStart.plus(49h);
    alarms_ = {};
    EXPECT_EQ(pass(600s), Said()) << "after the reset";
}

TEST_F(EventWatch, AClockSetBackDelaysNothingForLong)
{
    AccountSnapshot& a = add("codex:a");
    add("codex:b");
    a.routing.state = AccountState::failing;
    EXPECT_EQ(pass(5s), Said{"account_failing codex:a"});
    now_ = now_.plus(-240h);
    a.routing.state = AccountState::ready;
    EXPECT_EQ(pass(20s), Said{"recovered of account_failing codex:a"});
    a.routing.state = AccountState::failing;
    EXPECT_EQ(pass(660s), Said{"account_failing codex:a"});
}

} // namespace
} // namespace refresher
