/// Discovery of Code Assist projects against an HTTP server on loopback.
#include "refresher/project_finder.hpp"
#include "shared/net/proxy_settings.hpp"
#include "shared/net/tls_context.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"
#include "tests/support/tiny_http_server.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace {

using refresher::DiscoveryTiming;
using refresher::ProjectFinder;
using tests::http_response;
using tests::TinyHttpServer;

constexpr shared::UnixMillis kNow{1'000'000'000'000};
constexpr const char* kLoaded =
    R"({"currentTier":{"id":"standard-tier"},"cloudaicompanionProject":"project-1"})";

shared::LoadedAccount gemini_account(const std::string& id, const std::string& token = "ya29.one")
{
    shared::LoadedAccount loaded;
    loaded.id = id;
    loaded.provider = shared::ProviderId::gemini;
    loaded.credential.kind = shared::CredentialKind::oauth;
    loaded.credential.access_token = shared::Secret(token);
    return loaded;
}

class ProjectFinderTest : public testing::Test {
protected:
    ProjectFinderTest()
    {
        timing_.call_deadline = std::chrono::seconds(10);
        timing_.first_pause = std::chrono::milliseconds(1);
        timing_.pause_max = std::chrono::milliseconds(4);
        timing_.poll_max = std::chrono::milliseconds(1);
        timing_.tries_max = 5;
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
        (void)roster_.apply(std::move(load), kNow);
    }

    /// Runs until nobody is asked about any more.
    std::size_t run(const std::string& environment_project = "")
    {
        ProjectFinder finder(
            loop_, registry_, config_, client_, roster_, environment_project, timing_);
        finder.seek_all(kNow);
        loop_.restart();
        loop_.run();
        return finder.pending();
    }

    std::string project(std::string_view id)
    {
        const auto slot = shared::find_account(*segment_, id);
        if (!slot) return "(no account)";
        const auto identity = segment_->accounts[slot->value].with_lock(
            [](shared::AccountRecord& record) { return record.identity; });
        return std::string(identity.project.view());
    }

    boost::asio::io_context loop_;
    shared::ProviderRegistry registry_;
    shared::Config config_;
    shared::net::TlsContext tls_{std::move(*shared::net::make_client_tls_context())};
    shared::net::ProxySettings proxy_;
    shared::net::HttpClient client_{tls_, proxy_};
    shared::SegmentMapping segment_{std::move(*shared::SegmentMapping::create(kNow))};
    refresher::Roster roster_{*segment_};
    DiscoveryTiming timing_;
};

TEST_F(ProjectFinderTest, AsksWithTheAccountsTokenAndStoresTheProject)
{
    const TinyHttpServer server([](const std::string&) { return http_response(200, kLoaded); });
    point_at(server);
    add({gemini_account("gemini:a")});
    EXPECT_EQ(run(), 0U);
    EXPECT_EQ(project("gemini:a"), "project-1");
    ASSERT_EQ(server.requests().size(), 1U);
    const std::string request = server.requests()[0];
    EXPECT_TRUE(request.starts_with("POST /v1internal:loadCodeAssist HTTP/1.1\r\n")) << request;
    EXPECT_NE(request.find("Authorization: Bearer ya29.one\r\n"), std::string::npos);
}

TEST_F(ProjectFinderTest, OnboardsAndPollsUntilItIsDone)
{
    std::atomic<int> polls{0};
    const TinyHttpServer server([&polls](const std::string& request) {
        if (request.starts_with("POST /v1internal:loadCodeAssist")) {
            return http_response(200, R"({"allowedTiers":[{"id":"free-tier","isDefault":true}]})");
        }
        if (++polls < 3) return http_response(200, R"({"name":"operations/1","done":false})");
        return http_response(
            200, R"({"done":true,"response":{"cloudaicompanionProject":{"id":"made-1"}}})");
    });
    point_at(server);
    add({gemini_account("gemini:a")});
    EXPECT_EQ(run(), 0U);
    EXPECT_EQ(project("gemini:a"), "made-1");
    EXPECT_EQ(polls, 3);
}

TEST_F(ProjectFinderTest, TriesAgainAfterFailures)
{
    std::atomic<int> calls{0};
    const TinyHttpServer server([&calls](const std::string&) {
        switch (++calls) {
        case 1:
            return http_response(503, "busy");
        case 2:
            return std::string(); // closes without an answer
        case 3:
            return http_response(200, "not JSON");
        default:
            return http_response(200, kLoaded);
        }
    });
    point_at(server);
    add({gemini_account("gemini:a")});
    EXPECT_EQ(run(), 0U);
    EXPECT_EQ(project("gemini:a"), "project-1");
    EXPECT_EQ(calls, 4);
}

TEST_F(ProjectFinderTest, GivesUpAfterItsTriesAndBeginsAgainWhenTheFileChanges)
{
    const TinyHttpServer server([](const std::string&) { return http_response(500, ""); });
    point_at(server);
    add({gemini_account("gemini:a")});
    EXPECT_EQ(run(), 0U);
    EXPECT_EQ(server.requests().size(), 5U);
    EXPECT_EQ(run(), 0U);
    EXPECT_EQ(server.requests().size(), 5U) << "the same file is not tried again";
    add({gemini_account("gemini:a", "ya29.two")});
    EXPECT_EQ(run(), 0U);
    EXPECT_EQ(server.requests().size(), 10U);
}

TEST_F(ProjectFinderTest, AnEndlessOnboardingEnds)
{
    const TinyHttpServer server([](const std::string& request) {
        if (request.starts_with("POST /v1internal:loadCodeAssist")) return http_response(200, "{}");
        return http_response(200, R"({"done":false})");
    });
    point_at(server);
    timing_.tries_max = 1;
    add({gemini_account("gemini:a")});
    EXPECT_EQ(run(), 0U);
    EXPECT_EQ(server.requests().size(), std::size_t{refresher::kDiscoveryCallsMax});
    EXPECT_EQ(project("gemini:a"), "");
}

TEST_F(ProjectFinderTest, TheEnvironmentsProjectIsUsedWhereTheFileNamesNone)
{
    const TinyHttpServer server([](const std::string& request) {
        EXPECT_NE(request.find("env-project"), std::string::npos) << request;
        return http_response(200, R"({"currentTier":{"id":"standard-tier"}})");
    });
    point_at(server);
    add({gemini_account("gemini:a")});
    EXPECT_EQ(run("env-project"), 0U);
    EXPECT_EQ(project("gemini:a"), "env-project");
}

TEST_F(ProjectFinderTest, NobodyElseIsAskedAbout)
{
    const TinyHttpServer server([](const std::string&) { return http_response(200, kLoaded); });
    point_at(server);
    shared::LoadedAccount key = gemini_account("gemini:key");
    key.credential.kind = shared::CredentialKind::api_key;
    shared::LoadedAccount disabled = gemini_account("gemini:off");
    disabled.credential.disabled = true;
    shared::LoadedAccount expired = gemini_account("gemini:old");
    expired.credential.expires_at = {kNow.value - 1};
    shared::LoadedAccount codex = gemini_account("codex:a");
    codex.provider = shared::ProviderId::codex;
    add({std::move(codex), std::move(key), std::move(disabled), std::move(expired)});
    EXPECT_EQ(run(), 0U);
    EXPECT_TRUE(server.requests().empty());
}

TEST_F(ProjectFinderTest, ManyAccountsAreAskedAboutAFewAtATime)
{
    const TinyHttpServer server([](const std::string&) { return http_response(200, kLoaded); });
    point_at(server);
    std::vector<shared::LoadedAccount> accounts;
    for (int i = 0; i < 20; ++i)
        accounts.push_back(gemini_account("gemini:n" + std::to_string(i)));
    add(std::move(accounts));
    ProjectFinder finder(loop_, registry_, config_, client_, roster_, "", timing_);
    finder.seek_all(kNow);
    EXPECT_EQ(finder.running(), refresher::kDiscoveriesMax);
    EXPECT_EQ(finder.pending(), 20U);
    loop_.run();
    EXPECT_EQ(server.requests().size(), 20U);
    EXPECT_EQ(project("gemini:n19"), "project-1");
}

} // namespace
