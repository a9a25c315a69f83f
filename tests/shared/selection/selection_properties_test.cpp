/// What holds for every strategy, whatever the pool looks like: random pools from fixed seeds.
#include "shared/selection/select_account.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

namespace shared {
namespace {

constexpr UnixMillis kNow{1'700'000'000'000};
constexpr std::uint32_t kShort = 5 * 3600;
constexpr std::uint32_t kLong = 7 * 24 * 3600;
using std::chrono::hours;
using std::chrono::minutes;

const std::array<Leg, 2> kLegs{
    Leg{CredentialKind::oauth, {ProviderId::codex, 0}, "/responses", true},
    Leg{CredentialKind::api_key, {ProviderId::codex, 2}, "/responses", false}};

void use(
    Candidate& candidate, std::uint32_t seconds, double share, std::chrono::milliseconds reset_in)
{
    record_window(
        candidate.routing,
        seconds,
        UsedShare::from_fraction(share),
        kNow.plus(reset_in),
        EvidenceSource::header,
        kNow);
}

Candidate login(std::uint16_t slot)
{
    Candidate candidate;
    candidate.slot = {slot};
    candidate.routing.state = AccountState::ready;
    candidate.routing.provider = static_cast<std::uint8_t>(ProviderId::codex);
    candidate.routing.kind = static_cast<std::uint8_t>(CredentialKind::oauth);
    return candidate;
}

/// Pools of all kinds of accounts in all states, from one seed.
class RandomPool {
public:
    explicit RandomPool(std::uint32_t seed) : random_(seed) {}

    bool chance(unsigned n) { return random_() % n == 0; }

    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }

    std::vector<Candidate> pool()
    {
        std::vector<Candidate> all;
        const auto count = static_cast<std::uint16_t>(1 + below(8));
        for (std::uint16_t i = 0; i < count; ++i)
            all.push_back(account(i));
        return all;
    }

    SelectionQuery query(Strategy strategy, std::size_t accounts)
    {
        SelectionQuery query;
        query.provider = ProviderId::codex;
        query.strategy = strategy;
        query.legs = kLegs;
        query.now = kNow;
        query.rotation = random_();
        query.ordered_legs = chance(3);
        if (chance(3))
            query.pinned =
                AccountSlot{static_cast<std::uint16_t>(below(static_cast<unsigned>(accounts)))};
        return query;
    }

private:
    Candidate account(std::uint16_t slot)
    {
        Candidate candidate = login(slot);
        AccountRouting& routing = candidate.routing;
        if (chance(5)) routing.kind = static_cast<std::uint8_t>(CredentialKind::api_key);
        if (!chance(4)) use(candidate, kLong, below(101) / 100.0, minutes(1 + below(10'000)));
        if (!chance(4)) use(candidate, kShort, below(101) / 100.0, minutes(1 + below(300)));
        if (chance(5)) {
            routing.cooling_until = kNow.plus(minutes(static_cast<int>(below(20)) - 10));
            routing.cooling_end_known = chance(2);
            if (chance(2)) routing.probing_until = kNow.plus(minutes(1));
        }
        if (chance(8)) {
            routing.state = AccountState::failing;
            routing.cooling_until = kNow.plus(minutes(static_cast<int>(below(20)) - 10));
        }
        if (chance(10)) routing.state = AccountState::disabled;
        if (chance(10)) routing.state = AccountState::needs_login;
        if (chance(4)) routing.max_concurrency = static_cast<std::uint16_t>(1 + below(20));
        if (chance(4)) routing.reserve_percent = static_cast<std::uint8_t>(below(101));
        if (chance(4)) routing.priority = static_cast<std::int16_t>(below(5)) - 2;
        if (chance(4)) routing.weight_percent = static_cast<std::uint16_t>(below(500));
        if (chance(8)) routing.has_credits = 1;
        candidate.in_flight = below(30);
        candidate.turns_waited = below(20);
        candidate.capacity = static_cast<float>(1 + below(20));
        candidate.serves_model = !chance(6);
        candidate.is_owners = chance(2);
        add_penalty(routing, below(900), kNow);
        return candidate;
    }

    std::mt19937 random_;
};

/// Said again in the test's own words: may this account serve this request now?
bool can_serve(const Candidate& candidate)
{
    const AccountRouting& routing = candidate.routing;
    if (condition(routing, kNow) != AccountCondition::ready || !candidate.serves_model)
        return false;
    if (routing.max_concurrency > 0 && candidate.in_flight >= routing.max_concurrency) return false;
    if (candidate.is_owners || routing.reserve_percent == 0) return true;
    const int left = 10'000 - routing.reserve_percent * 100;
    for (const WindowRecord* window : {&routing.short_window, &routing.long_window}) {
        const UsedShare used = used_now(*window, kNow);
        if (used.is_known() && used.basis_points >= left) return false;
    }
    return true;
}

class EveryStrategy : public testing::TestWithParam<Strategy> {};

INSTANTIATE_TEST_SUITE_P(
    All, EveryStrategy, testing::ValuesIn(kStrategies), [](const auto& strategy) {
        return std::string(to_string(strategy.param));
    });

TEST_P(EveryStrategy, NeverPicksOneThatCannotServeWhileOneCan)
{
    RandomPool random(42);
    std::size_t picked = 0;
    for (int round = 0; round < 5000; ++round) {
        const std::vector<Candidate> all = random.pool();
        const SelectionQuery query = random.query(GetParam(), all.size());
        std::array<CandidateNote, 8> notes{};
        const Selection selection = select_account(query, all, notes);
        const bool anyone = std::any_of(all.begin(), all.end(), [&](const Candidate& candidate) {
            const bool right_kind =
                !query.pinned || candidate.routing.kind == all[query.pinned->value].routing.kind;
            return right_kind && can_serve(candidate);
        });
        ASSERT_EQ(selection.account.is_set(), anyone) << "round " << round;
        if (!anyone) continue;
        ++picked;
        ASSERT_TRUE(can_serve(all[selection.account.value])) << "round " << round;
        if (query.pinned && can_serve(all[query.pinned->value])) {
            ASSERT_EQ(selection.account, *query.pinned) << "round " << round;
        }
        for (std::uint16_t i = 0; i < selection.notes; ++i) {
            const bool is_choice = notes[i].account == selection.account;
            ASSERT_EQ(notes[i].reason == PassedOver::picked, is_choice) << "round " << round;
        }
    }
    EXPECT_GT(picked, 2000U) << "or the pools tell nothing";
}

TEST_P(EveryStrategy, TheSameSeedMakesTheSameChoice)
{
    for (int run = 0; run < 2; ++run) {
        RandomPool one(7);
        RandomPool other(7);
        for (int round = 0; round < 500; ++round) {
            const std::vector<Candidate> all = one.pool();
            const std::vector<Candidate> same = other.pool();
            const Selection a = select_account(one.query(GetParam(), all.size()), all);
            const Selection b = select_account(other.query(GetParam(), all.size()), same);
            ASSERT_EQ(a.account, b.account);
            ASSERT_EQ(a.score, b.score);
        }
    }
}

TEST_P(EveryStrategy, NotesChangeNothing)
{
    RandomPool random(11);
    for (int round = 0; round < 1000; ++round) {
        const std::vector<Candidate> all = random.pool();
        const SelectionQuery query = random.query(GetParam(), all.size());
        std::array<CandidateNote, 3> notes{};
        ASSERT_EQ(select_account(query, all).account, select_account(query, all, notes).account);
    }
}

TEST_P(EveryStrategy, MoreRoomNeverScoresLess)
{
    for (const std::uint32_t seconds : {kShort, kLong}) {
        for (const int reset_percent : {1, 5, 20, 60, 99}) {
            for (const int other_used : {-1, 0, 40, 95}) {
                double before = 1e9;
                for (int percent = 0; percent <= 100; ++percent) {
                    Candidate candidate = login(3);
                    const auto reset_in = std::chrono::seconds(seconds) * reset_percent / 100;
                    use(candidate, seconds, percent / 100.0, reset_in);
                    const std::uint32_t other = seconds == kShort ? kLong : kShort;
                    if (other_used >= 0) use(candidate, other, other_used / 100.0, hours(3));
                    const double value = score(GetParam(), candidate, kNow);
                    ASSERT_LE(value, before + 1e-9)
                        << percent << " % of " << seconds << " s, reset at " << reset_percent;
                    ASSERT_GT(value, 0);
                    before = value;
                }
            }
        }
    }
}

/// Uses up a pool in which every conversation costs the same: all that can serve and have room get their turn, and
/// only when every one is used up does nobody serve.
TEST_P(EveryStrategy, NobodyStarves)
{
    for (std::uint32_t seed = 1; seed <= 20; ++seed) {
        std::mt19937 random(seed);
        std::vector<Candidate> all;
        std::vector<double> used;
        const auto count = static_cast<std::uint16_t>(2 + random() % 7);
        for (std::uint16_t i = 0; i < count; ++i) {
            all.push_back(login(i));
            all.back().capacity = static_cast<float>(1 + random() % 20);
            all.back().turns_waited = Candidate::kTurnsMax;
            used.push_back(static_cast<double>(random() % 60) / 100.0);
            use(all.back(), kLong, used.back(), hours(1 + random() % 160));
        }
        std::vector<unsigned> picks(count);
        for (unsigned round = 0;; ++round) {
            ASSERT_LT(round, 4000U);
            SelectionQuery query;
            query.provider = ProviderId::codex;
            query.strategy = GetParam();
            query.legs = kLegs;
            query.now = kNow;
            query.rotation = round;
            const Selection selection = select_account(query, all);
            if (!selection.account.is_set()) break;
            const std::uint16_t slot = selection.account.value;
            ++picks[slot];
            used[slot] += 0.01;
            const UnixMillis reset = all[slot].routing.long_window.resets_at;
            use(all[slot], kLong, used[slot], reset.since(kNow));
            for (Candidate& candidate : all)
                candidate.turns_waited = std::min(candidate.turns_waited + 1, Candidate::kTurnsMax);
            all[slot].turns_waited = 0;
        }
        for (std::uint16_t i = 0; i < count; ++i)
            EXPECT_GE(picks[i], 39U) << "account " << i << " of " << count << ", seed " << seed;
    }
}

TEST(RoundRobin, EveryoneHasOneTurnBeforeAnyoneHasTwo)
{
    std::vector<Candidate> all;
    for (std::uint16_t i = 0; i < 5; ++i) {
        all.push_back(login(i));
        all.back().turns_waited = Candidate::kTurnsMax;
        use(all.back(), kLong, i / 10.0, hours(10 + i));
    }
    for (unsigned round = 0; round < 10; ++round) {
        std::array<int, 5> picks{};
        for (unsigned i = 0; i < all.size(); ++i) {
            SelectionQuery query;
            query.provider = ProviderId::codex;
            query.strategy = Strategy::round_robin;
            query.legs = kLegs;
            query.now = kNow;
            query.rotation = round * 31 + i * 2; // requests look more than once
            const std::uint16_t slot = select_account(query, all).account.value;
            ++picks.at(slot);
            for (Candidate& candidate : all)
                candidate.turns_waited = std::min(candidate.turns_waited + 1, Candidate::kTurnsMax);
            all[slot].turns_waited = 0;
        }
        for (const int times : picks)
            ASSERT_EQ(times, 1) << "round " << round;
    }
}

TEST(FillFirst, StaysUntilTheAccountIsUsedUp)
{
    std::vector<Candidate> all{login(0), login(1), login(2)};
    use(all[0], kLong, 0.99, hours(10));
    use(all[1], kLong, 0.01, hours(1));
    SelectionQuery query;
    query.provider = ProviderId::codex;
    query.strategy = Strategy::fill_first;
    query.legs = kLegs;
    query.now = kNow;
    EXPECT_EQ(select_account(query, all).account.value, 0);
    use(all[0], kLong, 1.0, hours(10));
    EXPECT_EQ(select_account(query, all).account.value, 1);
}

TEST(ResetSoonest, TheWindowThatIsLostFirstIsUsedFirst)
{
    std::vector<Candidate> all{login(0), login(1), login(2)};
    use(all[0], kLong, 0.10, hours(50));
    use(all[1], kLong, 0.90, hours(5));
    use(all[2], kLong, 0.50, hours(20));
    SelectionQuery query;
    query.provider = ProviderId::codex;
    query.strategy = Strategy::reset_soonest;
    query.legs = kLegs;
    query.now = kNow;
    EXPECT_EQ(select_account(query, all).account.value, 1);
}

TEST(LeastUsed, LooksAtTheFullerWindow)
{
    std::vector<Candidate> all{login(0), login(1)};
    use(all[0], kLong, 0.10, hours(50));
    use(all[0], kShort, 0.80, hours(2));
    use(all[1], kLong, 0.50, hours(1));
    SelectionQuery query;
    query.provider = ProviderId::codex;
    query.strategy = Strategy::least_used;
    query.legs = kLegs;
    query.now = kNow;
    EXPECT_EQ(select_account(query, all).account.value, 1);
}

TEST(Balanced, RoomThatIsLostSoonerGoesFirst)
{
    std::vector<Candidate> all{login(0), login(1)};
    use(all[0], kLong, 0.30, hours(150));
    use(all[1], kLong, 0.60, hours(20));
    SelectionQuery query;
    query.provider = ProviderId::codex;
    query.legs = kLegs;
    query.now = kNow;
    EXPECT_EQ(select_account(query, all).account.value, 1);
    use(all[1], kShort, 0.97, hours(4));
    EXPECT_EQ(select_account(query, all).account.value, 0) << "its short window is nearly used up";
}

} // namespace
} // namespace shared
