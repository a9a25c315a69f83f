/// Owner actions against a real segment and an HTTP server on loopback.
#include "refresher/owner_actions.hpp"
#include "shared/base/clock.hpp"
#include "shared/net/proxy_settings.hpp"
#include "shared/net/tls_context.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/tiny_http_server.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using refresher::ActionEnd;
using refresher::OwnerActions;
using shared::AccountAction;
using shared::AccountCondition;
using shared::ActionResult;
using tests::http_response;
using tests::TinyHttpServer;

class OwnerActionsTest : public testing::Test {
protected:
    OwnerActionsTest()
    {
        EXPECT_TRUE(settings_.load().has_value());
        links_.on_rejected = [this](shared::AccountSlot slot) { rejected_.push_back(slot.value); };
        links_.on_changed = [this] { ++changes_; };
        add();
    }

    void add(bool disabled_in_file = false)
    {
        shared::LoadedAccount loaded;
        loaded.id = "codex:a";
        loaded.provider = shared::ProviderId::codex;
        loaded.credential.kind = shared::CredentialKind::oauth;
        loaded.credential.access_token = shared::Secret("token-1");
        loaded.credential.account_id = "acct-1";
        loaded.credential.disabled = disabled_in_file;
        shared::PoolLoad load;
        load.accounts.push_back(std::move(loaded));
        (void)roster_.apply(std::move(load), shared::now_unix());
    }

    void answer_with(std::string response)
    {
        server_ = std::make_unique<TinyHttpServer>(
            [response = std::move(response)](const std::string&) { return response; });
        shared::http::BaseUrl base;
        base.tls = false;
        base.host = "127.0.0.1";
        base.port = server_->port();
        for (const auto& provider : registry_.all()) {
            for (const shared::UpstreamSpec& spec : provider->upstreams())
                config_.upstreams[std::string(spec.key)] = base;
        }
    }

    ActionEnd perform(AccountAction action, std::uint64_t slot = 0, std::uint64_t request = 1)
    {
        OwnerActions actions(
            loop_,
            registry_,
            config_,
            client_,
            *segment_,
            roster_,
            settings_,
            links_,
            std::chrono::seconds(10));
        shared::Message message;
        message.type = shared::MessageType::account_action;
        message.action = action;
        message.value = slot;
        message.request = request;
        std::optional<ActionEnd> end;
        actions.perform(message, [&end](const ActionEnd& how) {
            EXPECT_FALSE(end.has_value()) << "once";
            end = how;
        });
        loop_.restart();
        loop_.run();
        EXPECT_TRUE(end.has_value());
        return end.value_or(ActionEnd{});
    }

    void wish(std::uint64_t request, std::uint16_t account, std::string_view options)
    {
        segment_->owner_wish.with_lock([&](shared::OwnerWish& place) {
            place.request = request;
            place.account = account;
            place.options.assign(options);
        });
    }

    shared::AccountStatus status()
    {
        return segment_->accounts[0].with_lock([](shared::AccountRecord& record) {
            return shared::account_status(record.routing, 0, shared::now_unix());
        });
    }

    shared::AccountRouting routing()
    {
        return segment_->accounts[0].with_lock([](shared::AccountRecord& r) { return r.routing; });
    }

    tests::TempDir folder_;
    shared::ProviderRegistry registry_;
    shared::Config config_;
    shared::SegmentMapping segment_{std::move(*shared::SegmentMapping::create({1}))};
    refresher::Roster roster_{*segment_};
    shared::AccountSettings settings_{folder_.path() / "account_settings.json"};
    shared::net::TlsContext tls_{std::move(*shared::net::make_client_tls_context())};
    shared::net::ProxySettings proxy_;
    shared::net::HttpClient client_{tls_, proxy_};
    boost::asio::io_context loop_{1};
    std::unique_ptr<TinyHttpServer> server_;
    OwnerActions::Links links_;
    std::vector<std::uint16_t> rejected_;
    int changes_ = 0;
};

TEST_F(OwnerActionsTest, DisableAndEnableBeatTheFileAndSurviveItsReading)
{
    EXPECT_EQ(perform(AccountAction::disable).result, ActionResult::done);
    EXPECT_EQ(status().condition, AccountCondition::disabled);
    EXPECT_EQ(status().reason.view(), shared::kReasonDisabledByOwner);
    EXPECT_EQ(status().source, shared::EvidenceSource::owner);
    add();
    EXPECT_EQ(status().condition, AccountCondition::disabled) << "the file says nothing of it";
    EXPECT_EQ(perform(AccountAction::enable).result, ActionResult::done);
    EXPECT_EQ(status().condition, AccountCondition::ready);
    EXPECT_EQ(status().source, shared::EvidenceSource::owner);
    EXPECT_TRUE(settings_.all().at("codex:a").disabled == std::nullopt) << "the file decides again";

    add(true);
    EXPECT_EQ(status().reason.view(), shared::kReasonDisabledInFile);
    EXPECT_EQ(status().source, shared::EvidenceSource::file);
    EXPECT_EQ(perform(AccountAction::enable).result, ActionResult::done);
    add(true);
    EXPECT_EQ(status().condition, AccountCondition::ready) << "the owner's word is the later one";
    EXPECT_EQ(perform(AccountAction::disable).result, ActionResult::done);
    EXPECT_EQ(status().condition, AccountCondition::disabled);
}

TEST_F(OwnerActionsTest, OptionsComeFromTheirOwnWishOnly)
{
    wish(7, 0, R"({"priority":5,"weight":0.5,"models":{"deny":["o3"]}})");
    EXPECT_EQ(perform(AccountAction::options, 0, 8).result, ActionResult::refused);
    EXPECT_EQ(routing().priority, 0);
    wish(7, 3, R"({"priority":5})");
    EXPECT_EQ(perform(AccountAction::options, 0, 7).result, ActionResult::refused);
    wish(7, 0, R"({"priority":5,"weight":0.5,"models":{"deny":["o3"]}})");
    EXPECT_EQ(perform(AccountAction::options, 0, 7).result, ActionResult::done);
    EXPECT_EQ(routing().priority, 5);
    EXPECT_EQ(routing().weight_percent, 50);
    segment_->accounts[0].with_lock([](shared::AccountRecord& record) {
        EXPECT_EQ(record.identity.models_denied.view(), "o3");
    });
    EXPECT_EQ(perform(AccountAction::options, 0, 7).result, ActionResult::refused) << "once";
    wish(9, 0, R"({"priority":null})");
    EXPECT_EQ(perform(AccountAction::options, 0, 9).result, ActionResult::done);
    EXPECT_EQ(routing().priority, 0);
    EXPECT_EQ(routing().weight_percent, 50);
    wish(10, 0, R"({"priority":)");
    EXPECT_EQ(perform(AccountAction::options, 0, 10).result, ActionResult::failed);
}

TEST_F(OwnerActionsTest, ClearForgetsAndIsLookedInto)
{
    segment_->accounts[0].with_lock([](shared::AccountRecord& record) {
        record.routing.cooling_until = shared::now_unix().plus(std::chrono::hours(1));
    });
    EXPECT_EQ(status().condition, AccountCondition::cooling);
    EXPECT_EQ(perform(AccountAction::clear).result, ActionResult::done);
    EXPECT_EQ(status().condition, AccountCondition::ready);
    EXPECT_EQ(status().source, shared::EvidenceSource::owner);
    EXPECT_EQ(changes_, 1) << "its quota is asked for";
}

TEST_F(OwnerActionsTest, RefreshIsHandedOn)
{
    EXPECT_EQ(perform(AccountAction::refresh).result, ActionResult::refused) << "nobody refreshes";
    std::string asked;
    links_.refresh = [&](std::string_view id, const std::function<void(ActionResult)>& done) {
        asked = id;
        done(ActionResult::done);
    };
    EXPECT_EQ(perform(AccountAction::refresh).result, ActionResult::done);
    EXPECT_EQ(asked, "codex:a");
}

TEST_F(OwnerActionsTest, WhoIsGoneHasNoActions)
{
    EXPECT_EQ(perform(AccountAction::clear, 5).result, ActionResult::no_account);
    EXPECT_EQ(perform(AccountAction::clear, 1ULL << 40U).result, ActionResult::no_account);
    (void)roster_.apply({}, shared::now_unix());
    EXPECT_EQ(perform(AccountAction::disable).result, ActionResult::no_account);
    EXPECT_EQ(perform(AccountAction::none).result, ActionResult::no_account);
}

TEST_F(OwnerActionsTest, AServedTestIsEvidence)
{
    answer_with(http_response(
        200,
        "event: response.completed\ndata: "
        "{\"type\":\"response.completed\",\"response\":{\"id\":\"r\"}}\n\n",
        "Content-Type: text/event-stream\r\nX-Codex-Primary-Used-Percent: 12\r\n"
        "X-Codex-Primary-Window-Minutes: 300\r\n"));
    segment_->accounts[0].with_lock([](shared::AccountRecord& record) {
        record.routing.cooling_until = shared::now_unix().plus(std::chrono::hours(1));
    });
    const ActionEnd end = perform(AccountAction::test);
    EXPECT_EQ(end.result, ActionResult::done);
    EXPECT_EQ(end.status, 200U);
    EXPECT_EQ(status().condition, AccountCondition::ready);
    EXPECT_EQ(routing().short_window.used.basis_points, 1200);
    ASSERT_EQ(server_->requests().size(), 1U);
    EXPECT_NE(server_->requests()[0].find("POST /responses "), std::string::npos);
    EXPECT_NE(server_->requests()[0].find("Bearer token-1"), std::string::npos);
}

TEST_F(OwnerActionsTest, AnErrorInsideAStreamIsNoServedTest)
{
    answer_with(http_response(
        200,
        "data: "
        "{\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"usage_limit_reached\","
        "\"resets_in_seconds\":600}}}\n\n",
        "Content-Type: text/event-stream\r\n"));
    const ActionEnd end = perform(AccountAction::test);
    EXPECT_EQ(end.result, ActionResult::failed);
    EXPECT_EQ(end.status, 200U);
    EXPECT_NE(status().condition, AccountCondition::ready);
}

TEST_F(OwnerActionsTest, ARefusedTestTeachesTheSameAsARefusedRequest)
{
    answer_with(http_response(401, R"({"error":{"message":"no"}})"));
    EXPECT_EQ(perform(AccountAction::test).status, 401U);
    EXPECT_EQ(status().condition, AccountCondition::failing);
    EXPECT_EQ(status().reason.view(), "http_401");
    EXPECT_EQ(rejected_, std::vector<std::uint16_t>{0});
}

TEST_F(OwnerActionsTest, WhatIsTheTestsOwnFaultIsNotHeldAgainstTheAccount)
{
    answer_with(http_response(
        400,
        R"({"error":{"message":"The 'x' model is not supported when using Codex with a ChatGPT account."}})"));
    EXPECT_EQ(perform(AccountAction::test).result, ActionResult::failed);
    EXPECT_EQ(status().condition, AccountCondition::ready);
    answer_with(http_response(404, "no such path"));
    EXPECT_EQ(perform(AccountAction::test).result, ActionResult::failed);
    EXPECT_EQ(status().condition, AccountCondition::ready);
    EXPECT_EQ(shared::penalty_now(routing(), shared::now_unix()), 0U);
}

TEST_F(OwnerActionsTest, AVendorThatCannotBeReachedIsNoFaultOfTheAccounts)
{
    answer_with("");
    const ActionEnd end = perform(AccountAction::test);
    EXPECT_EQ(end.result, ActionResult::failed);
    EXPECT_EQ(end.status, 0U);
    EXPECT_EQ(status().condition, AccountCondition::ready);
}

TEST_F(OwnerActionsTest, ADisabledAccountCanBeTestedAndStaysDisabled)
{
    answer_with(http_response(200, "{}"));
    EXPECT_EQ(perform(AccountAction::disable).result, ActionResult::done);
    EXPECT_EQ(perform(AccountAction::test).result, ActionResult::done);
    EXPECT_EQ(status().condition, AccountCondition::disabled);
}

} // namespace
