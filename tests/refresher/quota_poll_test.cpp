/// Polling of quotas against an HTTP server on loopback: whom it asks, when, and what it makes of answers.
#include "refresher/quota_poll.hpp"
#include "shared/base/clock.hpp"
#include "shared/net/proxy_settings.hpp"
#include "shared/net/tls_context.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"
#include "tests/support/tiny_http_server.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using refresher::QuotaPoller;
using refresher::QuotaPollTiming;
using shared::AccountState;
using shared::EvidenceSource;
using shared::UnixMillis;
using tests::http_response;
using tests::TinyHttpServer;

std::string usage(int percent, const char* plan = "pro")
{
    const std::string reset = std::to_string(shared::now_unix().value / 1000 + 3600);
    return http_response(
        200,
        R"({"plan_type":")" + std::string(plan) +
            R"(","rate_limit":{"primary_window":{"used_percent":)" + std::to_string(percent) +
            R"(,"limit_window_seconds":18000,"reset_at":)" + reset + "}}}");
}

shared::LoadedAccount account(const std::string& id, const std::string& token)
{
    shared::LoadedAccount loaded;
    loaded.id = id;
    loaded.provider = shared::ProviderId::codex;
    loaded.credential.kind = shared::CredentialKind::oauth;
    loaded.credential.access_token = shared::Secret(token);
    loaded.credential.account_id = "acct-" + token;
    loaded.credential.plan = "plus";
    return loaded;
}

class QuotaPollTest : public testing::Test {
protected:
    QuotaPollTest()
    {
        timing_.interval = 1h;
        timing_.spacing = 1ms;
        timing_.call_deadline = 10s;
    }

    void point_at(const TinyHttpServer& server)
    {
        shared::http::BaseUrl base;
        base.tls = false;
        base.host = "127.0.0.1";
        base.port = server.port();
        for (const auto& provider : registry_.all()) {
            for (const shared::UpstreamSpec& spec : provider->upstreams())
                config_.upstreams[std::string(spec.key)] = base;
        }
    }

    void add(std::vector<shared::LoadedAccount> accounts)
    {
        shared::PoolLoad load;
        load.accounts = std::move(accounts);
        (void)roster_.apply(std::move(load), shared::now_unix());
    }

    void change(std::string_view id, const std::function<void(shared::AccountRouting&)>& edit)
    {
        const auto slot = shared::find_account(*segment_, id);
        ASSERT_TRUE(slot.has_value());
        segment_->accounts[slot->value].with_lock([&](auto& r) { edit(r.routing); });
    }

    shared::AccountRecord record(std::string_view id)
    {
        const auto slot = shared::find_account(*segment_, id);
        EXPECT_TRUE(slot.has_value());
        return segment_->accounts[slot->value].with_lock([](auto& r) { return r; });
    }

    QuotaPoller& poller()
    {
        if (!poller_) {
            poller_.emplace(
                loop_,
                registry_,
                config_,
                client_,
                *segment_,
                roster_,
                [this](shared::AccountSlot slot) { rejected_.push_back(slot.value); },
                timing_);
            poller_->start();
        }
        return *poller_;
    }

    /// Runs the loop until `done` holds and nobody is asked.
    bool run(const std::function<bool()>& done)
    {
        (void)poller();
        const auto give_up = std::chrono::steady_clock::now() + 20s;
        while (std::chrono::steady_clock::now() < give_up) {
            loop_.restart();
            loop_.run_for(2ms);
            if (done() && poller_->running() == 0) return true;
        }
        return false;
    }

    /// Runs until everybody who is due was asked: the lanes then wait for an hour.
    void settle()
    {
        (void)poller();
        loop_.restart();
        loop_.run_for(50ms);
    }

    shared::ProviderRegistry registry_;
    shared::Config config_;
    shared::SegmentMapping segment_{std::move(*shared::SegmentMapping::create({1}))};
    refresher::Roster roster_{*segment_};
    shared::net::TlsContext tls_{std::move(*shared::net::make_client_tls_context())};
    shared::net::ProxySettings proxy_;
    shared::net::HttpClient client_{tls_, proxy_};
    boost::asio::io_context loop_{1};
    QuotaPollTiming timing_;
    std::vector<std::uint16_t> rejected_;
    std::optional<QuotaPoller> poller_; ///< after the loop: its coroutines end with it
};

TEST_F(QuotaPollTest, AsksForWhatIsNotKnownAndRecordsIt)
{
    TinyHttpServer server([](const std::string&) { return usage(42); });
    point_at(server);
    add({account("codex:a", "one"), account("codex:b", "two")});
    ASSERT_TRUE(run([&] { return server.requests().size() == 2; }));
    for (const char* id : {"codex:a", "codex:b"}) {
        const shared::AccountRouting routing = record(id).routing;
        EXPECT_EQ(routing.short_window.used.basis_points, 4200);
        EXPECT_EQ(routing.short_window.source, EvidenceSource::poll);
        EXPECT_TRUE(routing.short_window.resets_at.is_set());
        EXPECT_EQ(routing.long_window.seconds, 0U) << "absent is not zero";
        EXPECT_EQ(record(id).identity.plan.view(), "pro") << "the vendor knows better";
    }
    EXPECT_NE(server.requests()[0].find("GET /wham/usage "), std::string::npos);
    settle();
    EXPECT_EQ(server.requests().size(), 2U) << "not again before the interval";
}

TEST_F(QuotaPollTest, AsksAgainAfterTheIntervalAndWhenAWindowHasEnded)
{
    TinyHttpServer server([](const std::string&) { return usage(1); });
    point_at(server);
    timing_.interval = 20ms;
    add({account("codex:a", "one")});
    ASSERT_TRUE(run([&] { return server.requests().size() >= 3; }));
}

TEST_F(QuotaPollTest, FresherEvidenceMakesAPollUnnecessary)
{
    TinyHttpServer server([](const std::string&) { return usage(42); });
    point_at(server);
    add({account("codex:a", "one")});
    const UnixMillis now = shared::now_unix();
    change("codex:a", [now](shared::AccountRouting& routing) {
        shared::record_window(
            routing, 18000, shared::UsedShare{700}, now.plus(1h), EvidenceSource::header, now);
    });
    settle();
    EXPECT_TRUE(server.requests().empty());
    // One that is older than the interval is asked for.
    change("codex:a", [now](shared::AccountRouting& routing) {
        routing.short_window.seen_at = now.plus(-2h);
    });
    poller().look_again();
    ASSERT_TRUE(run([&] { return !server.requests().empty(); }));
    EXPECT_EQ(record("codex:a").routing.short_window.used.basis_points, 4200);
}

TEST_F(QuotaPollTest, WhoCannotOrShallNotServeIsNotAsked)
{
    TinyHttpServer server([](const std::string&) { return usage(42); });
    point_at(server);
    shared::LoadedAccount expired = account("codex:expired", "one");
    expired.credential.expires_at = shared::now_unix().plus(-1s);
    shared::LoadedAccount disabled = account("codex:disabled", "two");
    disabled.credential.disabled = true;
    shared::LoadedAccount key = account("codex:key", "three");
    key.credential.kind = shared::CredentialKind::api_key;
    add({std::move(expired), std::move(disabled), std::move(key), account("codex:dead", "four")});
    change("codex:dead", [](shared::AccountRouting& routing) {
        routing.state = AccountState::needs_login;
    });
    settle();
    EXPECT_TRUE(server.requests().empty());
}

TEST_F(QuotaPollTest, ARefusedTokenIsHandedOnAndCondemnsNobody)
{
    TinyHttpServer server(
        [](const std::string&) { return http_response(401, R"({"error":"expired"})"); });
    point_at(server);
    add({account("codex:a", "one")});
    ASSERT_TRUE(run([&] { return !rejected_.empty(); }));
    EXPECT_EQ(rejected_, std::vector<std::uint16_t>{0});
    EXPECT_EQ(
        condition(record("codex:a").routing, shared::now_unix()), shared::AccountCondition::ready);
}

class NoUsage : public QuotaPollTest, public testing::WithParamInterface<std::string> {};

TEST_P(NoUsage, ChangesNothing)
{
    TinyHttpServer server([](const std::string&) { return GetParam(); });
    point_at(server);
    add({account("codex:a", "one")});
    ASSERT_TRUE(run([&] { return server.requests().size() == 1; }));
    const shared::AccountRouting routing = record("codex:a").routing;
    EXPECT_EQ(condition(routing, shared::now_unix()), shared::AccountCondition::ready);
    EXPECT_EQ(shared::penalty_now(routing, shared::now_unix()), 0U);
    EXPECT_FALSE(routing.short_window.used.is_known());
    EXPECT_TRUE(rejected_.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Answers,
    NoUsage,
    testing::Values(
        http_response(200, "<!doctype html><p>sign in</p>"),
        http_response(200, R"({"error":{"message":"no"}})"),
        http_response(403, "no"),
        http_response(500, "oops"),
        http_response(429, "slow down"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"),
        std::string()));

TEST_F(QuotaPollTest, FailuresAreAskedAgainLaterAndLater)
{
    TinyHttpServer server([](const std::string&) { return http_response(500, ""); });
    point_at(server);
    timing_.interval = 10ms;
    timing_.back_off_max = 1h;
    add({account("codex:a", "one")});
    // 10, 20, 40, 80 … ms: after the sixth the next one is at least 320 ms away.
    ASSERT_TRUE(run([&] { return server.requests().size() == 6; }));
    settle();
    EXPECT_EQ(server.requests().size(), 6U);
}

TEST_F(QuotaPollTest, ItWaitsAsLongAsTheVendorAsks)
{
    TinyHttpServer server([](const std::string&) {
        return "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n";
    });
    point_at(server);
    timing_.interval = 5ms;
    timing_.back_off_max = 2h;
    add({account("codex:a", "one")});
    ASSERT_TRUE(run([&] { return server.requests().size() == 1; }));
    settle();
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(QuotaPollTest, AVendorThatNeverAnswersHoldsUpNobodyElse)
{
    TinyHttpServer server([](const std::string& request) -> std::string {
        if (request.find("/wham/usage") != std::string::npos) return TinyHttpServer::kHoldOpen;
        return http_response(200, R"({"five_hour":{"utilization":9,"resets_at":null}})");
    });
    point_at(server);
    timing_.call_deadline = 300ms;
    shared::LoadedAccount other = account("claude:b", "sk-ant-oat-two");
    other.provider = shared::ProviderId::claude;
    add({account("codex:a", "one"), std::move(other)});
    ASSERT_TRUE(run([&] { return record("claude:b").routing.short_window.used.is_known(); }));
    EXPECT_EQ(record("claude:b").routing.short_window.used.basis_points, 900);
    EXPECT_EQ(
        condition(record("codex:a").routing, shared::now_unix()), shared::AccountCondition::ready);
}

TEST_F(QuotaPollTest, AnAccountThatIsGoneWhenTheAnswerComesIsLeftAlone)
{
    std::promise<void> gone;
    TinyHttpServer server([is_gone = gone.get_future().share()](const std::string&) {
        is_gone.wait_for(20s);
        return usage(42);
    });
    point_at(server);
    add({account("codex:a", "one")});
    (void)poller();
    loop_.restart();
    loop_.poll(); // the call is on its way, and cannot be answered yet
    ASSERT_EQ(poller().running(), 1U);
    add({});
    gone.set_value();
    ASSERT_TRUE(run([&] { return server.requests().size() == 1; }));
    EXPECT_FALSE(record("codex:a").routing.short_window.used.is_known());
}

} // namespace
