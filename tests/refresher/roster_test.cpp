/// The roster against a real segment: what a look at the pool folder changes, and what it must not.
#include "refresher/roster.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/pin_table.hpp"
#include "shared/segment/segment.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace {

using refresher::Roster;
using refresher::RosterReport;
using shared::AccountSlot;
using shared::AccountState;
using shared::UnixMillis;

constexpr UnixMillis kNow{1'000'000'000'000};
constexpr UnixMillis kLater{1'000'000'060'000};

struct File {
    std::string id = {};
    std::string token = "token-1";
    bool disabled = false;
    std::string vendor_id = "acct-1";
    shared::CredentialKind kind = shared::CredentialKind::oauth;
    std::string project = {};
};

shared::LoadedAccount account(const File& file)
{
    shared::LoadedAccount loaded;
    loaded.id = file.id;
    loaded.provider = shared::ProviderId::codex;
    loaded.file = "/pool/" + file.id + ".json";
    loaded.credential.kind = file.kind;
    loaded.credential.access_token = shared::Secret(file.token);
    loaded.credential.refresh_token = shared::Secret("refresh");
    loaded.credential.account_id = file.vendor_id;
    loaded.credential.plan = "pro";
    loaded.credential.project = file.project;
    loaded.credential.disabled = file.disabled;
    return loaded;
}

shared::PoolLoad load(const std::vector<File>& files)
{
    shared::PoolLoad load;
    for (const File& file : files)
        load.accounts.push_back(account(file));
    return load;
}

shared::PoolLoad
load_with_broken(const std::vector<File>& files, const std::string& id, const std::string& what)
{
    shared::PoolLoad all = load(files);
    all.broken[id] = all.problems.size();
    all.problems.push_back({"/pool/" + id + ".json", what, "copy the file again"});
    return all;
}

class RosterTest : public testing::Test {
protected:
    shared::AccountRecord record(std::string_view id)
    {
        const auto slot = shared::find_account(*segment_, id);
        EXPECT_TRUE(slot.has_value()) << id;
        if (!slot) return {};
        return segment_->accounts[slot->value].with_lock([](auto& r) { return r; });
    }

    void change(std::string_view id, const std::function<void(shared::AccountRouting&)>& edit)
    {
        const auto slot = shared::find_account(*segment_, id);
        ASSERT_TRUE(slot.has_value());
        segment_->accounts[slot->value].with_lock([&](auto& r) { edit(r.routing); });
    }

    std::string token(std::string_view id)
    {
        return shared::load_token(*segment_, *shared::find_account(*segment_, id));
    }

    shared::PoolInfo info()
    {
        return segment_->info.with_lock([](auto& i) { return i; });
    }

    shared::SegmentMapping segment_{std::move(*shared::SegmentMapping::create(kNow))};
    Roster roster_{*segment_};
};

TEST_F(RosterTest, PublishesIdentityRoutingAndToken)
{
    shared::PoolLoad pool = load({{"codex:a"}});
    pool.accounts[0].credential.expires_at = kLater;
    pool.accounts[0].credential.email = "a@example.com";
    const RosterReport report = roster_.apply(std::move(pool), kNow);
    EXPECT_EQ(report.in_service, 1U);
    EXPECT_EQ(report.added, std::vector<std::string>{"codex:a"});
    const auto a = record("codex:a");
    EXPECT_EQ(a.routing.state, AccountState::ready);
    EXPECT_EQ(a.routing.provider, static_cast<std::uint8_t>(shared::ProviderId::codex));
    EXPECT_EQ(a.routing.kind, static_cast<std::uint8_t>(shared::CredentialKind::oauth));
    EXPECT_EQ(a.routing.expires_at, kLater);
    EXPECT_EQ(a.routing.has_credits, -1) << "unknown, not none";
    EXPECT_FALSE(a.routing.short_window.used.is_known());
    EXPECT_EQ(a.identity.account_id, std::string_view("acct-1"));
    EXPECT_EQ(a.identity.plan, std::string_view("pro"));
    EXPECT_EQ(a.identity.email, std::string_view("a@example.com"));
    EXPECT_EQ(a.identity.loaded_at, kNow);
    EXPECT_EQ(token("codex:a"), "token-1");
    EXPECT_EQ(segment_->roster_version.load(), 1U);
    EXPECT_EQ(segment_->token_version[0].load(), 1U);
    EXPECT_EQ(info().accounts, 1U);
    EXPECT_EQ(info().loaded_at, kNow);
}

TEST_F(RosterTest, AnUnchangedFolderChangesNothing)
{
    (void)roster_.apply(load({{"codex:a"}, {"codex:b"}}), kNow);
    const RosterReport report = roster_.apply(load({{"codex:a"}, {"codex:b"}}), kLater);
    EXPECT_TRUE(report.added.empty());
    EXPECT_TRUE(report.changed.empty());
    EXPECT_TRUE(report.removed.empty());
    EXPECT_EQ(segment_->roster_version.load(), 1U);
    EXPECT_EQ(segment_->token_version[0].load(), 1U);
}

TEST_F(RosterTest, ReloadKeepsQuotaCooldownPenaltyPinsAndCounters)
{
    (void)roster_.apply(load({{"codex:a"}}), kNow);
    change("codex:a", [](shared::AccountRouting& routing) {
        shared::record_window(
            routing,
            18000,
            shared::UsedShare::from_fraction(0.5),
            {},
            shared::EvidenceSource::header,
            kNow);
        routing.cooling_until = {kNow.value + 600'000};
        routing.reason = "rate_limited";
        shared::add_penalty(routing, 300, kNow);
    });
    const shared::PinKey key = shared::pin_key("local", 1, "conversation");
    shared::set_pin(*segment_, key, AccountSlot{0}, kNow);
    segment_->worker_slots = 1;
    segment_->workers[0].state = shared::SlotState::serving;
    segment_->workers[0].in_flight[0] = 3;
    segment_->totals[0].requests = 7;

    const RosterReport report = roster_.apply(load({{"codex:a", "token-2"}}), kLater);
    EXPECT_EQ(report.changed, std::vector<std::string>{"codex:a"});
    EXPECT_EQ(token("codex:a"), "token-2");
    const auto a = record("codex:a");
    EXPECT_EQ(a.routing.short_window.used, shared::UsedShare::from_fraction(0.5));
    EXPECT_EQ(a.routing.cooling_until.value, kNow.value + 600'000);
    EXPECT_EQ(a.routing.reason, std::string_view("rate_limited"));
    EXPECT_EQ(a.routing.penalty_milli, 300U);
    EXPECT_EQ(shared::in_flight(*segment_, {0}), 3U);
    EXPECT_EQ(segment_->totals[0].requests.load(), 7);
    const auto pin = shared::find_pin(*segment_, key, kLater, std::chrono::hours(1));
    ASSERT_TRUE(pin.has_value());
    EXPECT_EQ(*pin, AccountSlot{0});
}

TEST_F(RosterTest, ANewRefresherTakesOverTheAccountsOfItsPredecessor)
{
    (void)roster_.apply(load({{"codex:a"}, {"codex:b"}}), kNow);
    change("codex:b", [](shared::AccountRouting& routing) {
        routing.state = AccountState::failing;
        routing.reason = "unauthorized";
        shared::add_penalty(routing, 200, kNow);
    });
    Roster successor(*segment_);
    // In another order, and with an account more.
    const RosterReport report =
        successor.apply(load({{"claude:new"}, {"codex:b"}, {"codex:a"}}), kLater);
    EXPECT_EQ(report.added, std::vector<std::string>{"claude:new"});
    EXPECT_TRUE(report.changed.empty());
    EXPECT_EQ(shared::find_account(*segment_, "codex:a"), AccountSlot{0});
    EXPECT_EQ(shared::find_account(*segment_, "codex:b"), AccountSlot{1});
    EXPECT_EQ(shared::find_account(*segment_, "claude:new"), AccountSlot{2});
    EXPECT_EQ(record("codex:b").routing.state, AccountState::failing);
    EXPECT_EQ(record("codex:b").routing.penalty_milli, 200U);
}

TEST_F(RosterTest, ANewTokenClearsRejectedAndTheSameTokenDoesNot)
{
    (void)roster_.apply(load({{"codex:a"}}), kNow);
    const auto reject = [](shared::AccountRouting& routing) {
        routing.state = AccountState::failing;
        routing.reason = "unauthorized";
    };
    change("codex:a", reject);
    (void)roster_.apply(load({{"codex:a"}}), kLater);
    EXPECT_EQ(record("codex:a").routing.state, AccountState::failing);
    (void)roster_.apply(load({{"codex:a", "token-2"}}), kLater);
    EXPECT_EQ(record("codex:a").routing.state, AccountState::ready);
    EXPECT_TRUE(record("codex:a").routing.reason.empty());
}

TEST_F(RosterTest, AFileThatIsGoneAndComesBackKeepsItsSlot)
{
    (void)roster_.apply(load({{"codex:a"}, {"codex:b"}}), kNow);
    const RosterReport gone = roster_.apply(load({{"codex:b"}}), kLater);
    EXPECT_EQ(gone.removed, std::vector<std::string>{"codex:a"});
    EXPECT_EQ(gone.in_service, 1U);
    EXPECT_EQ(record("codex:a").routing.state, AccountState::removed);
    EXPECT_EQ(segment_->roster_version.load(), 2U);

    const RosterReport again = roster_.apply(load({{"codex:b"}}), kLater);
    EXPECT_TRUE(again.removed.empty()) << "reported once";

    const RosterReport back = roster_.apply(load({{"codex:a"}, {"codex:b"}, {"codex:c"}}), kLater);
    EXPECT_EQ(back.added, (std::vector<std::string>{"codex:a", "codex:c"}));
    EXPECT_EQ(shared::find_account(*segment_, "codex:a"), AccountSlot{0});
    EXPECT_EQ(shared::find_account(*segment_, "codex:c"), AccountSlot{2});
    EXPECT_EQ(record("codex:a").routing.state, AccountState::ready);
}

TEST_F(RosterTest, ABrokenFileLeavesItsLastGoodAccountInServiceAndIsNamed)
{
    (void)roster_.apply(load({{"codex:a"}, {"codex:b"}}), kNow);
    const RosterReport report =
        roster_.apply(load_with_broken({{"codex:b"}}, "codex:a", "is not JSON"), kLater);
    EXPECT_EQ(report.broken, 1U);
    EXPECT_EQ(report.in_service, 2U);
    EXPECT_TRUE(report.removed.empty());
    EXPECT_EQ(record("codex:a").routing.state, AccountState::ready);
    EXPECT_EQ(record("codex:a").identity.problem, std::string_view("is not JSON"));
    EXPECT_EQ(token("codex:a"), "token-1");
    EXPECT_EQ(info().broken_files, 1U);
    EXPECT_EQ(
        info().problems, std::string_view("/pool/codex:a.json: is not JSON; copy the file again"));

    (void)roster_.apply(load({{"codex:a"}, {"codex:b"}}), kLater);
    EXPECT_TRUE(record("codex:a").identity.problem.empty());
    EXPECT_EQ(info().broken_files, 0U);
    EXPECT_TRUE(info().problems.empty());
}

TEST_F(RosterTest, ARespawnedRefresherKeepsTheAccountOfABrokenFile)
{
    (void)roster_.apply(load({{"codex:a"}}), kNow);
    Roster successor(*segment_);
    const RosterReport report =
        successor.apply(load_with_broken({}, "codex:a", "is empty"), kLater);
    EXPECT_EQ(report.in_service, 1U);
    EXPECT_EQ(record("codex:a").routing.state, AccountState::ready);
    EXPECT_EQ(token("codex:a"), "token-1");
}

TEST_F(RosterTest, DisabledInTheFileIsDisabledUntilTheFileSaysOtherwise)
{
    (void)roster_.apply(load({{"codex:a", "token-1", true}}), kNow);
    EXPECT_EQ(record("codex:a").routing.state, AccountState::disabled);
    (void)roster_.apply(load({{"codex:a", "token-1", false}}), kLater);
    EXPECT_EQ(record("codex:a").routing.state, AccountState::ready);
    (void)roster_.apply(load({{"codex:a", "token-1", true}}), kLater);
    EXPECT_EQ(record("codex:a").routing.state, AccountState::disabled);
    EXPECT_EQ(record("codex:a").routing.reason, std::string_view("disabled_in_file"));
}

TEST_F(RosterTest, AnUnusableFolderKeepsWhatIsInServiceAndSaysSo)
{
    (void)roster_.apply(load({{"codex:a"}}), kNow);
    shared::PoolLoad unusable;
    unusable.fatal = shared::Problem{"/pool", "does not exist", "create it"};
    const RosterReport report = roster_.apply(std::move(unusable), kLater);
    EXPECT_EQ(report.in_service, 1U);
    EXPECT_EQ(report.broken, 1U);
    EXPECT_EQ(record("codex:a").routing.state, AccountState::ready);
    EXPECT_EQ(info().problems, std::string_view("/pool: does not exist; create it"));
}

TEST_F(RosterTest, AnUnusableFolderAtTheStartGivesNoAccountsAndSaysSo)
{
    shared::PoolLoad unusable;
    unusable.fatal = shared::Problem{"/pool", "is a file", "give a folder"};
    const RosterReport report = roster_.apply(std::move(unusable), kNow);
    EXPECT_EQ(report.in_service, 0U);
    EXPECT_EQ(report.broken, 1U);
    EXPECT_EQ(info().problems, std::string_view("/pool: is a file; give a folder"));
}

TEST_F(RosterTest, AnotherAccountInTheSameFileStartsWithoutEvidence)
{
    (void)roster_.apply(load({{"codex:a"}}), kNow);
    change("codex:a", [](shared::AccountRouting& routing) {
        routing.cooling_until = kLater;
        shared::add_penalty(routing, 900, kNow);
    });
    (void)roster_.apply(load({{"codex:a", "token-2", false, "acct-2"}}), kNow);
    EXPECT_FALSE(record("codex:a").routing.cooling_until.is_set());
    EXPECT_EQ(record("codex:a").routing.penalty_milli, 0U);
    EXPECT_EQ(shared::find_account(*segment_, "codex:a"), AccountSlot{0});
}

TEST_F(RosterTest, OneAccountTooManyIsAProblemWithItsFile)
{
    std::vector<File> files;
    for (std::size_t i = 0; i <= shared::kMaxAccounts; ++i)
        files.push_back({"codex:n" + std::to_string(1000 + i)});
    const RosterReport report = roster_.apply(load(files), kNow);
    EXPECT_EQ(report.in_service, shared::kMaxAccounts);
    EXPECT_EQ(report.broken, 1U);
    ASSERT_EQ(report.problems.size(), 1U);
    EXPECT_EQ(
        report.problems[0].text(),
        "/pool/codex:n1256.json: the pool already holds 256 accounts; remove files and restart "
        "codex-pool");
}

TEST_F(RosterTest, ATokenOrNameThatIsTooLongIsAProblemAndTheOldTokenStays)
{
    (void)roster_.apply(load({{"codex:a"}}), kNow);
    const std::string longest(shared::kTokenBytesMax, 'x');
    const RosterReport too_long = roster_.apply(load({{"codex:a", longest + 'x'}}), kLater);
    EXPECT_EQ(too_long.broken, 1U);
    EXPECT_EQ(token("codex:a"), "token-1");
    EXPECT_EQ(record("codex:a").routing.state, AccountState::ready);
    EXPECT_EQ(roster_.apply(load({{"codex:a", longest}}), kLater).broken, 0U);
    EXPECT_EQ(token("codex:a"), longest);

    const File long_name{"codex:" + std::string(75, 'n')};
    EXPECT_EQ(roster_.apply(load({{"codex:a", longest}, long_name}), kLater).broken, 1U);
}

TEST_F(RosterTest, ManyProblemsAreCutWithTheirNumber)
{
    shared::PoolLoad pool;
    for (int i = 0; i < 100; ++i)
        pool.problems.push_back({"/pool/file" + std::to_string(i) + ".json", "is not\nJSON", ""});
    const RosterReport report = roster_.apply(std::move(pool), kNow);
    EXPECT_EQ(report.broken, 100U);
    const std::string shown(info().problems.view());
    EXPECT_TRUE(shown.starts_with("/pool/file0.json: is not JSON\n")) << shown;
    EXPECT_TRUE(shown.ends_with(" more")) << shown;
}

TEST_F(RosterTest, AFoundProjectStaysUntilTheFileNamesOne)
{
    (void)roster_.apply(load({{"gemini:a"}}), kNow);
    const auto& held = roster_.held().at("gemini:a");
    roster_.set_project("gemini:a", held.digest, "found-1", "standard");
    EXPECT_EQ(record("gemini:a").identity.project, std::string_view("found-1"));
    EXPECT_EQ(record("gemini:a").identity.plan, std::string_view("standard"));
    EXPECT_EQ(segment_->roster_version.load(), 2U);
    (void)roster_.apply(load({{"gemini:a", "token-2"}}), kLater);
    EXPECT_EQ(record("gemini:a").identity.project, std::string_view("found-1"));
    File named{"gemini:a", "token-2"};
    named.project = "in-file";
    (void)roster_.apply(load({named}), kLater);
    EXPECT_EQ(record("gemini:a").identity.project, std::string_view("in-file"));
}

TEST_F(RosterTest, AProjectFoundForAnOlderFileIsDropped)
{
    (void)roster_.apply(load({{"gemini:a"}}), kNow);
    const shared::Sha256Digest old = roster_.held().at("gemini:a").digest;
    (void)roster_.apply(load({{"gemini:a", "token-2"}}), kLater);
    roster_.set_project("gemini:a", old, "stale", "");
    EXPECT_TRUE(record("gemini:a").identity.project.empty());
    (void)roster_.apply(load({}), kLater);
    roster_.set_project("gemini:a", old, "stale", "");
    EXPECT_TRUE(record("gemini:a").identity.project.empty());
}

} // namespace
