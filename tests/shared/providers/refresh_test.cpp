/// Token refresh of every provider: what is asked, what each kind of answer means, what becomes of the file.
#include "shared/providers/provider.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace shared {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Kind = RefreshOutcome::Kind;
using Json = nlohmann::json;

constexpr UnixMillis kNow{1'763'805'600'000};
// {"exp":1763809200} and no signature: an hour later than kNow.
constexpr const char* kJwt = "eyJhbGciOiJub25lIn0.eyJleHAiOjE3NjM4MDkyMDB9.x";

const ProviderRegistry& registry()
{
    static const ProviderRegistry all;
    return all;
}

const Provider& provider(const char* name)
{
    return *registry().find(name);
}

Credential signed_in()
{
    Credential credential;
    credential.kind = CredentialKind::oauth;
    credential.access_token = Secret("old-access");
    credential.refresh_token = Secret("old-refresh");
    return credential;
}

RefreshOutcome read(
    const char* name,
    unsigned status,
    const std::string& body,
    std::vector<http::Header> headers = {})
{
    return provider(name).parse_refresh({status, std::move(headers), body}, signed_in(), kNow);
}

constexpr const char* kAll[] = {"codex", "claude", "gemini"};

// ---- what is asked ------------------------------------------------------------------------------------

TEST(RefreshCall, CodexSendsJsonToItsAuthBase)
{
    const auto call = provider("codex").refresh_call(signed_in(), {});
    ASSERT_TRUE(call);
    EXPECT_EQ(provider("codex").upstreams()[call->upstream.index].key, "codex_auth");
    EXPECT_EQ(call->method, "POST");
    EXPECT_EQ(call->path, "/oauth/token");
    const Json body = Json::parse(call->body);
    EXPECT_EQ(
        body,
        Json::parse(R"({"client_id":"app_EMoamEEZ73f0CkXaXp7hrann","grant_type":"refresh_token",
                        "refresh_token":"old-refresh"})"));
}

TEST(RefreshCall, ClaudeAsksForWhatItsFileSaysWasGranted)
{
    Credential credential = signed_in();
    auto call = provider("claude").refresh_call(credential, {});
    ASSERT_TRUE(call);
    EXPECT_EQ(provider("claude").upstreams()[call->upstream.index].key, "claude_auth");
    EXPECT_EQ(call->path, "/v1/oauth/token");
    EXPECT_EQ(
        Json::parse(call->body).at("scope"),
        "user:profile user:inference user:sessions:claude_code user:mcp_servers user:file_upload");
    credential.scope = "user:inference";
    call = provider("claude").refresh_call(credential, {});
    EXPECT_EQ(Json::parse(call->body).at("scope"), "user:inference");
    EXPECT_EQ(Json::parse(call->body).at("refresh_token"), "old-refresh");
}

TEST(RefreshCall, GeminiSendsAFormWithTheCommandLinesOwnClientOrTheOwners)
{
    Credential credential = signed_in();
    credential.refresh_token = Secret("1//a b&c");
    auto call = provider("gemini").refresh_call(credential, {});
    ASSERT_TRUE(call);
    EXPECT_EQ(provider("gemini").upstreams()[call->upstream.index].key, "gemini_auth");
    EXPECT_EQ(call->path, "/token");
    EXPECT_THAT(call->body, HasSubstr("client_id=681255809395-"));
    EXPECT_THAT(call->body, HasSubstr("&client_secret=GOCSPX-"));
    EXPECT_THAT(call->body, HasSubstr("&refresh_token=1%2F%2Fa%20b%26c"));
    call = provider("gemini").refresh_call(credential, {"mine", "s"});
    EXPECT_THAT(call->body, HasSubstr("client_id=mine&client_secret=s&"));
    call = provider("gemini").refresh_call(credential, {"mine", ""});
    EXPECT_THAT(call->body, Not(HasSubstr("client_secret")));
}

TEST(RefreshCall, KeysAndLoginsWithoutARefreshTokenHaveNothingToRefresh)
{
    for (const char* name : kAll) {
        Credential key = signed_in();
        key.kind = CredentialKind::api_key;
        EXPECT_FALSE(provider(name).refresh_call(key, {})) << name;
        Credential bare = signed_in();
        bare.refresh_token = {};
        EXPECT_FALSE(provider(name).refresh_call(bare, {})) << name;
    }
}

TEST(RefreshCall, TheRemedyNamesTheFile)
{
    for (const char* name : kAll)
        EXPECT_THAT(provider(name).login_remedy("/pool/x.json"), HasSubstr("/pool/x.json")) << name;
}

// ---- what an answer means -----------------------------------------------------------------------------

struct Case {
    const char* what;
    unsigned status;
    const char* body;
    Kind kind;
    const char* reason = "";
    const char* access = "";
    const char* refresh = "";
    std::int64_t expires_in = 0; ///< seconds from kNow; 0 = unknown
};

void PrintTo(const Case& c, std::ostream* out)
{
    *out << c.what;
}

class RefreshAnswer : public ::testing::TestWithParam<Case> {};

TEST_P(RefreshAnswer, MeansTheSameAtEveryVendor)
{
    const Case& c = GetParam();
    for (const char* name : kAll) {
        SCOPED_TRACE(name);
        const RefreshOutcome outcome = read(name, c.status, c.body);
        EXPECT_EQ(outcome.kind, c.kind);
        EXPECT_EQ(outcome.reason.view(), c.reason);
        EXPECT_EQ(outcome.tokens.access_token.reveal(), c.access);
        EXPECT_EQ(outcome.tokens.refresh_token.reveal(), c.refresh);
        const std::int64_t expected = c.expires_in == 0 ? 0 : kNow.value + c.expires_in * 1000;
        EXPECT_EQ(outcome.tokens.expires_at.value, expected);
    }
}

const Case kCases[] = {
    {"whole",
     200,
     R"({"access_token":"a","refresh_token":"r","expires_in":3600})",
     Kind::renewed,
     "",
     "a",
     "r",
     3600},
    {"no new refresh token",
     200,
     R"({"access_token":"a","expires_in":60})",
     Kind::renewed,
     "",
     "a",
     "",
     60},
    {"lifetime as a string",
     200,
     R"({"access_token":"a","expires_in":"3600"})",
     Kind::renewed,
     "",
     "a",
     "",
     3600},
    {"lifetime zero", 200, R"({"access_token":"a","expires_in":0})", Kind::renewed, "", "a"},
    {"lifetime negative", 200, R"({"access_token":"a","expires_in":-5})", Kind::renewed, "", "a"},
    {"lifetime huge", 200, R"({"access_token":"a","expires_in":1e18})", Kind::renewed, "", "a"},
    {"lifetime no number",
     200,
     R"({"access_token":"a","expires_in":"soon"})",
     Kind::renewed,
     "",
     "a"},
    {"lifetime null", 200, R"({"access_token":"a","expires_in":null})", Kind::renewed, "", "a"},
    {"lifetime an object", 200, R"({"access_token":"a","expires_in":{}})", Kind::renewed, "", "a"},
    {"refresh token null",
     200,
     R"({"access_token":"a","refresh_token":null})",
     Kind::renewed,
     "",
     "a"},
    {"refresh token alone",
     200,
     R"({"refresh_token":"r"})",
     Kind::retry,
     "no_access_token",
     "",
     "r"},
    {"empty access token",
     200,
     R"({"access_token":"","refresh_token":"r"})",
     Kind::retry,
     "no_access_token",
     "",
     "r"},
    {"access token with a line break",
     200,
     R"({"access_token":"a\r\nX: y"})",
     Kind::retry,
     "answer_not_usable"},
    {"access token a number", 200, R"({"access_token":7})", Kind::retry, "answer_not_usable"},
    {"HTML under a 200",
     200,
     "<!DOCTYPE html><title>Hello</title>",
     Kind::retry,
     "answer_not_usable"},
    {"nothing", 200, "", Kind::retry, "answer_not_usable"},
    {"an array", 200, "[]", Kind::retry, "answer_not_usable"},
    {"cut JSON", 200, R"({"access_token":"a)", Kind::retry, "answer_not_usable"},
    {"dead under a 200", 200, R"({"error":"invalid_grant"})", Kind::needs_login, "invalid_grant"},
    {"an error under a 200", 200, R"({"error":"oops"})", Kind::retry, "error_in_answer"},
    {"dead by RFC",
     400,
     R"({"error":"invalid_grant","error_description":"Bad"})",
     Kind::needs_login,
     "invalid_grant"},
    {"dead as OpenAI says it",
     401,
     R"({"error":{"code":"refresh_token_reused","message":"x"}})",
     Kind::needs_login,
     "refresh_token_reused"},
    {"expired",
     401,
     R"({"error":{"code":"refresh_token_expired"}})",
     Kind::needs_login,
     "refresh_token_expired"},
    {"revoked",
     401,
     R"({"code":"refresh_token_invalidated"})",
     Kind::needs_login,
     "refresh_token_invalidated"},
    {"dead by description",
     400,
     R"({"error":"x","error_description":"refresh_token_reused: no"})",
     Kind::needs_login,
     "refresh_token_reused"},
    {"401 in JSON", 401, R"({"error":{"message":"no"}})", Kind::needs_login, "unauthorized"},
    {"401 from an edge", 401, "<html>", Kind::retry, "status_401"},
    {"403 from an edge", 403, "<html>", Kind::retry, "status_403"},
    {"the client is unknown", 401, R"({"error":"invalid_client"})", Kind::retry, "invalid_client"},
    {"400 without a word", 400, "{}", Kind::retry, "status_400"},
    {"rate limited", 429, "", Kind::retry, "rate_limited"},
    {"busy", 503, R"({"error":"temporarily_unavailable"})", Kind::retry, "rate_limited"},
    {"down", 502, "bad gateway", Kind::retry, "status_502"},
    {"moved", 302, "", Kind::retry, "status_302"},
};

INSTANTIATE_TEST_SUITE_P(All, RefreshAnswer, ::testing::ValuesIn(kCases));

TEST(RefreshAnswer, RetryAfterIsToldInSecondsAndAsADate)
{
    for (const char* name : kAll) {
        const auto wait = read(name, 429, "", {{"Retry-After", "17"}}).retry_after;
        ASSERT_TRUE(wait) << name;
        EXPECT_EQ(wait->count(), 17'000) << name;
        EXPECT_FALSE(read(name, 429, "", {{"Retry-After", "soon"}}).retry_after) << name;
        const auto past = read(name, 503, "", {{"retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"}});
        EXPECT_EQ(past.retry_after.value_or(std::chrono::hours(1)).count(), 0) << name;
    }
}

TEST(RefreshAnswer, ACodexTokenSaysItselfWhenItEnds)
{
    const std::string body =
        std::string(R"({"access_token":")") + kJwt + R"(","id_token":"i","expires_in":99})";
    const RefreshOutcome outcome = read("codex", 200, body);
    EXPECT_EQ(outcome.tokens.expires_at.value, kNow.value + 3'600'000);
    EXPECT_EQ(outcome.tokens.id_token.reveal(), "i");
    EXPECT_EQ(read("claude", 200, body).tokens.expires_at.value, kNow.value + 99'000);
}

// ---- what becomes of the file -------------------------------------------------------------------------

RenewedTokens new_tokens()
{
    RenewedTokens tokens;
    tokens.access_token = Secret(kJwt);
    tokens.refresh_token = Secret("new-refresh");
    tokens.id_token = Secret("new-id");
    tokens.expires_at = {kNow.value + 3'600'000};
    return tokens;
}

std::string updated(const char* name, const std::string& before, const RenewedTokens& tokens)
{
    const auto after = provider(name).updated_file(before, tokens, kNow);
    return after.has_value() ? std::string(after->reveal()) : "(" + after.error().text() + ")";
}

TEST(UpdatedFile, CodexKeepsWhatItDoesNotKnowAndItsOrder)
{
    const std::string before = R"({"zeta":1.5,"OPENAI_API_KEY":null,"auth_mode":"chatgpt",
        "tokens":{"id_token":"i","extra":[1,{"b":2,"a":1}],"access_token":"old-access",
                  "refresh_token":"old-refresh","account_id":"acct"},
        "last_refresh":"2025-01-01T00:00:00Z","alpha":"ä"})";
    const std::string after = updated("codex", before, new_tokens());
    auto expected = nlohmann::ordered_json::parse(before);
    expected["tokens"]["access_token"] = kJwt;
    expected["tokens"]["refresh_token"] = "new-refresh";
    expected["tokens"]["id_token"] = "new-id";
    expected["last_refresh"] = "2025-11-22T10:00:00Z";
    EXPECT_EQ(after, expected.dump(2) + "\n");
    const auto parsed = provider("codex").parse_credential(after);
    ASSERT_TRUE(parsed.has_value());
    EXPECT_EQ(parsed->access_token.reveal(), kJwt);
    EXPECT_EQ(parsed->refresh_token.reveal(), "new-refresh");
    EXPECT_EQ(parsed->expires_at.value, kNow.value + 3'600'000);
}

TEST(UpdatedFile, ClaudeKeepsNestedMembersAndTheKindOfItsTimes)
{
    const std::string before =
        R"({"claudeAiOauth":{"accessToken":"a","refreshToken":"r","expiresAt":1,"scopes":["user:x"],
            "subscriptionType":"max","rateLimitTier":"default_claude_max_20x","other":{"x":1}},"m":2})";
    RenewedTokens tokens = new_tokens();
    tokens.scope = "user:profile user:inference";
    const Json after = Json::parse(updated("claude", before, tokens));
    EXPECT_EQ(after["claudeAiOauth"]["refreshToken"], "new-refresh");
    EXPECT_EQ(after["claudeAiOauth"]["expiresAt"], kNow.value + 3'600'000);
    EXPECT_EQ(after["claudeAiOauth"]["other"]["x"], 1);
    EXPECT_EQ(after["claudeAiOauth"]["scopes"], Json({"user:profile", "user:inference"}));
    EXPECT_EQ(after["m"], 2);
    EXPECT_FALSE(after.contains("last_refresh")) << "nothing is added that was not there";
    const auto parsed = provider("claude").parse_credential(after.dump());
    ASSERT_TRUE(parsed.has_value());
    EXPECT_EQ(parsed->plan, "max_20x");
    EXPECT_EQ(parsed->scope, "user:profile user:inference");
    tokens.expires_at = {};
    const Json unknown = Json::parse(updated("claude", before, tokens));
    EXPECT_TRUE(unknown["claudeAiOauth"]["expiresAt"].is_null()) << "an old time would be a lie";
}

TEST(UpdatedFile, GeminiKeepsTheRefreshTokenThatWasNotRotated)
{
    const std::string before =
        R"({"access_token":"a","refresh_token":"keep","token_type":"Bearer","expiry_date":5,"project_id":"p"})";
    RenewedTokens tokens = new_tokens();
    tokens.refresh_token = {};
    const Json after = Json::parse(updated("gemini", before, tokens));
    EXPECT_EQ(after["refresh_token"], "keep");
    EXPECT_EQ(after["access_token"], kJwt);
    EXPECT_EQ(after["expiry_date"], kNow.value + 3'600'000);
    EXPECT_EQ(after["project_id"], "p");
}

TEST(UpdatedFile, ARefreshTokenThatCameAloneReplacesOnlyItself)
{
    RenewedTokens tokens;
    tokens.refresh_token = Secret("alone");
    const Json codex = Json::parse(updated(
        "codex",
        R"({"tokens":{"access_token":"a","refresh_token":"r"},"last_refresh":"x"})",
        tokens));
    EXPECT_EQ(codex["tokens"]["access_token"], "a");
    EXPECT_EQ(codex["tokens"]["refresh_token"], "alone");
    EXPECT_EQ(codex["last_refresh"], "x");
    const Json claude = Json::parse(updated(
        "claude",
        R"({"claudeAiOauth":{"accessToken":"a","refreshToken":"r","expiresAt":7}})",
        tokens));
    EXPECT_EQ(claude["claudeAiOauth"]["refreshToken"], "alone");
    EXPECT_EQ(claude["claudeAiOauth"]["expiresAt"], 7);
}

TEST(UpdatedFile, WhatCannotBeReadIsRefusedAndNeverQuoted)
{
    for (const char* name : kAll) {
        for (const char* text :
             {"", "{", "[]", R"({"tok":"secret-abc)", R"({"api_key":"secret-abc"})"}) {
            const auto after = provider(name).updated_file(text, new_tokens(), kNow);
            ASSERT_FALSE(after.has_value()) << name << ' ' << text;
            EXPECT_THAT(after.error().text(), Not(HasSubstr("secret-abc")));
        }
    }
}

} // namespace
} // namespace shared
