/// The engine against the fake token endpoints, in one process: what is sent, what is written, what is published.
#include "refresher/refresh_engine.hpp"
#include "shared/fake_providers/server.hpp"
#include "shared/net/proxy_settings.hpp"
#include "shared/net/tls_context.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"
#include "tests/support/as_nobody.hpp"
#include "tests/support/temp_dir.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <sys/stat.h>

namespace {

namespace fake = shared::fake_providers;
using refresher::RefreshEngine;
using refresher::RefreshJournal;
using refresher::RefreshTimings;
using shared::AccountState;
using shared::ActionResult;
using Json = nlohmann::json;

constexpr long kDying = 60;    // seconds; due at once
constexpr long kFresh = 86400; // not due

class EngineTest : public testing::Test {
protected:
    EngineTest()
    {
        timings_.spacing = std::chrono::milliseconds(1);
        timings_.first_back_off = std::chrono::milliseconds(5);
        timings_.back_off_max = std::chrono::milliseconds(20);
        timings_.success_pause = std::chrono::hours(1);
        timings_.look_max = std::chrono::milliseconds(20);
        config_.pool_dir = folder_.path() / "pool";
        std::filesystem::create_directory(config_.pool_dir);
        for (const auto& provider : registry_.all()) {
            for (const shared::UpstreamSpec& spec : provider->upstreams()) {
                shared::http::BaseUrl base;
                base.tls = false;
                base.host = "127.0.0.1";
                base.port = upstream_.port();
                base.prefix = "/auth";
                config_.upstreams[std::string(spec.key)] = base;
            }
        }
        upstream_.tokens().set_lifetime(kFresh);
    }

    fake::Account add(fake::Vendor vendor, const std::string& name, long expires_in = kDying)
    {
        const fake::Account account = fake::with_tokens(
            fake::make_account(vendor, fake::Kind::oauth, name), "sign-in", expires_in);
        upstream_.add_account(account);
        fake::write_credential(account, config_.pool_dir);
        return account;
    }

    void open_journal()
    {
        journal_.emplace(std::move(*RefreshJournal::open(folder_.path() / "refresh-journal")));
    }

    RefreshEngine& start()
    {
        if (!journal_) open_journal();
        (void)load();
        engine_ = std::make_unique<RefreshEngine>(
            loop_, registry_, config_, client_, *segment_, roster_, &*journal_, timings_, [this] {
                return shared::now_unix().plus(clock_is_ahead_);
            });
        engine_->on_loaded();
        return *engine_;
    }

    refresher::RosterReport load()
    {
        return roster_.apply(shared::load_pool(registry_, config_.pool_dir), shared::now_unix());
    }

    /// As after SIGHUP.
    refresher::RosterReport reload()
    {
        refresher::RosterReport report = load();
        engine_->on_loaded();
        return report;
    }

    /// Runs the loop until `done` holds.
    bool run_until(const std::function<bool()>& done)
    {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!done()) {
            if (std::chrono::steady_clock::now() > end) return false;
            loop_.restart();
            loop_.run_one_for(std::chrono::milliseconds(20));
        }
        return true;
    }

    /// Runs until nothing is in flight and nothing more has begun for a few looks at the clock; what is tried again and
    /// again does not keep it for ever.
    void settle()
    {
        int quiet = 0;
        for (int turns = 0; quiet < 8 && turns < 300; ++turns) {
            loop_.restart();
            loop_.run_one_for(std::chrono::milliseconds(20));
            quiet = engine_->running() == 0 ? quiet + 1 : 0;
        }
    }

    [[nodiscard]] std::filesystem::path file(const std::string& name) const
    {
        return config_.pool_dir / (name + ".json");
    }

    [[nodiscard]] std::string text(const std::string& name) const
    {
        std::ifstream in(file(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    }

    [[nodiscard]] Json json(const std::string& name) const
    {
        return Json::parse(text(name), nullptr, false);
    }

    [[nodiscard]] std::string refresh_token(const std::string& name) const
    {
        const Json all = json(name);
        if (all.contains("tokens")) return all["tokens"].value("refresh_token", "");
        if (all.contains("claudeAiOauth")) return all["claudeAiOauth"].value("refreshToken", "");
        return all.value("refresh_token", "");
    }

    [[nodiscard]] std::string token_file_token(const std::string& name) const
    {
        const Json all = json(name);
        if (all.contains("tokens")) return all["tokens"].value("access_token", "");
        if (all.contains("claudeAiOauth")) return all["claudeAiOauth"].value("accessToken", "");
        return all.value("access_token", "");
    }

    shared::AccountRecord record(std::string_view id)
    {
        const auto slot = shared::find_account(*segment_, id);
        EXPECT_TRUE(slot.has_value()) << id;
        if (!slot) return {};
        return segment_->accounts[slot->value].with_lock([](auto& r) { return r; });
    }

    shared::AccountSlot slot(std::string_view id)
    {
        return shared::find_account(*segment_, id).value_or(shared::AccountSlot{});
    }

    std::string token(std::string_view id) { return shared::load_token(*segment_, slot(id)); }

    std::int64_t waits_until(std::string_view id)
    {
        return segment_->refreshing_until[slot(id).value].load();
    }

    /// Lets the token endpoints do this, `times` times.
    void script(fake::Behaviour behaviour, int times = -1)
    {
        behaviour.path = "/auth/";
        behaviour.times = times;
        upstream_.script(behaviour);
    }

    /// Requests to the token endpoints whose body was read.
    std::size_t asked()
    {
        std::size_t count = 0;
        for (const fake::Exchange& each : upstream_.ledger().exchanges())
            count += each.request_bytes != 0 ? 1U : 0U;
        return count;
    }

    tests::TempDir folder_;
    fake::Server upstream_;
    boost::asio::io_context loop_;
    shared::ProviderRegistry registry_;
    shared::Config config_;
    shared::net::TlsContext tls_{std::move(*shared::net::make_client_tls_context())};
    shared::net::ProxySettings proxy_;
    shared::net::HttpClient client_{tls_, proxy_};
    shared::SegmentMapping segment_{std::move(*shared::SegmentMapping::create(shared::now_unix()))};
    refresher::Roster roster_{*segment_};
    std::optional<RefreshJournal> journal_;
    RefreshTimings timings_;
    std::chrono::milliseconds clock_is_ahead_{0};
    std::unique_ptr<RefreshEngine> engine_;
};

// ---- what works ---------------------------------------------------------------------------------------

TEST_F(EngineTest, RenewsWhatIsAboutToEndAtEveryVendor)
{
    add(fake::Vendor::codex, "a");
    add(fake::Vendor::claude, "claude_a");
    add(fake::Vendor::gemini, "gemini_a");
    add(fake::Vendor::codex, "fresh", kFresh);
    Json extended = json("a");
    extended["mine"] = Json({1, 2});
    std::ofstream(file("a")) << extended.dump();
    const std::string old = token_file_token("a");
    start();
    EXPECT_NE(waits_until("codex:a"), 0) << "requests may wait for it";
    EXPECT_EQ(waits_until("codex:fresh"), 0);
    settle();
    EXPECT_EQ(upstream_.tokens().renewals(), 3U);
    for (const auto& [name, id] :
         {std::pair("a", "codex:a"), {"claude_a", "claude:a"}, {"gemini_a", "gemini:a"}}) {
        SCOPED_TRACE(name);
        EXPECT_EQ(refresh_token(name), upstream_.tokens().current(name));
        EXPECT_EQ(token(id), token_file_token(name)) << "published as written";
        EXPECT_NE(token(id), old);
        EXPECT_GT(record(id).routing.expires_at.value, shared::now_unix().value + 80'000'000);
        EXPECT_EQ(waits_until(id), 0);
        struct stat status = {};
        ASSERT_EQ(::stat(file(name).c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 07777U, 0600U);
    }
    EXPECT_EQ(json("a")["mine"], Json({1, 2}));
    EXPECT_EQ(upstream_.tokens().uses("fresh"), 0U);
    EXPECT_EQ(journal_->size_bytes(), 0U);
    const refresher::RosterReport report = reload();
    EXPECT_TRUE(report.changed.empty()) << "our own writes are no change";
    settle();
    EXPECT_EQ(upstream_.tokens().renewals(), 3U);
    EXPECT_EQ(upstream_.ledger().violations(), std::vector<std::string>());
}

TEST_F(EngineTest, OneAtATimeForEachProvider)
{
    for (const char* name : {"a", "b", "c", "d"})
        add(fake::Vendor::codex, name);
    add(fake::Vendor::claude, "claude_a");
    script(fake::does(fake::Fault::hang_before_head));
    start();
    ASSERT_TRUE(run_until([&] { return asked() == 2; }));
    for (int i = 0; i < 20; ++i) {
        loop_.restart();
        loop_.run_one_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(engine_->running(), 2U);
    EXPECT_EQ(asked(), 2U) << "one of Codex, one of Claude";
    for (const char* id : {"codex:a", "codex:b", "codex:c", "codex:d"})
        engine_->on_rejected(slot(id));
    EXPECT_EQ(engine_->running(), 2U) << "asking does not open another lane";
    upstream_.release();
    settle();
    EXPECT_EQ(upstream_.tokens().renewals(), 5U);
    EXPECT_EQ(upstream_.tokens().most_uses_of_one_token(), 1U);
}

TEST_F(EngineTest, RetryAfterStopsTheWholeLane)
{
    add(fake::Vendor::codex, "a");
    add(fake::Vendor::codex, "b");
    add(fake::Vendor::claude, "claude_a");
    timings_.retry_after_max = std::chrono::hours(1);
    fake::Behaviour busy = fake::answers(429, "", {{"Retry-After", "600"}});
    busy.path = "/auth/oauth/token";
    upstream_.script(busy);
    start();
    settle();
    EXPECT_EQ(upstream_.tokens().uses("a") + upstream_.tokens().uses("b"), 0U);
    EXPECT_EQ(asked(), 2U) << "one of Codex was told to wait, and nobody else of it tried";
    EXPECT_TRUE(upstream_.tokens().uses("claude_a") == 1U) << "another lane goes on";
    EXPECT_EQ(waits_until("codex:a"), 0) << "nobody waits for what does not come";
}

TEST_F(EngineTest, ABenchedAccountIsRenewedAndADisabledOneIsNot)
{
    add(fake::Vendor::codex, "benched");
    add(fake::Vendor::codex, "off");
    Json off = json("off");
    off["disabled"] = true;
    std::ofstream(file("off")) << off.dump();
    (void)load();
    segment_->accounts[slot("codex:benched").value].with_lock([](shared::AccountRecord& record) {
        record.routing.state = AccountState::failing;
        record.routing.cooling_until = shared::now_unix().plus(std::chrono::hours(20));
        record.routing.reason = "unauthorized";
    });
    start();
    settle();
    EXPECT_EQ(upstream_.tokens().uses("benched"), 1U);
    EXPECT_EQ(upstream_.tokens().uses("off"), 0U);
    EXPECT_EQ(record("codex:benched").routing.state, AccountState::ready) << "a new token mends it";
    EXPECT_FALSE(record("codex:benched").routing.cooling_until.is_set());
    EXPECT_EQ(record("codex:off").routing.state, AccountState::disabled);
}

TEST_F(EngineTest, NothingHappensWhereRefreshIsDisabled)
{
    config_.disable_refresh = true;
    add(fake::Vendor::codex, "a");
    start().on_rejected(slot("codex:a"));
    std::optional<ActionResult> result;
    engine_->refresh_now("codex:a", [&result](ActionResult r) { result = r; });
    EXPECT_EQ(result, ActionResult::refused);
    settle();
    EXPECT_EQ(asked(), 0U);
    EXPECT_EQ(waits_until("codex:a"), 0);
}

// ---- who asks -----------------------------------------------------------------------------------------

TEST_F(EngineTest, AWorkersRejectionRenewsOnceAndTheReportsBehindItAreOld)
{
    add(fake::Vendor::codex, "a", kFresh);
    start();
    settle();
    EXPECT_EQ(asked(), 0U);
    for (int i = 0; i < 5; ++i)
        engine_->on_rejected(slot("codex:a"));
    settle();
    for (int i = 0; i < 5; ++i)
        engine_->on_rejected(slot("codex:a"));
    settle();
    EXPECT_EQ(upstream_.tokens().renewals(), 1U);
    engine_->on_rejected({77});
    engine_->on_rejected({});
}

TEST_F(EngineTest, ARejectedTokenIsFirstLookedForInTheFile)
{
    const fake::Account account = add(fake::Vendor::codex, "a", kFresh);
    start();
    fake::write_credential(fake::with_tokens(account, "by the owner", kFresh), config_.pool_dir);
    engine_->on_rejected(slot("codex:a"));
    EXPECT_EQ(token("codex:a"), token_file_token("a"));
    settle();
    EXPECT_EQ(asked(), 0U);
    EXPECT_TRUE(reload().changed.empty());
}

TEST_F(EngineTest, TheOwnerHearsHowItEnded)
{
    add(fake::Vendor::codex, "a", kFresh);
    add(fake::Vendor::codex, "dead", kFresh);
    start();
    std::map<std::string, ActionResult> results;
    const auto ask = [&](const std::string& id) {
        engine_->refresh_now(id, [&results, id](ActionResult r) { results[id] = r; });
    };
    ask("codex:none");
    EXPECT_EQ(results["codex:none"], ActionResult::no_account);
    ask("codex:a");
    ask("codex:a"); // two ask, one is sent
    ASSERT_TRUE(run_until([&] { return results.contains("codex:a"); }));
    EXPECT_EQ(results["codex:a"], ActionResult::done);
    EXPECT_EQ(upstream_.tokens().uses("a"), 1U);
    upstream_.tokens().sign_in(fake::with_tokens(
        fake::make_account(fake::Vendor::codex, fake::Kind::oauth, "dead"), "elsewhere", kFresh));
    ask("codex:dead");
    ASSERT_TRUE(run_until([&] { return results.contains("codex:dead"); }));
    EXPECT_EQ(results["codex:dead"], ActionResult::failed);
    EXPECT_EQ(record("codex:dead").routing.state, AccountState::needs_login);
    // The owner may insist.
    results.clear();
    ask("codex:dead");
    ASSERT_TRUE(run_until([&] { return results.contains("codex:dead"); }));
    EXPECT_EQ(results["codex:dead"], ActionResult::failed);
}

// ---- bad answers --------------------------------------------------------------------------------------

TEST_F(EngineTest, BadAnswersAreTriedAgainAndKillNothing)
{
    const std::pair<const char*, fake::Behaviour> answers[] = {
        {"HTML", fake::answers(200, "<!DOCTYPE html><p>Sign in to the hotel's network")},
        {"an error under a 200", fake::answers(200, R"({"error":"try_later"})")},
        {"empty token", fake::answers(200, R"({"access_token":"","expires_in":3600})")},
        {"403 page", fake::answers(403, "<html>")},
        {"503", fake::answers(503, "no")},
        {"429", fake::answers(429, "", {{"Retry-After", "0"}})},
        {"reset", fake::does(fake::Fault::reset_before_head)},
        {"close", fake::does(fake::Fault::close_before_head)},
    };
    add(fake::Vendor::codex, "a");
    const std::string before = text("a");
    for (const auto& [what, behaviour] : answers)
        script(behaviour, 1);
    start();
    ASSERT_TRUE(run_until([&] { return upstream_.tokens().renewals() == 1; }));
    settle();
    EXPECT_EQ(asked(), 9U);
    EXPECT_EQ(upstream_.tokens().most_uses_of_one_token(), 1U);
    EXPECT_EQ(refresh_token("a"), upstream_.tokens().current("a"));
    EXPECT_EQ(record("codex:a").routing.state, AccountState::ready);
    EXPECT_EQ(journal_->size_bytes(), 0U);
}

TEST_F(EngineTest, TheFileIsUntouchedAfterABadAnswer)
{
    add(fake::Vendor::codex, "a");
    const std::string before = text("a");
    const std::string token_before = token_file_token("a");
    script(fake::answers(200, "<html>"));
    start();
    ASSERT_TRUE(run_until([&] { return asked() >= 4; }));
    EXPECT_EQ(text("a"), before);
    EXPECT_EQ(token("codex:a"), token_before);
}

TEST_F(EngineTest, ARefreshTokenThatComesAloneIsKeptAndUsed)
{
    add(fake::Vendor::codex, "a");
    const std::string access = token_file_token("a");
    script(fake::answers(200, R"({"refresh_token":"alone","expires_in":3600})"), 1);
    start();
    ASSERT_TRUE(run_until([&] { return refresh_token("a") == "alone"; }));
    EXPECT_EQ(token_file_token("a"), access);
    ASSERT_TRUE(run_until([&] { return upstream_.tokens().uses_of_token("alone") != 0; }));
}

TEST_F(EngineTest, AnAnswerWithoutABelievableLifetimeServesAndIsNotALoop)
{
    add(fake::Vendor::claude, "claude_a");
    script(fake::answers(200, R"({"access_token":"sk-ant-oat01-short","expires_in":-1})"));
    timings_.success_pause = std::chrono::milliseconds(1);
    start();
    ASSERT_TRUE(run_until([&] { return token("claude:a") == "sk-ant-oat01-short"; }));
    settle();
    EXPECT_EQ(asked(), 1U);
    EXPECT_FALSE(record("claude:a").routing.expires_at.is_set());
    EXPECT_TRUE(json("claude_a")["claudeAiOauth"]["expiresAt"].is_null());
}

TEST_F(EngineTest, AnEndpointThatNeverAnswersIsGivenUp)
{
    add(fake::Vendor::codex, "a");
    timings_.deadline = std::chrono::milliseconds(500);
    script(fake::does(fake::Fault::hang_before_head), 2);
    start();
    ASSERT_TRUE(run_until([&] { return upstream_.tokens().renewals() == 1; }));
    settle();
    EXPECT_EQ(record("codex:a").routing.state, AccountState::ready);
    EXPECT_EQ(refresh_token("a"), upstream_.tokens().current("a"));
}

TEST_F(EngineTest, ASlowAnswerCounts)
{
    add(fake::Vendor::codex, "a");
    fake::Behaviour slow;
    slow.delay = std::chrono::milliseconds(300);
    slow.write_bytes = 50;
    script(slow, 1);
    start();
    ASSERT_TRUE(run_until([&] { return engine_->running() == 0 && asked() == 1; }));
    settle();
    EXPECT_EQ(refresh_token("a"), upstream_.tokens().current("a"));
}

// ---- dead tokens --------------------------------------------------------------------------------------

TEST_F(EngineTest, ADeadLoginIsNamedWithItsRemedyAndLeftAlone)
{
    for (const auto& [vendor, name] :
         {std::pair(fake::Vendor::codex, "a"), {fake::Vendor::claude, "claude_a"}}) {
        const fake::Account account = add(vendor, name);
        upstream_.tokens().sign_in(fake::with_tokens(account, "elsewhere", kFresh));
    }
    const std::string before = text("a");
    start();
    settle();
    for (const char* id : {"codex:a", "claude:a"}) {
        const shared::AccountRecord dead = record(id);
        EXPECT_EQ(dead.routing.state, AccountState::needs_login) << id;
        EXPECT_FALSE(dead.routing.reason.empty());
        EXPECT_TRUE(dead.routing.state_since.is_set());
        EXPECT_EQ(dead.routing.state_source, shared::EvidenceSource::refresh);
        EXPECT_NE(dead.identity.problem.view().find("copy"), std::string_view::npos);
        EXPECT_NE(dead.identity.problem.view().find("a.json"), std::string_view::npos);
    }
    EXPECT_EQ(record("codex:a").routing.reason, std::string_view("refresh_token_reused"));
    EXPECT_EQ(text("a"), before) << "nothing is deleted";
    EXPECT_EQ(asked(), 2U) << "a dead token is not sent again";
    (void)reload();
    settle();
    EXPECT_EQ(asked(), 2U);
    EXPECT_FALSE(record("codex:a").identity.problem.empty()) << "a reload does not forget why";
    // The owner signs in.
    const fake::Account mended = fake::with_tokens(
        fake::make_account(fake::Vendor::codex, fake::Kind::oauth, "a"), "again", kFresh);
    upstream_.add_account(mended);
    fake::write_credential(mended, config_.pool_dir);
    (void)reload();
    EXPECT_EQ(record("codex:a").routing.state, AccountState::ready);
    EXPECT_TRUE(record("codex:a").identity.problem.empty());
    EXPECT_EQ(token("codex:a"), mended.token);
}

TEST_F(EngineTest, ARefusedTokenIsFirstLookedForInTheFile)
{
    const fake::Account account = add(fake::Vendor::codex, "a");
    script(fake::does(fake::Fault::hang_before_head), 1);
    start();
    ASSERT_TRUE(run_until([&] { return asked() == 1; }));
    // While the answer is awaited the owner's own CLI signs in.
    const fake::Account by_owner = fake::with_tokens(account, "by the owner", kFresh);
    upstream_.add_account(by_owner);
    fake::write_credential(by_owner, config_.pool_dir);
    upstream_.release();
    settle();
    EXPECT_EQ(record("codex:a").routing.state, AccountState::ready);
    EXPECT_EQ(token("codex:a"), by_owner.token);
    EXPECT_EQ(refresh_token("a"), by_owner.refresh_token);
}

TEST_F(EngineTest, ALostAnswerIsAskedForOnceMoreAndThenNamed)
{
    add(fake::Vendor::codex, "a");
    script(fake::does(fake::Fault::reset_after_head), 1);
    start();
    ASSERT_TRUE(
        run_until([&] { return record("codex:a").routing.state == AccountState::needs_login; }));
    settle();
    EXPECT_EQ(record("codex:a").routing.reason, std::string_view("refresh_answer_lost"));
    EXPECT_EQ(upstream_.tokens().uses("a"), 2U) << "the first, and one repeat";
}

// ---- files that change under it -----------------------------------------------------------------------

class FileChanges : public EngineTest {
protected:
    /// The endpoint has rotated, its answer is held back.
    void until_answer_is_held(const std::string& name)
    {
        fake::Behaviour held;
        held.delay = std::chrono::milliseconds(0);
        held.fault = fake::Fault::hang_before_head;
        script(held, 1);
        start();
        ASSERT_TRUE(run_until([&] { return asked() == 1; })) << name;
    }
};

TEST_F(FileChanges, AnotherLoginInTheFileWins)
{
    const fake::Account account = add(fake::Vendor::codex, "a");
    until_answer_is_held("a");
    const fake::Account by_owner = fake::with_tokens(account, "by the owner", kFresh);
    fake::write_credential(by_owner, config_.pool_dir);
    const std::string theirs = text("a");
    upstream_.release(); // the old family is renewed all the same
    settle();
    EXPECT_EQ(upstream_.tokens().renewals(), 1U);
    EXPECT_EQ(text("a"), theirs);
    EXPECT_EQ(token("codex:a"), by_owner.token);
    EXPECT_EQ(journal_->size_bytes(), 0U);
}

TEST_F(FileChanges, AnotherAccountsFileIsNeverWrittenInto)
{
    add(fake::Vendor::claude, "claude_a");
    until_answer_is_held("claude_a");
    fake::Account other = fake::with_tokens(
        fake::make_account(fake::Vendor::claude, fake::Kind::oauth, "claude_b"), "x", 30);
    other.name = "claude_a";
    fake::write_credential(other, config_.pool_dir);
    const std::string theirs = text("claude_a");
    upstream_.release();
    ASSERT_TRUE(run_until([&] { return token("claude:a") == other.token; }));
    EXPECT_EQ(text("claude_a"), theirs);
}

TEST_F(FileChanges, ADeletedFileStaysDeletedAndItsTokensWaitForIt)
{
    add(fake::Vendor::codex, "a");
    until_answer_is_held("a");
    const std::filesystem::path aside = folder_.path() / "aside.json";
    std::filesystem::rename(file("a"), aside);
    upstream_.release();
    settle();
    EXPECT_FALSE(std::filesystem::exists(file("a")));
    EXPECT_EQ(upstream_.tokens().renewals(), 1U);
    EXPECT_NE(journal_->find("codex:a"), nullptr);
    (void)reload();
    settle();
    EXPECT_EQ(record("codex:a").routing.state, AccountState::removed);
    // It was only moved: what was answered belongs into it.
    std::filesystem::rename(aside, file("a"));
    (void)reload();
    settle();
    EXPECT_EQ(refresh_token("a"), upstream_.tokens().current("a"));
    EXPECT_EQ(token("codex:a"), token_file_token("a"));
    EXPECT_EQ(upstream_.tokens().most_uses_of_one_token(), 1U);
    EXPECT_EQ(journal_->size_bytes(), 0U);
}

TEST_F(FileChanges, AFileThatCannotBeReadIsNotOverwritten)
{
    add(fake::Vendor::codex, "a");
    until_answer_is_held("a");
    const std::string good = text("a");
    std::ofstream(file("a")) << good.substr(0, good.size() / 2);
    const std::string broken = text("a");
    upstream_.release();
    ASSERT_TRUE(run_until([&] { return engine_->running() == 0; }));
    settle();
    EXPECT_EQ(text("a"), broken);
    EXPECT_FALSE(record("codex:a").identity.problem.empty());
    EXPECT_EQ(asked(), 1U) << "the answer is here; nothing more is asked for";
    std::ofstream(file("a")) << good;
    ASSERT_TRUE(run_until([&] { return refresh_token("a") == upstream_.tokens().current("a"); }));
    settle();
    EXPECT_EQ(upstream_.tokens().most_uses_of_one_token(), 1U);
    EXPECT_TRUE(record("codex:a").identity.problem.empty());
}

TEST_F(FileChanges, WhatTheOwnersCliHasRenewedIsUsedWithoutAsking)
{
    const fake::Account account = add(fake::Vendor::codex, "a");
    (void)load();
    const fake::Account by_owner = fake::with_tokens(account, "by the owner", kFresh);
    if (!journal_) open_journal();
    engine_ = std::make_unique<RefreshEngine>(
        loop_, registry_, config_, client_, *segment_, roster_, &*journal_, timings_);
    fake::write_credential(by_owner, config_.pool_dir);
    engine_->on_loaded(); // it has the old file in mind
    settle();
    EXPECT_EQ(asked(), 0U);
    EXPECT_EQ(token("codex:a"), by_owner.token);
}

TEST_F(FileChanges, NothingIsSentThatCouldNotBeWritten)
{
    const fake::Account account = add(fake::Vendor::codex, "a");
    ::chmod(folder_.path().c_str(), 0755);
    ::chmod(file("a").c_str(), 0644);
    open_journal();
    ::chmod(config_.pool_dir.c_str(), 0555); // for whoever is not root anyway
    {
        const tests::AsNobody nobody;
        start();
        ASSERT_TRUE(run_until([&] { return !record("codex:a").identity.problem.empty(); }));
        settle();
        EXPECT_EQ(asked(), 0U);
        EXPECT_EQ(record("codex:a").routing.state, AccountState::ready);
    }
    ::chmod(config_.pool_dir.c_str(), 0755);
    ASSERT_TRUE(run_until([&] { return upstream_.tokens().renewals() == 1; }));
}

// ---- deaths, clocks, the end --------------------------------------------------------------------------

class Death : public EngineTest {
protected:
    refresher::JournalEntry entry_for(const fake::Account& account)
    {
        refresher::JournalEntry entry;
        entry.sent = shared::sha256(account.refresh_token);
        entry.old_access = shared::sha256(account.token);
        entry.vendor_id = account.vendor == fake::Vendor::codex ? account.vendor_id : "";
        entry.at = shared::now_unix();
        return entry;
    }
};

TEST_F(Death, AnAnswerInTheJournalIsPutIntoItsFileAtTheStart)
{
    const fake::Account account = add(fake::Vendor::codex, "a", kFresh);
    const fake::Account renewed = fake::with_tokens(account, "renewed", kFresh);
    open_journal();
    ASSERT_TRUE(journal_->intend("codex:a", entry_for(account)).has_value());
    const Json body = {{"access_token", renewed.token}, {"refresh_token", renewed.refresh_token}};
    ASSERT_TRUE(
        journal_->answered("codex:a", {200, {}, body.dump()}, shared::now_unix()).has_value());
    journal_.reset(); // the process dies
    start();
    EXPECT_EQ(refresh_token("a"), renewed.refresh_token) << "before anything else";
    EXPECT_EQ(token("codex:a"), renewed.token);
    settle();
    EXPECT_EQ(asked(), 0U);
    EXPECT_EQ(journal_->size_bytes(), 0U);
}

TEST_F(Death, AnIntentWithoutAnAnswerIsTriedOnceMore)
{
    const fake::Account account = add(fake::Vendor::codex, "a", kFresh);
    open_journal();
    ASSERT_TRUE(journal_->intend("codex:a", entry_for(account)).has_value());
    journal_.reset();
    start();
    settle();
    EXPECT_EQ(upstream_.tokens().renewals(), 1U) << "asked for although it is not due";
    EXPECT_EQ(refresh_token("a"), upstream_.tokens().current("a"));
}

TEST_F(Death, TwoDeathsAreEnough)
{
    const fake::Account account = add(fake::Vendor::codex, "a");
    for (int i = 0; i < 2; ++i) {
        open_journal();
        ASSERT_TRUE(journal_->intend("codex:a", entry_for(account)).has_value());
        journal_.reset();
    }
    start();
    settle();
    EXPECT_EQ(asked(), 0U) << "not a third time";
    EXPECT_EQ(record("codex:a").routing.state, AccountState::needs_login);
    EXPECT_EQ(record("codex:a").routing.reason, std::string_view("refresh_answer_lost"));
    std::optional<ActionResult> result;
    engine_->refresh_now("codex:a", [&result](ActionResult r) { result = r; });
    ASSERT_TRUE(run_until([&] { return result.has_value(); }));
    EXPECT_EQ(result, ActionResult::done) << "the owner may insist, and here it was never sent";
}

TEST_F(Death, RequestsDoNotWaitForADeadProcess)
{
    add(fake::Vendor::codex, "a", kFresh);
    segment_->refreshing_until[0] = shared::now_unix().plus(std::chrono::hours(1)).value;
    start();
    EXPECT_EQ(segment_->refreshing_until[0].load(), 0);
}

TEST_F(EngineTest, AClockThatJumpsMakesItNeitherHurryNorWait)
{
    for (const char* name : {"a", "b", "c"})
        add(fake::Vendor::codex, name, 4L * 3600);
    upstream_.tokens().set_lifetime(4L * 3600);
    start();
    settle();
    EXPECT_EQ(asked(), 0U);
    clock_is_ahead_ = std::chrono::hours(24 * 365);
    ASSERT_TRUE(run_until([&] { return upstream_.tokens().renewals() == 3; }));
    settle();
    EXPECT_EQ(asked(), 3U) << "the new ones seem to have ended long ago, and that is no loop";
    clock_is_ahead_ = -std::chrono::hours(24 * 365);
    settle();
    EXPECT_EQ(asked(), 3U);
    clock_is_ahead_ = std::chrono::hours(0);
    settle();
    EXPECT_EQ(asked(), 3U);
    EXPECT_EQ(upstream_.tokens().most_uses_of_one_token(), 1U);
}

TEST_F(EngineTest, TheEndWaitsForTheAnswerUnderWay)
{
    add(fake::Vendor::codex, "a");
    add(fake::Vendor::codex, "b");
    script(fake::does(fake::Fault::hang_before_head), 1);
    start();
    ASSERT_TRUE(run_until([&] { return asked() == 1; }));
    bool ended = false;
    engine_->drain([&ended] { ended = true; });
    EXPECT_FALSE(ended);
    upstream_.release();
    ASSERT_TRUE(run_until([&] { return ended; }));
    EXPECT_EQ(upstream_.tokens().renewals(), 1U) << "nothing more was begun";
    EXPECT_EQ(journal_->size_bytes(), 0U);
    engine_->drain([&ended] { ended = false; });
    EXPECT_FALSE(ended) << "at once when nothing is under way";
}

} // namespace
