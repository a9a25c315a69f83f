#include "shared/providers/provider.hpp"
#include "tests/shared/providers/messages.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <utility>
#include <vector>

namespace shared {
namespace {

using Json = nlohmann::json;
using testing::Request;
using testing::Response;

constexpr UnixMillis kNow{1'795'000'000'000};
constexpr const char* kEventStream = "text/event-stream";

std::string base64url(std::string_view text)
{
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string out;
    unsigned bits = 0;
    int count = 0;
    for (const char c : text) {
        bits = (bits << 8U) | static_cast<unsigned char>(c);
        for (count += 8; count >= 6; count -= 6)
            out += kAlphabet[(bits >> static_cast<unsigned>(count - 6)) & 63U];
    }
    if (count > 0) out += kAlphabet[(bits << static_cast<unsigned>(6 - count)) & 63U];
    return out;
}

std::string jwt(const Json& claims)
{
    return base64url(R"({"alg":"none"})") + "." + base64url(claims.dump()) + ".";
}

std::string account_jwt(const std::string& account, const std::string& plan, std::int64_t expiry)
{
    return jwt(
        {{"exp", expiry},
         {"email", "someone@example.com"},
         {"https://api.openai.com/auth",
          {{"chatgpt_account_id", account}, {"chatgpt_plan_type", plan}}}});
}

class CodexTest : public ::testing::Test {
protected:
    /// The base a leg leads to, by its configuration key, and the path there: "codex /responses".
    std::string way(const Leg& leg, const Request& request) const
    {
        const auto key = codex->upstreams()[leg.upstream.index].key;
        const AccountCredential account{leg.kind, "token", "acct"};
        return (leg.kind == CredentialKind::oauth ? "oauth " : "key ") + std::string(key) + " " +
               codex->upstream_target(leg, request, account) + (leg.websocket ? " ws" : "");
    }

    std::vector<std::string> ways(std::string_view method, std::string_view target) const
    {
        const Request request(method, target);
        const Route route = codex->route(request);
        std::vector<std::string> out;
        if (route.target == Route::Target::not_found) out.emplace_back("404");
        if (route.target == Route::Target::local)
            out.emplace_back(route.access == Access::open ? "local open" : "local user");
        for (const Leg& leg : route.legs)
            out.push_back(way(leg, request));
        return out;
    }

    LocalReply reply(
        std::string_view method,
        std::string_view target,
        std::string_view body = {},
        testing::FieldList fields = {}) const
    {
        const Request request(method, target, fields);
        return codex->answer_locally(codex->route(request), request, body, pool, kNow);
    }

    Json answer(std::string_view method, std::string_view target, std::string_view body = {}) const
    {
        return Json::parse(reply(method, target, body).body);
    }

    Verdict classify(const std::string& recording) const
    {
        const Response response = Response::recorded("codex/" + recording);
        return codex->classify(response, response.body(), kNow);
    }

    RequestFacts facts(testing::FieldList fields, std::string_view body) const
    {
        const Request request("POST", "/v1/responses", fields);
        return codex->inspect(codex->route(request), request, body);
    }

    ResponseFacts scan(std::string_view content_type, std::string_view body) const
    {
        ResponseScanner scanner(*codex, content_type);
        scanner.feed(body, kNow);
        scanner.finish(kNow);
        return scanner.facts();
    }

    std::unique_ptr<const Provider> codex = make_codex_provider();
    PoolSummary pool;
};

using Ways = std::vector<std::string>;

// ---- routes -----------------------------------------------------------------------------------------

TEST_F(CodexTest, ResponsesGoToEitherKindOfAccount)
{
    const Ways both{"oauth codex /responses ws", "key openai_api /responses"};
    EXPECT_EQ(ways("POST", "/v1/responses"), both);
    EXPECT_EQ(ways("POST", "/responses"), both);
    EXPECT_EQ(ways("GET", "/ws"), both);
    EXPECT_EQ(
        ways("POST", "/v1/responses/compact"),
        (Ways{"oauth codex /responses/compact", "key openai_api /responses/compact"}));
    EXPECT_EQ(
        ways("GET", "/v1/responses/resp_1/input_items?limit=2&a=%20"),
        (Ways{
            "oauth codex /responses/resp_1/input_items?limit=2&a=%20",
            "key openai_api /responses/resp_1/input_items?limit=2&a=%20"}));
    EXPECT_EQ(ways("POST", "/backend-api/codex/responses"), Ways{"oauth codex /responses ws"});
    EXPECT_EQ(
        ways("POST", "/backend-api/codex/responses/compact"),
        Ways{"oauth codex /responses/compact"});
}

TEST_F(CodexTest, OnlyTurnsSpendTokens)
{
    const auto generates = [this](std::string_view method, std::string_view target) {
        const Request request(method, target);
        return codex->route(request).generates;
    };
    EXPECT_TRUE(generates("POST", "/v1/responses"));
    EXPECT_TRUE(generates("POST", "/responses/compact"));
    EXPECT_TRUE(generates("POST", "/v1/chat/completions"));
    EXPECT_FALSE(generates("GET", "/v1/responses/resp_1"));
    EXPECT_FALSE(generates("POST", "/v1/responses/resp_1/cancel"));
    EXPECT_FALSE(generates("GET", "/v1/models"));
    EXPECT_FALSE(generates("POST", "/v1/files"));

    const Request upgrade(
        "GET", "/v1/responses", {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}});
    EXPECT_TRUE(codex->route(upgrade).generates);
    EXPECT_TRUE(codex->route(upgrade).conversation);
}

TEST_F(CodexTest, AccountCallsLoseTheirPrefixOnce)
{
    EXPECT_EQ(
        ways("GET", "/backend-api/wham/tasks/list?limit=5"),
        Ways{"oauth chatgpt /wham/tasks/list?limit=5"});
    EXPECT_EQ(ways("GET", "/backend-api/backend-api/x"), Ways{"oauth chatgpt /backend-api/x"});
    EXPECT_EQ(
        ways("GET", "/backend-api/wham/usage/daily-token-usage-breakdown"),
        Ways{"oauth chatgpt /wham/usage/daily-token-usage-breakdown"});
    EXPECT_EQ(ways("GET", "/api/codex/tasks/list"), Ways{"oauth chatgpt /wham/tasks/list"});
    EXPECT_EQ(ways("POST", "/backend-api/wham/usage"), Ways{"oauth chatgpt /wham/usage"});
}

TEST_F(CodexTest, OtherPathsOfThePublicApiNeedAKey)
{
    EXPECT_EQ(ways("POST", "/v1/chat/completions"), Ways{"key openai_api /chat/completions"});
    EXPECT_EQ(ways("GET", "/v1/files/x?y"), Ways{"key openai_api /files/x?y"});
    EXPECT_EQ(ways("GET", "/v1/models/gpt-5"), Ways{"key openai_api /models/gpt-5"});
    const LocalReply unserved = reply("POST", "/v1/embeddings");
    EXPECT_EQ(unserved.status, 404U);
    EXPECT_EQ(Json::parse(unserved.body)["error"]["code"], "not_found");
}

TEST_F(CodexTest, ModelsHaveAnEmptyCatalogueWithoutAnAccount)
{
    EXPECT_EQ(
        ways("GET", "/v1/models?client_version=0.169.0"),
        Ways{"oauth codex /models?client_version=0.169.0"});
    EXPECT_EQ(
        ways("GET", "/models?client_version=1"), Ways{"oauth codex /models?client_version=1"});
    EXPECT_EQ(
        ways("GET", "/backend-api/codex/models?client_version=1"),
        Ways{"oauth codex /models?client_version=1"});
    EXPECT_EQ(ways("GET", "/v1/models"), Ways{"key openai_api /models"});
    for (const char* target : {"/v1/models?client_version=0.169.0", "/backend-api/codex/models"}) {
        EXPECT_EQ(answer("GET", target), Json::parse(R"({"models":[]})")) << target;
        const Request request("GET", target);
        EXPECT_TRUE(codex->route(request).local_if_unserved);
    }
    EXPECT_EQ(answer("GET", "/v1/models")["data"], Json::array());
}

TEST_F(CodexTest, WhatIsNotBuiltIsNotFound)
{
    for (const char* target :
         {"/",
          "/oauth/token",
          "/v1",
          "/v1/",
          "/v1/realtime/calls",
          "/v1/live/x",
          "/live",
          "/backend-api",
          "/backend-api/",
          "/backend-apix/wham/usage",
          "/responsesx",
          "/wham/tasks",
          "/backend-api/../secret",
          "/v1/responses/%2e%2E/x",
          "/v1/./models"})
        EXPECT_EQ(ways("GET", target), Ways{"404"}) << target;
}

TEST_F(CodexTest, ClaimsItsOwnPathsAndTakesTheRest)
{
    const auto match = [this](std::string_view target) {
        const Request request("GET", target);
        return codex->match(request);
    };
    for (const char* target :
         {"/v1/responses",
          "/responses",
          "/ws",
          "/backend-api/x",
          "/api/codex/usage",
          "/v1/models",
          "/apps",
          "/.well-known/oauth-authorization-server/mcp"})
        EXPECT_EQ(match(target), Match::path) << target;
    for (const char* target : {"/v1/messages", "/v1beta/models", "/nowhere", "/v1internal:x"})
        EXPECT_EQ(match(target), Match::fallback) << target;
}

// ---- local answers --------------------------------------------------------------------------------------

TEST_F(CodexTest, StubsAreOpen)
{
    for (const char* target :
         {"/backend-api/ps/plugins/installed?limit=200",
          "/backend-api/ps/plugins/suggested/codex?scope=GLOBAL",
          "/backend-api/ps/mcp",
          "/backend-api/codex/analytics-events/events",
          "/codex/analytics-events/events",
          "/backend-api/wham/settings/user",
          "/backend-api/wham/config/bundle",
          "/api/codex/config/bundle",
          "/backend-api/wham/rate-limit-reset-credits",
          "/backend-api/wham/rate-limit-reset-credits/consume",
          "/backend-api/plugins/list",
          "/plugins/featured",
          "/backend-api/connectors/directory/list",
          "/connectors/directory/list_workspace",
          "/api/codex/apps",
          "/backend-api/wham/apps",
          "/wham/apps",
          "/apps",
          "/v1/traces/ingest",
          "/.well-known/oauth-authorization-server"})
        EXPECT_EQ(ways("POST", target), Ways{"local open"}) << target;
    for (const char* target :
         {"/backend-api/wham/usage",
          "/backend-api/wham/usage/",
          "/api/codex/usage",
          "/api/codex/usage/",
          "/backend-api/wham/accounts/check"})
        EXPECT_EQ(ways("GET", target), Ways{"local user"}) << target;
}

TEST_F(CodexTest, StubsSayWhatTheClientNeeds)
{
    EXPECT_EQ(answer("GET", "/backend-api/wham/settings/user"), Json::object());
    EXPECT_EQ(answer("GET", "/backend-api/wham/config/bundle"), Json::object());
    const Json plugins = answer("GET", "/backend-api/ps/plugins/installed");
    EXPECT_EQ(plugins["plugins"], Json::array());
    EXPECT_TRUE(plugins["pagination"].is_object());
    EXPECT_EQ(
        answer("GET", "/backend-api/ps/plugins/suggested/codex"),
        Json::parse(R"({"enabled":false,"plugins":[]})"));
    EXPECT_EQ(
        answer("GET", "/backend-api/connectors/directory/list"),
        Json::parse(R"({"apps":[],"nextToken":null})"));
    EXPECT_EQ(answer("POST", "/v1/traces/ingest"), Json::parse(R"({"ok":true})"));
    EXPECT_EQ(
        answer("GET", "/backend-api/wham/rate-limit-reset-credits"),
        Json::parse(R"({"available_count":0,"credits":[]})"));
    EXPECT_EQ(
        answer("POST", "/backend-api/wham/rate-limit-reset-credits/consume"),
        Json::parse(R"({"code":"no_credit","windows_reset":0})"));
    EXPECT_EQ(answer("GET", "/.well-known/oauth-authorization-server")["issuer"], "");
    const LocalReply events = reply("POST", "/backend-api/codex/analytics-events/events", "{}");
    EXPECT_EQ(events.status, 200U);
    EXPECT_EQ(events.body, "");
}

TEST_F(CodexTest, SpeaksMcpWithoutTools)
{
    constexpr const char* kMcp = "/backend-api/ps/mcp";
    const Json initialized = answer(
        "POST",
        kMcp,
        R"({"jsonrpc":"2.0","id":"a\"1","method":"initialize","params":{"protocolVersion":"2025-03-26"}})");
    EXPECT_EQ(initialized["id"], "a\"1");
    EXPECT_EQ(initialized["result"]["protocolVersion"], "2025-03-26");
    EXPECT_EQ(
        answer("POST", kMcp, R"({"id":1,"method":"initialize"})")["result"]["protocolVersion"],
        "2025-06-18");
    EXPECT_EQ(
        answer("POST", kMcp, R"({"jsonrpc":"2.0","id":7,"method":"tools/list"})"),
        Json::parse(R"({"jsonrpc":"2.0","id":7,"result":{"tools":[]}})"));
    EXPECT_EQ(answer("POST", kMcp, R"({"id":8,"method":"ping"})")["result"], Json::object());
    EXPECT_EQ(answer("POST", kMcp, R"({"id":9,"method":"x"})")["error"]["code"], -32601);
    EXPECT_EQ(reply("POST", kMcp, R"({"method":"notifications/initialized"})").status, 202U);
    EXPECT_EQ(reply("POST", kMcp, R"({"method":"notifications/initialized"})").body, "");
    EXPECT_EQ(reply("POST", kMcp, "no json").status, 400U);
    EXPECT_EQ(reply("POST", kMcp, "").status, 400U);
    EXPECT_EQ(reply("GET", kMcp).headers.at(0).value, kEventStream);
    EXPECT_EQ(reply("OPTIONS", kMcp).status, 204U);
}

TEST_F(CodexTest, AccountCheckNamesTheClientsOwnAccount)
{
    const std::string token = account_jwt("acct-jwt", "Business", 1);
    const auto check = [this](testing::FieldList fields) {
        return Json::parse(reply("GET", "/backend-api/wham/accounts/check", "", fields).body);
    };
    const Json own =
        check({{"Authorization", "Bearer " + token}, {"ChatGPT-Account-ID", "acct-\"own"}});
    EXPECT_EQ(own["default_account_id"], "acct-\"own");
    EXPECT_EQ(
        own["accounts"],
        Json::parse(R"([{"id":"acct-\"own","structure":"personal","plan_type":"business",
            "workspace_backend_origin":"https://chatgpt.com",
            "account_routing_override":"NO_CONSTRAINT"}])"));
    const Json no_jwt = check({{"chatgpt-account-id", "a"}, {"authorization", "Bearer nonsense"}});
    EXPECT_EQ(no_jwt["accounts"][0]["plan_type"], "pro");
    EXPECT_EQ(check({{"authorization", "Bearer " + token}})["default_account_id"], "acct-jwt");
}

TEST_F(CodexTest, UsageIsThePoolsAndNamesNoAccount)
{
    Json usage = answer("GET", "/backend-api/wham/usage");
    EXPECT_EQ(usage["plan_type"], "pool");
    EXPECT_EQ(usage["rate_limit"]["allowed"], false);
    EXPECT_TRUE(usage["rate_limit"]["primary_window"].is_null());
    EXPECT_TRUE(usage["rate_limit"]["secondary_window"].is_null());
    EXPECT_FALSE(usage["pool"].contains("accounts"));

    pool.accounts = 3;
    pool.healthy = 2;
    pool.all_accounts = 5;
    pool.all_healthy = 4;
    pool.short_window.used = {1249};
    pool.short_window.resets_at = kNow.plus(std::chrono::minutes(10));
    pool.long_window.used = {9001};
    pool.long_window.resets_at = kNow.plus(std::chrono::hours(24));
    usage = answer("GET", "/api/codex/usage/");
    EXPECT_EQ(usage["rate_limit"], Json::parse(R"({"allowed":true,"limit_reached":true,
            "primary_window":{"used_percent":12,"limit_window_seconds":18000,
                "reset_after_seconds":600,"reset_at":1795000600},
            "secondary_window":{"used_percent":90,"limit_window_seconds":604800,
                "reset_after_seconds":86400,"reset_at":1795086400}})"));
    EXPECT_EQ(usage["pool"]["total_accounts"], 5);
    EXPECT_EQ(usage["pool"]["dead_accounts"], 1);
    EXPECT_EQ(usage["pool"]["codex_accounts"], 3);
    EXPECT_EQ(usage["rate_limit_reset_credits"]["available_count"], 0);
}

// ---- requests ----------------------------------------------------------------------------------------------

TEST_F(CodexTest, HeadNamesTheConversationBeforeTheBody)
{
    const RequestFacts found = facts(
        {{"session-id", "from-head"}, {"Accept", kEventStream}},
        R"({"model":"gpt-5.5","prompt_cache_key":"from-body","stream":false})");
    EXPECT_EQ(found.conversation_id, "from-head");
    EXPECT_EQ(found.model, "gpt-5.5");
    EXPECT_TRUE(found.stream);
    EXPECT_EQ(facts({{"session_id", "b"}, {"conversation_id", "c"}}, "").conversation_id, "b");
    EXPECT_EQ(facts({{"conversation_id", "c"}}, "").conversation_id, "c");
    EXPECT_EQ(facts({{"X-Codex-Conversation-Id", "d"}}, "").conversation_id, "d");

    const Request upgrade(
        "GET",
        "/v1/responses?session_id=from-query",
        {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}});
    EXPECT_EQ(codex->inspect(codex->route(upgrade), upgrade, "").conversation_id, "from-query");
}

TEST_F(CodexTest, BodyIdsInTheirOrder)
{
    const auto id = [this](std::string_view body) { return facts({}, body).conversation_id; };
    EXPECT_EQ(id(R"({"prompt_cache_key":"p","conversation_id":"c"})"), "c");
    EXPECT_EQ(id(R"({"prompt_cache_key":"p","conversation":{"id":"v"}})"), "v");
    EXPECT_EQ(id(R"({"prompt_cache_key":"p","conversation":"v"})"), "v");
    EXPECT_EQ(id(R"({"prompt_cache_key":"p","metadata":{"session_id":"m"}})"), "p");
    EXPECT_EQ(id(R"({"metadata":{"session_id":"m"},"meta":{"session_id":"n"}})"), "m");
    EXPECT_EQ(id(R"({"meta":{"user_id":"u"}})"), "u");
    EXPECT_EQ(id(R"({"prompt_cache_key":7,"client_metadata":{"session_id":"s"}})"), "s");
    EXPECT_EQ(id(R"({"input":[{"prompt_cache_key":"nested"}]})"), "");
    EXPECT_TRUE(facts({}, R"({"stream":true})").stream);
    EXPECT_FALSE(facts({}, R"({"stream":false})").stream);
    EXPECT_EQ(
        facts({}, R"({"model":"m","previous_response_id":"resp_9"})").previous_response_id,
        "resp_9");
}

TEST_F(CodexTest, WithoutAnIdTheBeginningStandsForTheConversation)
{
    const auto print = [this](std::string_view body) { return facts({}, body).fingerprint; };
    const std::string one = print(R"({"model":"m","input":[{"role":"user","content":"a"}]})");
    EXPECT_FALSE(one.empty());
    EXPECT_EQ(
        print(R"({"model":"m","input":[{"role":"user","content":"a"},{"role":"assistant"}]})"),
        one);
    EXPECT_NE(print(R"({"model":"m","input":[{"role":"user","content":"b"}]})"), one);
    EXPECT_NE(print(R"({"model":"n","input":[{"role":"user","content":"a"}]})"), one);
    EXPECT_EQ(print(R"({"model":"m","messages":[{"role":"user","content":"a"}]})"), one);
    EXPECT_NE(print(R"({"model":"m","input":"a"})"), "");
    EXPECT_EQ(print(R"({"model":"m"})"), "");
    EXPECT_EQ(facts({{"session-id", "s"}}, R"({"model":"m","input":"a"})").fingerprint, "");
}

TEST_F(CodexTest, BodiesThatAreNoJsonAreNamed)
{
    EXPECT_TRUE(facts({}, "no json").body_malformed);
    EXPECT_TRUE(facts({}, R"({"model":"m")").body_malformed);
    EXPECT_FALSE(facts({}, "").body_malformed);
    EXPECT_FALSE(facts({}, R"({"model":"m"} )").body_malformed);
    EXPECT_FALSE(
        facts({{"content-type", "multipart/form-data; boundary=x"}}, "--x").body_malformed);
}

TEST_F(CodexTest, MessagesThatStartTurns)
{
    const RequestFacts turn = codex->inspect_message(
        R"({"type":"response.create","model":"gpt-5.5","previous_response_id":"resp_1",
            "prompt_cache_key":"p","input":[],"generate":false})");
    EXPECT_TRUE(turn.stream);
    EXPECT_EQ(turn.model, "gpt-5.5");
    EXPECT_EQ(turn.previous_response_id, "resp_1");
    EXPECT_EQ(turn.conversation_id, "p");
    EXPECT_FALSE(codex->inspect_message(R"({"type":"response.cancel"})").stream);
    EXPECT_FALSE(codex->inspect_message("junk").stream);
    EXPECT_FALSE(codex->inspect_message("").stream);
}

TEST_F(CodexTest, AuthorizesAsTheAccount)
{
    const Request request("POST", "/v1/responses");
    std::string head;
    codex->append_credentials({CredentialKind::oauth, "tok", "acct"}, request, head);
    EXPECT_EQ(head, "Authorization: Bearer tok\r\nChatGPT-Account-ID: acct\r\n");
    head.clear();
    codex->append_credentials({CredentialKind::oauth, "tok", ""}, request, head);
    EXPECT_EQ(head, "Authorization: Bearer tok\r\n");
    head.clear();
    codex->append_credentials({CredentialKind::api_key, "sk", "ignored"}, request, head);
    EXPECT_EQ(head, "Authorization: Bearer sk\r\n");
    EXPECT_TRUE(codex->replaces_header("OpenAI-Organization", CredentialKind::oauth));
    EXPECT_FALSE(codex->replaces_header("OpenAI-Beta", CredentialKind::oauth));
}

// ---- evidence -------------------------------------------------------------------------------------------------

TEST_F(CodexTest, ClassifiesRecordedErrors)
{
    const Verdict used_up = classify("usage_limit.http");
    EXPECT_EQ(used_up.outcome, Outcome::rate_limited);
    EXPECT_EQ(used_up.reason, "usage_limit_reached");
    EXPECT_EQ(used_up.until, UnixMillis{1'795'003'600'000});

    const Verdict key = classify("rate_limit_api_key.http");
    EXPECT_EQ(key.outcome, Outcome::rate_limited);
    EXPECT_EQ(key.reason, "rate_limit_exceeded");
    EXPECT_EQ(key.until, kNow.plus(std::chrono::seconds(90))) << "requests are used up, tokens not";

    EXPECT_EQ(classify("unauthorized.http").outcome, Outcome::credential_rejected);
    EXPECT_EQ(classify("forbidden.http").outcome, Outcome::account_refused);
    EXPECT_EQ(classify("cloudflare_challenge.http").outcome, Outcome::upstream_failed);
    EXPECT_EQ(classify("deactivated_workspace.http").outcome, Outcome::account_refused);
    EXPECT_EQ(classify("deactivated_workspace.http").reason, "deactivated_workspace");

    const Verdict model = classify("model_unavailable.http");
    EXPECT_EQ(model.outcome, Outcome::account_refused);
    EXPECT_EQ(model.reason, "model_unavailable");
    EXPECT_TRUE(model.about_request);
}

TEST_F(CodexTest, ClassifiesByStatus)
{
    const auto outcome = [this](unsigned status, testing::FieldList fields = {}) {
        const Response response(status, fields);
        return codex->classify(response, "", kNow).outcome;
    };
    for (const unsigned status : {200U, 201U, 204U, 304U, 400U, 404U, 409U, 413U, 422U})
        EXPECT_EQ(outcome(status), Outcome::served) << status;
    for (const unsigned status : {408U, 500U, 502U, 503U, 504U, 524U, 529U})
        EXPECT_EQ(outcome(status), Outcome::upstream_failed) << status;
    EXPECT_EQ(outcome(401), Outcome::credential_rejected);
    EXPECT_EQ(outcome(402), Outcome::account_refused);
    EXPECT_EQ(outcome(403), Outcome::account_refused);
    EXPECT_EQ(outcome(429), Outcome::rate_limited);
    EXPECT_EQ(
        outcome(403, {{"server", "cloudflare"}, {"content-type", "text/html"}}),
        Outcome::upstream_failed);
}

TEST_F(CodexTest, FindsTheEndOfALimit)
{
    const auto until = [this](testing::FieldList fields, std::string_view body = {}) {
        const Response response(429, fields);
        return codex->classify(response, body, kNow).until;
    };
    const UnixMillis in_30s = kNow.plus(std::chrono::seconds(30));
    EXPECT_FALSE(until({}).is_set()) << "never invented";
    EXPECT_EQ(until({{"Retry-After", "30"}}), in_30s);
    EXPECT_EQ(until({{"Retry-After", "Wed, 18 Nov 2026 11:07:10 GMT"}}), in_30s);
    EXPECT_FALSE(until({{"Retry-After", "Fri, 06 Nov 2026 21:20:30 GMT"}}).is_set()) << "past";
    EXPECT_EQ(
        until({}, R"({"error":{"type":"usage_limit_reached","resets_in_seconds":30}})"), in_30s);
    EXPECT_EQ(until({}, R"({"error":{"resets_at":1795000030,"resets_in_seconds":5}})"), in_30s);
    EXPECT_FALSE(until({}, R"({"error":{"resets_at":1}})").is_set()) << "past";
    EXPECT_FALSE(until({}, R"({"error":{"resets_at":99999999999}})").is_set()) << "absurd";
    EXPECT_EQ(until({{"x-ratelimit-reset-tokens", "30s"}}), in_30s);
}

TEST_F(CodexTest, ReasonsNeverQuoteBodies)
{
    const Response response(429);
    const Verdict verdict = codex->classify(
        response, R"({"error":{"code":"secret-token-sk-123","type":"secret"}})", kNow);
    EXPECT_EQ(verdict.reason, "http_429");
}

TEST_F(CodexTest, QuotaWindowsAreKnownByTheirLength)
{
    const Response usual = Response::recorded("codex/turn.http");
    const QuotaUpdate quota = codex->quota_from_headers(usual, kNow);
    ASSERT_EQ(quota.count, 2);
    EXPECT_EQ(quota.windows[0].seconds, 18000U);
    EXPECT_EQ(quota.windows[0].used.basis_points, 4200);
    EXPECT_EQ(quota.windows[0].resets_at, UnixMillis{1'795'003'600'000});
    EXPECT_EQ(quota.windows[1].seconds, 604800U);
    EXPECT_EQ(quota.windows[1].used.basis_points, 1750);
    EXPECT_EQ(quota.has_credits, false);
    EXPECT_FALSE(quota.credits_balance.has_value());

    const auto read = [this](testing::FieldList fields) {
        const Response response(200, fields);
        return codex->quota_from_headers(response, kNow);
    };
    const QuotaUpdate swapped = read(
        {{"X-Codex-Primary-Used-Percent", "80"},
         {"X-Codex-Primary-Window-Minutes", "10079"},
         {"X-Codex-Primary-Reset-After-Seconds", "60"}});
    ASSERT_EQ(swapped.count, 1);
    EXPECT_EQ(swapped.windows[0].seconds, 604800U) << "the weekly window in the primary slot";
    EXPECT_EQ(swapped.windows[0].resets_at, kNow.plus(std::chrono::seconds(60)));

    EXPECT_TRUE(read({{"x-codex-primary-used-percent", "10"}}).empty()) << "of unknown length";
    EXPECT_EQ(
        read({{"x-codex-primary-used-percent", "10"}, {"x-codex-secondary-used-percent", "0"}})
            .count,
        2);
    EXPECT_TRUE(
        read({{"x-codex-primary-used-percent", "0"}, {"x-codex-primary-window-minutes", "0"}})
            .empty());
    EXPECT_TRUE(
        read({{"x-codex-primary-used-percent", "nan"}, {"x-codex-primary-window-minutes", "inf"}})
            .empty());
    EXPECT_EQ(
        read({{"x-codex-credits-balance", "12.5"}, {"x-codex-credits-unlimited", "True"}})
            .unlimited,
        true);
    EXPECT_TRUE(read({{"content-type", "text/plain"}}).empty());
}

TEST_F(CodexTest, QuotaHeadersAreReplacedByThePools)
{
    for (const char* name :
         {"X-Codex-Primary-Used-Percent",
          "x-codex-secondary-reset-at",
          "x-codex-other-primary-window-minutes",
          "x-codex-credits-balance",
          "x-codex-plan-type",
          "x-ratelimit-remaining-tokens"})
        EXPECT_TRUE(codex->is_quota_header(name)) << name;
    for (const char* name : {"x-codex-turn-state", "x-models-etag", "retry-after", "x-request-id"})
        EXPECT_FALSE(codex->is_quota_header(name)) << name;

    std::string head;
    codex->append_pool_quota(pool, kNow, head);
    EXPECT_EQ(head, "");
    pool.short_window.used = {1205};
    pool.short_window.resets_at = kNow;
    pool.long_window.used = {5000};
    codex->append_pool_quota(pool, kNow, head);
    EXPECT_EQ(
        head,
        "X-Codex-Primary-Used-Percent: 12.05\r\nX-Codex-Primary-Window-Minutes: 300\r\n"
        "X-Codex-Primary-Reset-At: 1795000000\r\n"
        "X-Codex-Secondary-Used-Percent: 50\r\nX-Codex-Secondary-Window-Minutes: 10080\r\n");
}

TEST_F(CodexTest, ReadsARecordedTurn)
{
    for (const char* recording : {"codex/turn.http", "codex/turn_document.http"}) {
        const Response response = Response::recorded(recording);
        const ResponseFacts found =
            scan(response.head().fields.find("content-type"), response.body());
        EXPECT_EQ(
            found.usage,
            (Usage{
                .input = {12034},
                .cached_input = {11008},
                .cache_creation = {},
                .output = {412},
                .reasoning = {320}}))
            << recording;
        EXPECT_TRUE(found.has_usage);
        EXPECT_TRUE(found.generated);
        EXPECT_TRUE(found.terminal);
        EXPECT_FALSE(found.failure.has_value());
        EXPECT_EQ(found.model, "gpt-5.5");
        EXPECT_EQ(found.response_id, "resp_0a1b2c3d4e5f60718293a4b5");
    }
}

TEST_F(CodexTest, ReadsQuotaInTheStream)
{
    const Response response = Response::recorded("codex/turn.http");
    const QuotaUpdate quota = scan(kEventStream, response.body()).quota;
    ASSERT_EQ(quota.count, 2);
    EXPECT_EQ(quota.windows[0].used.basis_points, 4300);
    EXPECT_EQ(quota.windows[1].seconds, 604800U);
    EXPECT_EQ(quota.has_credits, true);
    EXPECT_EQ(quota.credits_balance, 12.5);

    const QuotaUpdate other = scan(
                                  kEventStream,
                                  "data: "
                                  "{\"type\":\"codex.rate_limits\",\"metered_limit_name\":\"codex_"
                                  "other\",\"rate_limits\":"
                                  "{\"primary\":{\"used_percent\":99,\"window_minutes\":300}}}\n\n")
                                  .quota;
    EXPECT_TRUE(other.empty()) << "another limit than the account's own";
    const QuotaUpdate legacy =
        scan(
            "application/json",
            R"({"rate_limit":{"primary_window":{"used_percent":5,"limit_window_seconds":18000,"reset_at":1795000060}}})")
            .quota;
    ASSERT_EQ(legacy.count, 1);
    EXPECT_EQ(legacy.windows[0].used.basis_points, 500);
    const ResponseFacts counts = scan(
        kEventStream,
        "data: {\"type\":\"token_count\",\"info\":{\"last_token_usage\":{\"input_tokens\":7,"
        "\"cached_input_tokens\":3,\"output_tokens\":2,\"reasoning_output_tokens\":1}}}\n\n");
    EXPECT_EQ(counts.usage.input.value, 7);
    EXPECT_EQ(counts.usage.cached_input.value, 3);
    EXPECT_EQ(counts.usage.output.value, 2);
    EXPECT_EQ(counts.usage.reasoning.value, 1);
    EXPECT_FALSE(counts.generated);
}

TEST_F(CodexTest, ReadsChatCompletions)
{
    const Response response = Response::recorded("codex/chat_stream.http");
    const ResponseFacts found = scan(kEventStream, response.body());
    EXPECT_EQ(
        found.usage,
        (Usage{
            .input = {20},
            .cached_input = {4},
            .cache_creation = {},
            .output = {5},
            .reasoning = {2}}));
    EXPECT_TRUE(found.generated);
    EXPECT_TRUE(found.terminal);
}

TEST_F(CodexTest, KnowsWhenOutputBegins)
{
    const auto generated = [this](std::string_view event) {
        return scan(kEventStream, "data: " + std::string(event) + "\n\n").generated;
    };
    EXPECT_FALSE(generated(R"({"type":"response.created","response":{"id":"r"}})"));
    EXPECT_FALSE(generated(R"({"type":"response.in_progress"})"));
    EXPECT_FALSE(generated(R"({"type":"codex.rate_limits"})"));
    EXPECT_FALSE(generated(R"({"type":"keepalive"})"));
    EXPECT_TRUE(generated(R"({"type":"response.output_text.delta","delta":"x"})"));
    EXPECT_TRUE(generated(R"({"type":"response.output_item.added"})"));
    EXPECT_TRUE(generated(R"({"type":"response.completed","response":{}})"));
}

TEST_F(CodexTest, ErrorsInsideAStream)
{
    const Response recorded = Response::recorded("codex/failed_before_output.http");
    const ResponseFacts failed = scan(kEventStream, recorded.body());
    ASSERT_TRUE(failed.failure.has_value());
    EXPECT_EQ(failed.failure->outcome, Outcome::rate_limited);
    EXPECT_FALSE(failed.generated);
    EXPECT_TRUE(failed.terminal);
    EXPECT_FALSE(failed.has_usage);

    const auto failure = [this](std::string_view event) {
        const auto found = scan(kEventStream, "data: " + std::string(event) + "\n\n");
        EXPECT_TRUE(found.failure.has_value()) << event;
        return found.failure.value_or(Verdict{});
    };
    const Verdict used_up = failure(
        R"({"type":"error","status":429,"error":{"type":"usage_limit_reached","resets_in_seconds":60}})");
    EXPECT_EQ(used_up.outcome, Outcome::rate_limited);
    EXPECT_EQ(used_up.until, kNow.plus(std::chrono::seconds(60)));
    EXPECT_EQ(
        failure(
            R"({"type":"error","status":429,"error":{"code":"x"},"headers":{"retry-after":"5"}})")
            .until,
        kNow.plus(std::chrono::seconds(5)));
    EXPECT_EQ(
        failure(R"({"type":"error","status":401,"error":{}})").outcome,
        Outcome::credential_rejected);
    EXPECT_EQ(
        failure(R"({"type":"error","status":503,"error":{}})").outcome, Outcome::upstream_failed);
    EXPECT_EQ(
        failure(R"({"type":"error","code":"server_error","message":"m"})").outcome,
        Outcome::upstream_failed);
    EXPECT_EQ(
        failure(R"({"type":"error","status":400,"error":{"code":"previous_response_not_found"}})")
            .outcome,
        Outcome::served)
        << "the client's own business";
    EXPECT_EQ(
        failure(
            R"({"type":"response.failed","response":{"error":{"code":"context_length_exceeded"}}})")
            .outcome,
        Outcome::served);
    EXPECT_EQ(
        failure(
            R"({"type":"response.failed","response":{"error":{"code":"server_is_overloaded"}}})")
            .outcome,
        Outcome::upstream_failed);
}

// ---- errors of the pool -----------------------------------------------------------------------------------------

std::string header(const LocalReply& reply, std::string_view name)
{
    for (const http::Header& field : reply.headers)
        if (http::iequals(field.name, name)) return field.value;
    return {};
}

TEST_F(CodexTest, ErrorsInTheClientsDialect)
{
    const Request request("POST", "/v1/responses");
    PoolError error;
    error.kind = PoolError::Kind::exhausted;
    error.message = "All accounts are used up.";
    error.now = kNow;
    LocalReply told = codex->error_reply(error, request);
    EXPECT_EQ(told.status, 429U);
    Json body = Json::parse(told.body)["error"];
    EXPECT_EQ(body["type"], "usage_limit_reached");
    EXPECT_FALSE(body.contains("resets_at")) << "never invented";
    EXPECT_EQ(header(told, "X-Should-Retry"), "false");
    EXPECT_EQ(header(told, "Retry-After"), "");

    error.retry_at = kNow.plus(std::chrono::milliseconds(60'500));
    told = codex->error_reply(error, request);
    body = Json::parse(told.body)["error"];
    EXPECT_EQ(body["type"], "usage_limit_reached");
    EXPECT_EQ(body["resets_at"], 1'795'000'061);
    EXPECT_EQ(body["resets_in_seconds"], 61);
    EXPECT_EQ(header(told, "Retry-After"), "61");
    EXPECT_EQ(header(told, "X-Should-Retry"), "false");

    error.retry_at = kNow.plus(std::chrono::milliseconds(59'500));
    told = codex->error_reply(error, request);
    body = Json::parse(told.body)["error"];
    EXPECT_EQ(body["type"], "rate_limit_exceeded") << "soon over: the CLI waits and goes on";
    EXPECT_EQ(body["resets_in_seconds"], 60);
    EXPECT_EQ(header(told, "Retry-After"), "60");
    EXPECT_EQ(header(told, "X-Should-Retry"), "");

    const Json message = Json::parse(codex->error_message(error));
    EXPECT_EQ(message["type"], "error");
    EXPECT_EQ(message["status"], 429);
    EXPECT_EQ(message["headers"]["retry-after"], "60");

    error.kind = PoolError::Kind::upstream_failed;
    error.retry_at = {};
    told = codex->error_reply(error, request);
    EXPECT_EQ(told.status, 502U);
    EXPECT_EQ(
        Json::parse(told.body),
        Json::parse(R"({"error":{"message":"All accounts are used up.","type":"server_error",
            "code":"upstream_failed","param":null}})"));
}

TEST_F(CodexTest, AUsersOwnLimitEndsTheTurnAtOnce)
{
    PoolError error;
    error.kind = PoolError::Kind::user_limit;
    error.message = "Your daily limit is reached.";
    error.now = kNow;
    const Request request("POST", "/v1/responses");
    const LocalReply told = codex->error_reply(error, request);
    const Json without = Json::parse(told.body)["error"];
    EXPECT_EQ(header(told, "x-codex-promo-message"), "Your daily limit is reached")
        << "the one thing the CLI shows of it";
    EXPECT_EQ(without["type"], "usage_limit_reached");
    EXPECT_EQ(without["code"], "user_limit_reached");
    EXPECT_FALSE(without.contains("resets_at")) << "never invented";

    error.retry_at = kNow.plus(std::chrono::hours(2));
    const Json message = Json::parse(codex->error_message(error));
    EXPECT_EQ(message["status"], 429);
    EXPECT_EQ(message["error"]["type"], "usage_limit_reached");
    EXPECT_EQ(message["error"]["resets_in_seconds"], 7200);
    EXPECT_EQ(message["headers"]["retry-after"], "7200");
    EXPECT_EQ(message["headers"]["x-codex-promo-message"], "Your daily limit is reached");
    error.message = "5 \xE2\x82\xAC a day\r\nX: y";
    EXPECT_EQ(
        header(codex->error_reply(error, request), "x-codex-promo-message"), "5 ??? a day??X: y");

    error.retry_at = kNow.plus(std::chrono::seconds(5));
    const LocalReply soon = codex->error_reply(error, request);
    EXPECT_EQ(Json::parse(soon.body)["error"]["type"], "rate_limit_exceeded");
    EXPECT_EQ(header(soon, "x-codex-promo-message"), "");

    error.kind = PoolError::Kind::user_disabled;
    error.retry_at = {};
    const LocalReply disabled = codex->error_reply(error, request);
    EXPECT_EQ(disabled.status, 403U);
    EXPECT_EQ(Json::parse(disabled.body)["error"]["code"], "user_disabled");
}

TEST_F(CodexTest, StartingOverHasOneStatusOnly)
{
    const Json message = Json::parse(codex->start_over_message());
    EXPECT_EQ(message["type"], "error");
    EXPECT_EQ(message["status"], 400);
    EXPECT_FALSE(message.contains("status_code")) << "with both the client hangs";
    EXPECT_EQ(message["error"]["code"], "previous_response_not_found");
}

// ---- credentials -------------------------------------------------------------------------------------------------

TEST_F(CodexTest, ReadsASignIn)
{
    const Json file{
        {"OPENAI_API_KEY", "sk-not-used"},
        {"tokens",
         {{"id_token", account_jwt("acct-id", "PLUS", 1'795'000'100)},
          {"access_token", account_jwt("acct-access", "team", 1'795'900'000)},
          {"refresh_token", "rt"},
          {"account_id", "acct-file"}}},
        {"last_refresh", "2026-11-18T11:06:40.5Z"},
        {"auth_mode", "chatgpt"}};
    const auto read = codex->parse_credential(file.dump());
    ASSERT_TRUE(read.has_value()) << read.error().text();
    EXPECT_EQ(read->kind, CredentialKind::oauth) << "tokens beat the key";
    EXPECT_EQ(read->account_id, "acct-file");
    EXPECT_EQ(read->plan, "plus");
    EXPECT_EQ(read->email, "someone@example.com");
    EXPECT_EQ(read->expires_at, UnixMillis{1'795'900'000'000}) << "the access token's";
    EXPECT_EQ(read->refresh_token.reveal(), "rt");
    EXPECT_TRUE(read->last_refresh.is_set());
    EXPECT_TRUE(read->warnings.empty()) << read->warnings.front();
}

TEST_F(CodexTest, LearnsTheAccountFromItsTokens)
{
    const Json nested{{"tokens", {{"access_token", account_jwt("acct-a", "", 5)}}}};
    const auto read = codex->parse_credential(nested.dump());
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->account_id, "acct-a");
    EXPECT_EQ(read->plan, "pro") << "where none is stated";
    const Json flat{{"tokens", {{"access_token", jwt({{"chatgpt_account_id", "acct-flat"}})}}}};
    EXPECT_EQ(codex->parse_credential(flat.dump())->account_id, "acct-flat");
}

TEST_F(CodexTest, ReadsAnApiKey)
{
    const auto read = codex->parse_credential(R"({"OPENAI_API_KEY":"sk-abc","tokens":null})");
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->kind, CredentialKind::api_key);
    EXPECT_EQ(read->access_token.reveal(), "sk-abc");
    EXPECT_FALSE(read->expires_at.is_set());
    EXPECT_EQ(
        codex->parse_credential(R"({"OPENAI_API_KEY":"sk-abc","tokens":{}})")->kind,
        CredentialKind::api_key);
}

TEST_F(CodexTest, TokensThatAreNoJwtsAreNamedAndStillServe)
{
    const auto read = codex->parse_credential(
        R"({"tokens":{"id_token":"a.b","access_token":"opaque","account_id":"x"}})");
    ASSERT_TRUE(read.has_value());
    EXPECT_FALSE(read->expires_at.is_set());
    ASSERT_EQ(read->warnings.size(), 3U);
    EXPECT_NE(read->warnings[0].find("'tokens.id_token' is not a JWT"), std::string::npos);
    EXPECT_NE(read->warnings[1].find("'tokens.access_token' is not a JWT"), std::string::npos);
    for (const std::string& warning : read->warnings)
        EXPECT_EQ(warning.find("opaque"), std::string::npos) << "no secrets";
}

TEST_F(CodexTest, BadFilesGetClearAnswers)
{
    const auto what = [this](std::string_view text) {
        const auto read = codex->parse_credential(text);
        EXPECT_FALSE(read.has_value()) << text.substr(0, 60);
        return read.has_value() ? std::string() : read.error().what;
    };
    EXPECT_NE(what("").find("empty"), std::string::npos);
    EXPECT_NE(what(R"({"tokens":{"access_token":"abc)").find("middle"), std::string::npos);
    EXPECT_NE(what("hello").find("not JSON"), std::string::npos);
    EXPECT_NE(what("[1]").find("array"), std::string::npos);
    EXPECT_NE(what(std::string(100'000, '[')).find("deep"), std::string::npos);
    EXPECT_NE(what("{}").find("neither"), std::string::npos);
    EXPECT_NE(what(R"({"tokens":"x"})").find("'tokens' should be an object"), std::string::npos);
    EXPECT_NE(
        what(R"({"tokens":{"access_token":7}})").find("'tokens.access_token' should be a string"),
        std::string::npos);
    EXPECT_NE(
        what(R"({"tokens":{"refresh_token":"r"}})").find("'tokens.access_token' is missing"),
        std::string::npos);
    EXPECT_NE(what(R"({"OPENAI_API_KEY":["x"]})").find("OPENAI_API_KEY"), std::string::npos);
    EXPECT_NE(
        what("{\"tokens\":{\"access_token\":\"a\\r\\nb\"}}").find("characters"), std::string::npos);
    EXPECT_NE(
        what(R"({"tokens":{"access_token":"a","account_id":"x\ny"}})").find("account_id"),
        std::string::npos);
}

} // namespace
} // namespace shared
