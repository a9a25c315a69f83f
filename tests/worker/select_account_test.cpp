#include "worker/select_account.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

namespace worker {
namespace {

using namespace shared;
constexpr UnixMillis kNow{1'700'000'000'000};
using std::chrono::hours;
using std::chrono::minutes;

const std::vector<Leg>& both_kinds()
{
    static const std::vector<Leg> legs{
        {CredentialKind::oauth, {ProviderId::codex, 0}, "/responses", true},
        {CredentialKind::api_key, {ProviderId::codex, 2}, "/responses", false}};
    return legs;
}

Candidate
account(std::uint16_t slot, int long_percent = -1, CredentialKind kind = CredentialKind::oauth)
{
    Candidate candidate;
    candidate.slot = {slot};
    candidate.routing.state = AccountState::ready;
    candidate.routing.provider = static_cast<std::uint8_t>(ProviderId::codex);
    candidate.routing.kind = static_cast<std::uint8_t>(kind);
    if (long_percent >= 0) {
        record_window(
            candidate.routing,
            604800,
            UsedShare::from_fraction(long_percent / 100.0),
            kNow.plus(hours(100)),
            EvidenceSource::header,
            kNow);
    }
    return candidate;
}

SelectionQuery query()
{
    SelectionQuery q;
    q.provider = ProviderId::codex;
    q.legs = both_kinds();
    q.now = kNow;
    return q;
}

TEST(SelectAccount, TheMostRoomLeftWins)
{
    const std::array all{account(0, 60), account(1, 20), account(2, 90)};
    EXPECT_EQ(select_account(query(), all).account.value, 1);
}

TEST(SelectAccount, TiesGoToTheFewestInFlight)
{
    std::array all{account(0), account(1), account(2)};
    all[0].in_flight = 2;
    all[1].in_flight = 1;
    all[2].in_flight = 3;
    EXPECT_EQ(select_account(query(), all).account.value, 1);
}

TEST(SelectAccount, EqualAccountsTakeTurns)
{
    const std::array all{account(0), account(1), account(2)};
    std::array<int, 3> picked{};
    for (std::uint64_t i = 0; i < kMaxAccounts; ++i) {
        auto q = query();
        q.rotation = i;
        ++picked[select_account(q, all).account.value];
    }
    for (const int times : picked)
        EXPECT_GT(times, 60) << "of 256, among three";
}

TEST(SelectAccount, AnUnknownSubscriptionIsTriedBeforeAUsedOneAndAnApiKeyAfterAFreshOne)
{
    std::array all{account(0, 9), account(1), account(2, -1, CredentialKind::api_key)};
    EXPECT_EQ(select_account(query(), all).account.value, 1);
    const std::array tried{AccountSlot{1}};
    auto q = query();
    q.tried = tried;
    EXPECT_EQ(select_account(q, all).account.value, 2)
        << "nothing tells that the key costs more than half a week";
    record_window(
        all[0].routing, 18000, UsedShare{100}, kNow.plus(hours(5)), EvidenceSource::header, kNow);
    EXPECT_EQ(select_account(q, all).account.value, 0);
}

TEST(SelectAccount, APinnedAccountStaysHoweverFullItIs)
{
    const std::array all{account(0, 99), account(1, 0)};
    auto q = query();
    q.pinned = AccountSlot{0};
    const Selection selection = select_account(q, all);
    EXPECT_EQ(selection.account.value, 0);
    EXPECT_FALSE(selection.pin_moved);
}

TEST(SelectAccount, APinMovesOnlyWhenItsAccountCannotServe)
{
    std::array all{account(0, 10), account(1, 50)};
    all[0].routing.cooling_until = kNow.plus(minutes(5));
    auto q = query();
    q.pinned = AccountSlot{0};
    const Selection selection = select_account(q, all);
    EXPECT_EQ(selection.account.value, 1);
    EXPECT_TRUE(selection.pin_moved);
}

TEST(SelectAccount, AConversationNeverChangesBetweenKindsOfAccount)
{
    std::array all{account(0, 100), account(1, 0, CredentialKind::api_key)};
    auto q = query();
    EXPECT_EQ(select_account(q, all).account.value, 1) << "a new conversation may";
    q.pinned = AccountSlot{0};
    const Selection selection = select_account(q, all);
    EXPECT_FALSE(selection.account.is_set());
    EXPECT_TRUE(selection.limited);
    EXPECT_EQ(selection.retry_at, kNow.plus(hours(100)));
}

TEST(SelectAccount, APinSaysNothingOnARouteThatItsKindNeverServes)
{
    const std::array all{account(0), account(1, -1, CredentialKind::api_key)};
    auto q = query();
    q.legs = std::span(both_kinds()).subspan(1); // API keys only
    q.pinned = AccountSlot{0};
    EXPECT_EQ(select_account(q, all).account.value, 1);
    EXPECT_FALSE(select_account(q, all).pin_moved);
}

TEST(SelectAccount, AnUpgradeDoesNotMoveAConversationToAnotherKind)
{
    const std::array all{account(0), account(1, -1, CredentialKind::api_key)};
    auto q = query();
    q.websocket = true;
    q.pinned = AccountSlot{1};
    EXPECT_FALSE(select_account(q, all).account.is_set());
}

TEST(SelectAccount, OrderedLegsPreferTheFirstKind)
{
    const std::array all{account(0, 5, CredentialKind::api_key), account(1, 95)};
    auto q = query();
    q.ordered_legs = true;
    EXPECT_EQ(select_account(q, all).account.value, 1);
    const std::array tried{AccountSlot{1}};
    q.tried = tried;
    const Selection selection = select_account(q, all);
    EXPECT_EQ(selection.account.value, 0);
    EXPECT_EQ(selection.leg, 1);
}

TEST(SelectAccount, WebSocketsOnlyGoWhereTheyCanBeUpgraded)
{
    const std::array all{account(0, 0, CredentialKind::api_key), account(1, 90)};
    auto q = query();
    q.websocket = true;
    EXPECT_EQ(select_account(q, all).account.value, 1);
}

TEST(SelectAccount, OtherProvidersAreNeverPicked)
{
    std::array all{account(0)};
    all[0].routing.provider = static_cast<std::uint8_t>(ProviderId::claude);
    const Selection selection = select_account(query(), all);
    EXPECT_FALSE(selection.account.is_set());
    EXPECT_FALSE(selection.limited);
}

TEST(SelectAccount, WhenNobodyCanServeTheEarliestKnownResetIsNamedAndNoneInvented)
{
    std::array all{account(0), account(1), account(2)};
    all[0].routing.cooling_until = kNow.plus(minutes(9));
    all[1].routing.cooling_until = kNow.plus(minutes(3));
    all[2].routing.state = AccountState::disabled;
    Selection selection = select_account(query(), all);
    EXPECT_TRUE(selection.limited);
    EXPECT_EQ(selection.retry_at, kNow.plus(minutes(3)));

    std::array rejected{account(0)};
    rejected[0].routing.state = AccountState::failing;
    rejected[0].routing.cooling_until = kNow.plus(minutes(1));
    selection = select_account(query(), rejected);
    EXPECT_FALSE(selection.limited);
    EXPECT_FALSE(selection.retry_at.is_set());
}

TEST(SelectAccount, ARejectionEndsInAProbe)
{
    std::array all{account(0)};
    all[0].routing.state = AccountState::failing;
    all[0].routing.cooling_until = kNow;
    EXPECT_TRUE(select_account(query(), all).account.is_set());
}

TEST(SelectAccount, ThresholdsLowerTheScoreButNeverExclude)
{
    const std::array all{account(0, 99)};
    EXPECT_TRUE(select_account(query(), all).account.is_set());
}

TEST(SelectAccountProperty, NeverPicksOneThatCannotServeWhileOneCan)
{
    std::mt19937 random(42);
    const auto chance = [&](unsigned n) { return random() % n == 0; };
    for (int round = 0; round < 5000; ++round) {
        std::vector<Candidate> all;
        const auto count = static_cast<std::uint16_t>(1 + random() % 8);
        for (std::uint16_t i = 0; i < count; ++i) {
            Candidate candidate = account(i, static_cast<int>(random() % 101));
            if (chance(4)) candidate.routing.cooling_until = kNow.plus(minutes(1));
            if (chance(6)) candidate.routing.state = AccountState::failing;
            if (chance(6)) candidate.routing.state = AccountState::disabled;
            candidate.in_flight = random() % 30;
            add_penalty(candidate.routing, random() % 900, kNow);
            all.push_back(candidate);
        }
        auto q = query();
        q.rotation = random();
        if (chance(3)) q.pinned = AccountSlot{static_cast<std::uint16_t>(random() % count)};
        const Selection selection = select_account(q, all);
        bool anyone = false;
        for (const Candidate& c : all) {
            anyone = anyone || condition(c.routing, kNow) == AccountCondition::ready;
        }
        ASSERT_EQ(selection.account.is_set(), anyone);
        if (anyone) {
            ASSERT_EQ(
                condition(all[selection.account.value].routing, kNow), AccountCondition::ready);
            ASSERT_EQ(select_account(q, all).account, selection.account) << "deterministic";
        }
    }
}

TEST(SelectAccountProperty, MoreRoomNeverScoresLess)
{
    for (int reset_hours : {2, 5, 20, 100, 160}) {
        double before = 1e9;
        for (int percent = 0; percent <= 100; ++percent) {
            Candidate candidate = account(0);
            const UsedShare used = UsedShare::from_fraction(percent / 100.0);
            const UnixMillis reset = kNow.plus(hours(reset_hours));
            record_window(candidate.routing, 604800, used, reset, EvidenceSource::header, kNow);
            const double value = score(candidate.routing, 0, kNow);
            EXPECT_LE(value, before + 1e-9) << percent << " % at " << reset_hours << " h";
            before = value;
        }
    }
}

} // namespace
} // namespace worker
