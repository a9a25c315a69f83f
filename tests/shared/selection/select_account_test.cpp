#include "shared/selection/select_account.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace shared {
namespace {

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

/// A rate limit that ends in `left`, which the vendor named or we guessed.
void cool(Candidate& candidate, minutes left, bool end_known)
{
    candidate.routing.cooling_until = kNow.plus(left);
    candidate.routing.cooling_end_known = end_known;
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

TEST(SelectAccount, AnUnknownSubscriptionIsTriedBeforeAUsedOneAndAnApiKeyAfterBoth)
{
    const std::array all{account(0, 60), account(1), account(2, -1, CredentialKind::api_key)};
    EXPECT_EQ(select_account(query(), all).account.value, 1);
    std::vector<AccountSlot> tried{AccountSlot{1}};
    auto q = query();
    q.tried = tried;
    EXPECT_EQ(select_account(q, all).account.value, 0);
    tried.push_back(AccountSlot{0});
    q.tried = tried;
    EXPECT_EQ(select_account(q, all).account.value, 2);
}

TEST(SelectAccount, OneRequestIsEnoughToTryAnUnknownSubscription)
{
    std::array all{account(0, 10), account(1)};
    std::array<int, 2> picked{};
    for (int i = 0; i < 10; ++i) {
        const std::uint16_t choice = select_account(query(), all).account.value;
        ++picked[choice];
        ++all[choice].in_flight;
    }
    EXPECT_GE(picked[0], 2) << "a burst before the first answer is shared out";
    EXPECT_GE(picked[1], 2);
}

TEST(SelectAccount, AnApiKeyServesWhenTheSubscriptionsAreNearlyUsedUp)
{
    const std::array all{account(0, 97), account(1, -1, CredentialKind::api_key)};
    EXPECT_EQ(select_account(query(), all).account.value, 1);
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
    cool(all[0], minutes(9), true);
    cool(all[1], minutes(3), false);
    all[2].routing.state = AccountState::disabled;
    Selection selection = select_account(query(), all);
    EXPECT_TRUE(selection.limited);
    EXPECT_FALSE(selection.busy);
    EXPECT_EQ(selection.retry_at, kNow.plus(minutes(9))) << "a back-off of ours is no reset";
    EXPECT_EQ(selection.next_try_at, kNow.plus(minutes(3)));

    std::array rejected{account(0)};
    rejected[0].routing.state = AccountState::failing;
    rejected[0].routing.cooling_until = kNow.plus(minutes(1));
    selection = select_account(query(), rejected);
    EXPECT_FALSE(selection.limited);
    EXPECT_FALSE(selection.retry_at.is_set());
    EXPECT_EQ(selection.next_try_at, kNow.plus(minutes(1)));
}

TEST(SelectAccount, ARejectionEndsInOneProbe)
{
    std::array all{account(0)};
    all[0].routing.state = AccountState::failing;
    all[0].routing.cooling_until = kNow;
    Selection selection = select_account(query(), all);
    EXPECT_TRUE(selection.account.is_set());
    EXPECT_TRUE(selection.probe);

    all[0].routing.probing_until = kNow.plus(minutes(2));
    selection = select_account(query(), all);
    EXPECT_FALSE(selection.account.is_set());
    EXPECT_TRUE(selection.limited);
    EXPECT_TRUE(selection.busy) << "the probe may end at any moment";
    EXPECT_FALSE(selection.next_try_at.is_set());

    all[0].routing.probing_until = kNow;
    EXPECT_TRUE(select_account(query(), all).probe) << "a probe nobody heard of again";
}

TEST(SelectAccount, ACoolDownEndsInAProbeOnlyWhereItsEndWasAGuess)
{
    std::array all{account(0)};
    cool(all[0], minutes(0), true);
    EXPECT_FALSE(select_account(query(), all).probe);
    cool(all[0], minutes(0), false);
    EXPECT_TRUE(select_account(query(), all).probe);
}

TEST(SelectAccount, PriorityComesBeforeAnyScore)
{
    std::array all{account(0, 95), account(1, 5), account(2, 5)};
    all[0].routing.priority = 1;
    all[2].routing.priority = -1;
    std::array<CandidateNote, 3> notes{};
    const Selection selection = select_account(query(), all, notes);
    EXPECT_EQ(selection.account.value, 0);
    EXPECT_EQ(notes[1].reason, PassedOver::lower_priority);
    all[0].routing.cooling_until = kNow.plus(minutes(1));
    EXPECT_EQ(select_account(query(), all).account.value, 1);
}

TEST(SelectAccount, WeightMultipliesTheScore)
{
    std::array all{account(0, 50), account(1, 30)};
    all[0].routing.weight_percent = 200;
    EXPECT_EQ(select_account(query(), all).account.value, 0);
    all[0].routing.weight_percent = 100;
    EXPECT_EQ(select_account(query(), all).account.value, 1);
}

TEST(SelectAccount, ALargerPlanHasMoreRoomAtTheSameShare)
{
    std::array all{account(0, 50), account(1, 40)};
    all[0].capacity = 20;
    EXPECT_EQ(select_account(query(), all).account.value, 0);
}

TEST(SelectAccount, AtItsConcurrencyCapAnAccountIsBusyAndMayServeAtAnyMoment)
{
    std::array all{account(0)};
    all[0].routing.max_concurrency = 2;
    all[0].in_flight = 1;
    EXPECT_TRUE(select_account(query(), all).capped);
    all[0].in_flight = 2;
    auto q = query();
    q.pinned = AccountSlot{0};
    const Selection selection = select_account(q, all);
    EXPECT_FALSE(selection.account.is_set());
    EXPECT_TRUE(selection.limited && selection.busy);
    EXPECT_EQ(selection.pinned.reason, PassedOver::busy);
    EXPECT_FALSE(selection.pinned.until.is_set());
}

TEST(SelectAccount, WhatAnOwnerKeepsIsThereForHisOwnRequestsOnly)
{
    std::array all{account(0, 85)};
    all[0].routing.reserve_percent = 20;
    EXPECT_TRUE(select_account(query(), all).account.is_set());
    all[0].is_owners = false;
    const Selection selection = select_account(query(), all);
    EXPECT_FALSE(selection.account.is_set());
    EXPECT_TRUE(selection.limited);
    EXPECT_EQ(selection.retry_at, kNow.plus(hours(100)));

    std::array shared{account(0, 75), account(1, 90)};
    shared[0].routing.reserve_percent = 20;
    shared[0].is_owners = false;
    EXPECT_EQ(select_account(query(), shared).account.value, 1) << "5 % are left, not 25";
}

TEST(SelectAccount, AnAccountThatMayNotServeTheModelIsNoneAtAll)
{
    std::array all{account(0)};
    all[0].serves_model = false;
    all[0].routing.cooling_until = kNow.plus(minutes(5));
    const Selection selection = select_account(query(), all);
    EXPECT_FALSE(selection.account.is_set());
    EXPECT_FALSE(selection.limited);
}

TEST(SelectAccount, APinnedAccountThatCannotServeSaysWhyAndUntilWhen)
{
    std::array all{account(0, 10), account(1, 50)};
    cool(all[0], minutes(5), true);
    auto q = query();
    q.pinned = AccountSlot{0};
    Selection selection = select_account(q, all);
    EXPECT_EQ(selection.account.value, 1);
    EXPECT_TRUE(selection.pin_moved);
    EXPECT_EQ(selection.pinned.reason, PassedOver::cooling);
    EXPECT_EQ(selection.pinned.until, kNow.plus(minutes(5)));

    all[0].routing = account(0, 100).routing;
    selection = select_account(q, all);
    EXPECT_EQ(selection.pinned.reason, PassedOver::exhausted);
    EXPECT_EQ(selection.pinned.until, kNow.plus(hours(100)));

    all[0].routing.state = AccountState::disabled;
    EXPECT_EQ(select_account(q, all).pinned.reason, PassedOver::disabled);
}

TEST(SelectAccountNotes, EveryAccountIsNotedWithItsReason)
{
    std::array all{
        account(0, 10),
        account(1, 20),
        account(2, 100),
        account(3),
        account(4),
        account(5),
        account(6, -1, CredentialKind::api_key),
        account(7)};
    cool(all[3], minutes(1), true);
    all[4].routing.state = AccountState::needs_login;
    all[5].serves_model = false;
    all[7].routing.state = AccountState::removed;
    const std::array tried{AccountSlot{1}};
    auto q = query();
    q.legs = std::span(both_kinds()).first(1);
    q.tried = tried;
    std::array<CandidateNote, 16> notes{};
    const Selection selection = select_account(q, all, notes);
    ASSERT_EQ(selection.notes, 7) << "all but the removed one";
    const std::array expected{
        PassedOver::picked,
        PassedOver::tried,
        PassedOver::exhausted,
        PassedOver::cooling,
        PassedOver::needs_login,
        PassedOver::model_denied,
        PassedOver::wrong_kind};
    for (std::size_t i = 0; i < expected.size(); ++i)
        EXPECT_EQ(notes[i].reason, expected[i]) << i << ": " << to_string(notes[i].reason);
    EXPECT_FLOAT_EQ(notes[0].score, static_cast<float>(selection.score));
}

TEST(SelectAccountNotes, WhoLosesToAPinIsNoted)
{
    const std::array all{account(0, 90), account(1, 10), account(2, 100)};
    auto q = query();
    q.pinned = AccountSlot{0};
    std::array<CandidateNote, 4> notes{};
    ASSERT_EQ(select_account(q, all, notes).notes, 3);
    EXPECT_EQ(notes[0].reason, PassedOver::picked);
    EXPECT_EQ(notes[1].reason, PassedOver::pinned_elsewhere);
    EXPECT_EQ(notes[2].reason, PassedOver::exhausted);
}

TEST(SelectAccountNotes, TheChoiceIsNotedHoweverLittleRoomThereIs)
{
    const std::array all{account(0, 90), account(1, 80), account(2, 10)};
    std::array<CandidateNote, 2> notes{};
    ASSERT_EQ(select_account(query(), all, notes).notes, 2);
    EXPECT_EQ(notes[0].reason, PassedOver::lower_score);
    EXPECT_EQ(notes[1].account.value, 2);
    EXPECT_EQ(notes[1].reason, PassedOver::picked);
}

TEST(SelectAccount, ThresholdsLowerTheScoreButNeverExclude)
{
    const std::array all{account(0, 99)};
    EXPECT_TRUE(select_account(query(), all).account.is_set());
}

} // namespace
} // namespace shared
