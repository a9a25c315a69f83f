#include "shared/providers/provider.hpp"
#include "tests/shared/providers/messages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <map>
#include <memory>
#include <string>

namespace shared {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::Request;
using testing::Response;

constexpr UnixMillis kNow{1'763'805'600'000}; // 2025-11-22T10:00:00Z
constexpr std::string_view kOauthToken = "sk-ant-oat01-test";

class ClaudeTest : public ::testing::Test {
protected:
    RequestFacts inspect(const http::RequestHead& head, std::string_view body) const
    {
        return claude_->inspect(claude_->route(head), head, body);
    }

    Verdict classify(const Response& response) const
    {
        return claude_->classify(response.head(), response.body(), kNow);
    }

    Verdict classify(unsigned status, std::string_view body) const
    {
        const Response response(status, {{"Content-Type", "application/json"}});
        return claude_->classify(response.head(), body, kNow);
    }

    ResponseFacts scan(const Response& response, std::size_t piece) const
    {
        ResponseScanner scanner(*claude_, response.head().fields.find("content-type"));
        std::string_view rest = response.body();
        while (!rest.empty()) {
            scanner.feed(rest.substr(0, piece), kNow);
            rest.remove_prefix(std::min(piece, rest.size()));
        }
        scanner.finish(kNow);
        return scanner.facts();
    }

    std::string credentials(const http::RequestHead& head, AccountCredential account) const
    {
        std::string lines;
        claude_->append_credentials(account, head, lines);
        return lines;
    }

    std::unique_ptr<const Provider> claude_ = make_claude_provider();
    AccountCredential oauth_{CredentialKind::oauth, kOauthToken, {}};
    AccountCredential key_{CredentialKind::api_key, "sk-ant-api03-test", {}};
};

// ---- routing -----------------------------------------------------------------------------------

TEST_F(ClaudeTest, ClaimsItsPathsAndMarkers)
{
    EXPECT_EQ(claude_->match(Request("POST", "/v1/messages?beta=true")), Match::path);
    EXPECT_EQ(claude_->match(Request("POST", "/v1/messages/count_tokens")), Match::path);
    EXPECT_EQ(claude_->match(Request("POST", "/v1/complete")), Match::path);
    EXPECT_EQ(claude_->match(Request("GET", "/api/oauth/usage")), Match::path);
    EXPECT_EQ(claude_->match(Request("GET", "/api/claude_cli_profile")), Match::path);
    EXPECT_EQ(claude_->match(Request("HEAD", "/api/hello")), Match::path);
    EXPECT_EQ(claude_->match(Request("GET", "/v1/models", {{"X-API-Key", "k"}})), Match::marker);
    EXPECT_EQ(
        claude_->match(Request("GET", "/v1/models", {{"Anthropic-Version", "2023-06-01"}})),
        Match::marker);
    EXPECT_EQ(claude_->match(Request("POST", "/v1/responses")), Match::none);
    EXPECT_EQ(claude_->match(Request("POST", "/v1/completions")), Match::none);
    EXPECT_EQ(claude_->match(Request("POST", "/v1/messagesX")), Match::none);
    EXPECT_EQ(claude_->match(Request("GET", "/api/codex/usage")), Match::none);
}

TEST_F(ClaudeTest, MessagesGoToAnyAccountUnchanged)
{
    const Route route = claude_->route(Request("POST", "/v1/messages?beta=true"));
    EXPECT_EQ(route.target, Route::Target::upstream);
    EXPECT_EQ(route.access, Access::user);
    EXPECT_TRUE(route.conversation);
    EXPECT_TRUE(route.generates);
    EXPECT_FALSE(route.ordered_legs);
    ASSERT_EQ(route.legs.size(), 2U);
    for (const Leg& leg : route.legs) {
        EXPECT_EQ(leg.path, "/v1/messages");
        EXPECT_EQ(claude_->upstreams()[leg.upstream.index].key, "claude");
    }
    EXPECT_NE(route.legs[0].kind, route.legs[1].kind);

    const Route count = claude_->route(Request("POST", "/v1/messages/count_tokens"));
    EXPECT_TRUE(count.conversation);
    EXPECT_FALSE(count.generates);
    const Route models = claude_->route(Request("GET", "/v1/models/claude-x"));
    EXPECT_EQ(models.target, Route::Target::upstream);
    EXPECT_FALSE(models.generates);
    EXPECT_EQ(models.legs[0].path, "/v1/models/claude-x");
}

TEST_F(ClaudeTest, AccountCallsAreAnsweredHereAndOthersNot)
{
    for (const char* path :
         {"/api/oauth/usage",
          "/api/oauth/profile",
          "/api/claude_cli_profile",
          "/api/oauth/claude_cli/client_data"}) {
        const Route route = claude_->route(Request("GET", path));
        EXPECT_EQ(route.target, Route::Target::local) << path;
        EXPECT_EQ(route.access, Access::user) << path;
    }
    const Route hello = claude_->route(Request("HEAD", "/api/hello"));
    EXPECT_EQ(hello.target, Route::Target::local);
    EXPECT_EQ(hello.access, Access::open);
    EXPECT_EQ(
        claude_->route(Request("POST", "/api/event_logging/v2/batch")).target,
        Route::Target::not_found);
    EXPECT_EQ(claude_->route(Request("POST", "/api/oauth/usage")).target, Route::Target::not_found);
    EXPECT_EQ(claude_->route(Request("GET", "/elsewhere")).target, Route::Target::not_found);
}

TEST_F(ClaudeTest, LocalAnswersNameNoAccount)
{
    PoolSummary pool;
    pool.accounts = 3;
    pool.healthy = 2;
    pool.all_accounts = 7;
    pool.all_healthy = 5;
    pool.short_window.used = UsedShare::from_fraction(0.4225);
    pool.short_window.resets_at = {1'763'816'400'000};
    const auto answer = [&](const char* path) {
        const Request request("GET", path);
        const LocalReply reply =
            claude_->answer_locally(claude_->route(request), request, {}, pool, kNow);
        EXPECT_EQ(reply.status, 200U);
        return nlohmann::json::parse(reply.body);
    };
    const auto usage = answer("/api/oauth/usage");
    EXPECT_DOUBLE_EQ(usage["five_hour"]["utilization"].get<double>(), 42.25);
    EXPECT_EQ(usage["five_hour"]["resets_at"], "2025-11-22T13:00:00Z");
    EXPECT_TRUE(usage["seven_day"].is_null());
    EXPECT_EQ(usage["pool"]["claude_accounts"], 3);
    EXPECT_EQ(usage["pool"]["total_accounts"], 7);
    const auto profile = answer("/api/oauth/profile");
    EXPECT_EQ(profile["organization"]["organization_type"], "claude_max");
    EXPECT_TRUE(profile["account"].is_object());
    EXPECT_EQ(profile["subscription_type"], "max");
    EXPECT_TRUE(answer("/api/oauth/claude_cli/client_data")["client_data"].is_object());

    const Request hello("HEAD", "/api/hello");
    EXPECT_EQ(claude_->answer_locally(claude_->route(hello), hello, {}, pool, kNow).body, "");
}

// ---- inspection ----------------------------------------------------------------------------------

TEST_F(ClaudeTest, SessionComesFromTheHeaderFirst)
{
    const Request head(
        "POST",
        "/v1/messages",
        {{"X-Claude-Code-Session-Id", "11111111-2222-4333-8444-555555555555"}});
    const RequestFacts facts = inspect(
        head,
        R"({"model":"claude-opus-4-8","messages":[{"role":"user","content":"hi"}],)"
        R"("metadata":{"user_id":"{\"session_id\":\"other\"}"},"stream":true})");
    EXPECT_EQ(facts.conversation_id, "11111111-2222-4333-8444-555555555555");
    EXPECT_EQ(facts.model, "claude-opus-4-8");
    EXPECT_TRUE(facts.stream);
    EXPECT_FALSE(facts.body_malformed);
    EXPECT_EQ(inspect(head, "").conversation_id, "11111111-2222-4333-8444-555555555555");
}

TEST_F(ClaudeTest, SessionInsideTheUserId)
{
    const Request head("POST", "/v1/messages");
    const auto session = [&](const std::string& user_id) {
        const nlohmann::json body = {
            {"model", "m"},
            {"metadata", {{"user_id", user_id}}},
            {"messages", {{{"role", "user"}, {"content", "hi"}}}}};
        return inspect(head, body.dump());
    };
    EXPECT_EQ(
        session(R"({"device_id":"d","account_uuid":"","session_id":"abc-1"})").conversation_id,
        "abc-1");
    EXPECT_EQ(session("user_0a1b_account__session_abc-2").conversation_id, "abc-2");
    // A constant id names a user: the conversation is told by its beginning.
    for (const char* constant : {"user-42", "user_42", "{\"device\":1}", "{broken", ""}) {
        const RequestFacts facts = session(constant);
        EXPECT_EQ(facts.conversation_id, "") << constant;
        EXPECT_NE(facts.fingerprint, "") << constant;
    }
}

TEST_F(ClaudeTest, FingerprintIsTheSameForAllTurns)
{
    const Request head("POST", "/v1/messages");
    const std::string first =
        R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a ] \" }",)"
        R"("cache_control":{"type":"ephemeral"}}]}]})";
    const std::string second =
        R"({"model":"m","max_tokens":5,"messages":[{"role":"user","content":[{"type":"text",)"
        R"("text":"a ] \" }"}]},{"role":"assistant","content":"x"},{"role":"user","content":"y"}]})";
    const std::string other =
        R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"b"}]}]})";
    EXPECT_NE(inspect(head, first).fingerprint, "");
    EXPECT_EQ(inspect(head, first).fingerprint, inspect(head, second).fingerprint);
    EXPECT_NE(inspect(head, first).fingerprint, inspect(head, other).fingerprint);
    EXPECT_EQ(inspect(head, R"({"model":"m","messages":[]})").fingerprint, "");
    EXPECT_EQ(inspect(head, R"({"model":"m","messages":"x"})").fingerprint, "");
}

TEST_F(ClaudeTest, FingerprintIsBounded)
{
    const Request head("POST", "/v1/messages");
    const std::string text(100'000, 'a');
    const auto body = [&](const char* tail) {
        return R"({"model":"m","messages":[{"role":"user","content":")" + text + tail + "\"}]}";
    };
    const std::string fingerprint = inspect(head, body("1")).fingerprint;
    EXPECT_LE(fingerprint.size(), 16U * 1024 + 8);
    EXPECT_EQ(fingerprint, inspect(head, body("2")).fingerprint);
}

TEST_F(ClaudeTest, BrokenBodiesAreReportedNotGuessed)
{
    const Request head("POST", "/v1/messages");
    for (const char* body : {"no json", "{\"model\":", "{\"model\":\"m\"", "\x1f\x8b\x08"})
        EXPECT_TRUE(inspect(head, body).body_malformed) << body;
    const RequestFacts facts = inspect(head, R"({"model":7,"stream":"true","messages":{}})");
    EXPECT_FALSE(facts.body_malformed);
    EXPECT_TRUE(facts.model.empty());
    EXPECT_FALSE(facts.stream);
}

// ---- the request upstream ---------------------------------------------------------------------------

TEST_F(ClaudeTest, BetaFlagInTheQuery)
{
    const auto target = [&](const char* path, const AccountCredential& account) {
        const Request head("POST", path);
        return claude_->upstream_target(claude_->route(head).legs[0], head, account);
    };
    EXPECT_EQ(target("/v1/messages", oauth_), "/v1/messages?beta=true");
    EXPECT_EQ(target("/v1/messages?beta=true", oauth_), "/v1/messages?beta=true");
    EXPECT_EQ(target("/v1/messages?x=%20a&y", oauth_), "/v1/messages?x=%20a&y&beta=true");
    EXPECT_EQ(target("/v1/messages?x=%20a&y", key_), "/v1/messages?x=%20a&y");
    EXPECT_EQ(target("/v1/messages", key_), "/v1/messages");
}

TEST_F(ClaudeTest, OauthNeedsItsBetaOnce)
{
    const Request none("POST", "/v1/messages");
    EXPECT_EQ(
        credentials(none, oauth_),
        "Authorization: Bearer sk-ant-oat01-test\r\nanthropic-beta: oauth-2025-04-20\r\n");
    const Request several(
        "POST", "/v1/messages", {{"anthropic-beta", "a-1,b-2"}, {"Anthropic-Beta", "c-3"}});
    EXPECT_THAT(
        credentials(several, oauth_),
        HasSubstr("\r\nanthropic-beta: a-1,b-2,c-3,oauth-2025-04-20\r\n"));
    const Request there("POST", "/v1/messages", {{"anthropic-beta", "a-1, oauth-2025-04-20,b-2"}});
    EXPECT_THAT(
        credentials(there, oauth_), HasSubstr("\r\nanthropic-beta: a-1, oauth-2025-04-20,b-2\r\n"));
    EXPECT_EQ(credentials(several, key_), "X-Api-Key: sk-ant-api03-test\r\n");
    EXPECT_TRUE(claude_->replaces_header("Anthropic-Beta", CredentialKind::oauth));
    EXPECT_FALSE(claude_->replaces_header("Anthropic-Beta", CredentialKind::api_key));
    EXPECT_FALSE(claude_->replaces_header("anthropic-version", CredentialKind::oauth));
}

// ---- evidence -------------------------------------------------------------------------------------------

TEST_F(ClaudeTest, ClassifiesStatuses)
{
    const std::string plain = R"({"type":"error","error":{"type":"x","message":"y"}})";
    EXPECT_EQ(classify(200, "").outcome, Outcome::served);
    EXPECT_EQ(classify(400, plain).outcome, Outcome::served);
    EXPECT_EQ(classify(404, plain).outcome, Outcome::served);
    EXPECT_EQ(classify(413, plain).outcome, Outcome::served);
    EXPECT_EQ(classify(401, plain).outcome, Outcome::credential_rejected);
    EXPECT_EQ(classify(402, plain).outcome, Outcome::account_refused);
    EXPECT_EQ(classify(403, plain).outcome, Outcome::account_refused);
    EXPECT_EQ(classify(408, plain).outcome, Outcome::upstream_failed);
    EXPECT_EQ(classify(429, plain).outcome, Outcome::rate_limited);
    EXPECT_FALSE(classify(429, plain).until.is_set());
    for (const unsigned status : {500U, 502U, 503U, 504U, 524U, 529U})
        EXPECT_EQ(classify(status, plain).outcome, Outcome::upstream_failed) << status;
    EXPECT_EQ(classify(529, plain).reason, "http_529");
}

TEST_F(ClaudeTest, ClassifiesRefusalsKnownByTheirText)
{
    const auto with = [](const char* message) {
        return R"({"type":"error","error":{"type":"invalid_request_error","message":")" +
               std::string(message) + "\"}}";
    };
    EXPECT_EQ(
        classify(400, with("This organization has been disabled.")).reason,
        "organization_disabled");
    EXPECT_EQ(
        classify(401, with("OAuth authentication is currently not allowed for this organization."))
            .outcome,
        Outcome::account_refused);
    EXPECT_EQ(
        classify(400, with("Your credit balance is too low to access the Anthropic API.")).outcome,
        Outcome::account_refused);
    const Verdict spent = classify(
        400,
        with("You have reached your specified API usage limits. You will regain access on "
             "2025-12-01 at 00:00 UTC."));
    EXPECT_EQ(spent.outcome, Outcome::rate_limited);
    EXPECT_EQ(spent.until.value, 1'764'547'200'000);
    const std::string quoted = std::string(400, 'x') + "This organization has been disabled.";
    EXPECT_EQ(classify(400, with(quoted.c_str())).outcome, Outcome::served);
}

TEST_F(ClaudeTest, CloudflareChallengeIsTransient)
{
    EXPECT_EQ(
        classify(Response::recorded("claude/cloudflare_challenge.http")).outcome,
        Outcome::upstream_failed);
    const Response html(403, {{"Server", "cloudflare"}, {"Content-Type", "text/html"}});
    EXPECT_EQ(claude_->classify(html, "<html>", kNow).outcome, Outcome::upstream_failed);
}

TEST_F(ClaudeTest, RateLimitEndsWithItsWindow)
{
    const Verdict limit = classify(Response::recorded("claude/rate_limited.http"));
    EXPECT_EQ(limit.outcome, Outcome::rate_limited);
    EXPECT_EQ(limit.until.value, 1'763'816'400'000);

    const Response both(
        429,
        {{"anthropic-ratelimit-unified-5h-status", "rejected"},
         {"anthropic-ratelimit-unified-5h-reset", "2025-11-22T13:00:00Z"},
         {"anthropic-ratelimit-unified-7d-status", "rejected"},
         {"anthropic-ratelimit-unified-7d-reset", "1764000000000"}});
    EXPECT_EQ(classify(both).until.value, 1'764'000'000'000);

    const Response only_unified(
        429,
        {{"anthropic-ratelimit-unified-status", "rejected"},
         {"anthropic-ratelimit-unified-reset", "1763816400"}});
    EXPECT_EQ(classify(only_unified).until.value, 1'763'816'400'000);

    const Response only_retry_after(429, {{"Retry-After", "7"}});
    EXPECT_EQ(classify(only_retry_after).until, kNow.plus(std::chrono::seconds(7)));

    const Response past(
        429,
        {{"anthropic-ratelimit-unified-status", "rejected"},
         {"anthropic-ratelimit-unified-reset", "1763805599"}});
    EXPECT_FALSE(classify(past).until.is_set());
}

TEST_F(ClaudeTest, RateLimitBesideAllowedWindowsIsShort)
{
    const Response allowed(
        429,
        {{"anthropic-ratelimit-unified-status", "allowed"},
         {"anthropic-ratelimit-unified-reset", "1764000000"},
         {"Retry-After", "3"}});
    EXPECT_EQ(classify(allowed).until, kNow.plus(std::chrono::seconds(3)));
    const Response one_model(
        429,
        {{"anthropic-ratelimit-unified-status", "rejected"},
         {"anthropic-ratelimit-unified-representative-claim", "seven_day_opus"},
         {"anthropic-ratelimit-unified-reset", "1764000000"},
         {"Retry-After", "190000"}});
    EXPECT_FALSE(classify(one_model).until.is_set());
    const Response key_limit(
        429,
        {{"anthropic-ratelimit-requests-remaining", "10"},
         {"anthropic-ratelimit-requests-reset", "2025-11-22T10:00:59Z"},
         {"anthropic-ratelimit-input-tokens-remaining", "0"},
         {"anthropic-ratelimit-input-tokens-reset", "2025-11-22T10:00:30Z"}});
    EXPECT_EQ(classify(key_limit).until, kNow.plus(std::chrono::seconds(30)));
}

TEST_F(ClaudeTest, ReadsQuotaWindows)
{
    const Response stream = Response::recorded("claude/stream.http");
    const QuotaUpdate update = claude_->quota_from_headers(stream, kNow);
    ASSERT_EQ(update.count, 2);
    EXPECT_EQ(update.windows[0].seconds, 18'000U);
    EXPECT_EQ(update.windows[0].used.basis_points, 4200);
    EXPECT_EQ(update.windows[0].resets_at.value, 1'763'816'400'000);
    EXPECT_EQ(update.windows[1].seconds, 604'800U);
    EXPECT_EQ(update.windows[1].used.basis_points, 8730);

    const Response percent(200, {{"anthropic-ratelimit-unified-5h-utilization", "87"}});
    const QuotaUpdate partial = claude_->quota_from_headers(percent, kNow);
    ASSERT_EQ(partial.count, 1);
    EXPECT_EQ(partial.windows[0].used.basis_points, 8700);
    EXPECT_FALSE(partial.windows[0].resets_at.is_set());

    const Response zero(200, {{"anthropic-ratelimit-unified-7d-utilization", "0"}});
    EXPECT_EQ(claude_->quota_from_headers(zero, kNow).windows[0].used.basis_points, 0);

    const QuotaUpdate rejected =
        claude_->quota_from_headers(Response::recorded("claude/rate_limited.http"), kNow);
    EXPECT_TRUE(rejected.windows[0].used.is_full());
    EXPECT_EQ(rejected.windows[1].used.basis_points, 3100);

    const Response claim(
        429,
        {{"anthropic-ratelimit-unified-status", "rejected"},
         {"anthropic-ratelimit-unified-reset", "1763816400"},
         {"anthropic-ratelimit-unified-representative-claim", "seven_day"}});
    const QuotaUpdate by_claim = claude_->quota_from_headers(claim, kNow);
    ASSERT_EQ(by_claim.count, 1);
    EXPECT_EQ(by_claim.windows[0].seconds, 604'800U);
    EXPECT_TRUE(by_claim.windows[0].used.is_full());
    EXPECT_EQ(by_claim.windows[0].resets_at.value, 1'763'816'400'000);

    const Response garbage(
        200,
        {{"anthropic-ratelimit-unified-5h-utilization", "nan"},
         {"anthropic-ratelimit-unified-7d-utilization", "-3"},
         {"anthropic-ratelimit-unified-7d-reset", "soon"}});
    EXPECT_TRUE(claude_->quota_from_headers(garbage, kNow).empty());
    EXPECT_TRUE(claude_->quota_from_headers(Response(200), kNow).empty());
}

TEST_F(ClaudeTest, HidesTheAccountsQuotaAndTellsThePools)
{
    EXPECT_TRUE(claude_->is_quota_header("Anthropic-Ratelimit-Unified-5h-Utilization"));
    EXPECT_TRUE(claude_->is_quota_header("anthropic-ratelimit-tokens-remaining"));
    EXPECT_TRUE(claude_->is_quota_header("anthropic-organization-id"));
    EXPECT_FALSE(claude_->is_quota_header("request-id"));
    EXPECT_FALSE(claude_->is_quota_header("retry-after"));

    PoolSummary pool;
    std::string head;
    claude_->append_pool_quota(pool, kNow, head);
    EXPECT_EQ(head, "");
    pool.short_window.used = UsedShare::from_fraction(0.4);
    pool.long_window.used = UsedShare::from_fraction(1.0);
    pool.long_window.resets_at = {1'764'000'000'000};
    claude_->append_pool_quota(pool, kNow, head);
    EXPECT_THAT(head, HasSubstr("anthropic-ratelimit-unified-5h-utilization: 0.40\r\n"));
    EXPECT_THAT(head, HasSubstr("anthropic-ratelimit-unified-7d-reset: 1764000000\r\n"));
    EXPECT_THAT(head, HasSubstr("anthropic-ratelimit-unified-status: allowed_warning\r\n"));
    EXPECT_THAT(head, Not(HasSubstr("rejected")));
}

// ---- events ---------------------------------------------------------------------------------------------

TEST_F(ClaudeTest, StreamUsageDoesNotDependOnTheCuts)
{
    const Response stream = Response::recorded("claude/stream.http");
    for (std::size_t piece = 1; piece <= stream.body().size(); piece += piece < 40 ? 1 : 97) {
        const ResponseFacts facts = scan(stream, piece);
        ASSERT_TRUE(facts.has_usage) << piece;
        ASSERT_EQ(facts.usage.input.value, 16'204) << piece;
        ASSERT_EQ(facts.usage.cached_input.value, 15'000);
        ASSERT_EQ(facts.usage.cache_creation.value, 1'200);
        ASSERT_EQ(facts.usage.output.value, 87);
        ASSERT_EQ(facts.usage.billable().value, 16'204 - 15'000 + 87);
        ASSERT_EQ(facts.model, "claude-opus-4-8-20260601");
        ASSERT_EQ(facts.response_id, "msg_01Stream");
        ASSERT_TRUE(facts.generated);
        ASSERT_TRUE(facts.terminal);
        ASSERT_FALSE(facts.failure);
    }
}

TEST_F(ClaudeTest, CutStreamKeepsWhatWasTold)
{
    const Response stream = Response::recorded("claude/stream.http");
    ResponseScanner scanner(*claude_, "text/event-stream");
    const std::size_t first_event = stream.body().find("\n\n") + 2;
    scanner.feed(std::string_view(stream.body()).substr(0, first_event), kNow);
    EXPECT_EQ(scanner.facts().usage.input.value, 16'204);
    EXPECT_EQ(scanner.facts().usage.output.value, 3);
    EXPECT_FALSE(scanner.facts().generated);
    EXPECT_FALSE(scanner.facts().terminal);
}

TEST_F(ClaudeTest, DeltaWithoutInputKeepsTheStart)
{
    ResponseScanner scanner(*claude_, "text/event-stream");
    scanner.feed(
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":0,"
        "\"cache_read_input_tokens\":500}}}\n\n"
        "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":5}}\n\n"
        "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9,"
        "\"cache_read_input_tokens\":600}}\n\n",
        kNow);
    EXPECT_EQ(scanner.facts().usage.input.value, 600);
    EXPECT_EQ(scanner.facts().usage.cached_input.value, 600);
    EXPECT_EQ(scanner.facts().usage.output.value, 9);
}

TEST_F(ClaudeTest, WholeMessage)
{
    const Response message = Response::recorded("claude/message.http");
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, message.body().size()}) {
        const ResponseFacts facts = scan(message, piece);
        EXPECT_EQ(facts.usage.input.value, 42);
        EXPECT_EQ(facts.usage.cached_input.value, 30);
        EXPECT_EQ(facts.usage.output.value, 9);
        EXPECT_EQ(facts.model, "claude-haiku-4-5-20251001");
        EXPECT_EQ(facts.response_id, "msg_01Json");
        EXPECT_TRUE(facts.terminal);
        EXPECT_FALSE(facts.failure);
    }
}

TEST_F(ClaudeTest, ErrorsInsideTheStream)
{
    const ResponseFacts over = scan(Response::recorded("claude/overloaded_in_stream.http"), 11);
    ASSERT_TRUE(over.failure);
    EXPECT_EQ(over.failure->outcome, Outcome::upstream_failed);
    EXPECT_EQ(over.failure->reason, "overloaded_error");
    EXPECT_FALSE(over.generated);

    const auto outcome = [&](const std::string& type) -> std::optional<Outcome> {
        ResponseScanner scanner(*claude_, "text/event-stream");
        scanner.feed(
            "data: {\"type\":\"error\",\"error\":{\"type\":\"" + type +
                "\",\"message\":\"m\"}}\n\n",
            kNow);
        if (!scanner.facts().failure) return std::nullopt;
        return scanner.facts().failure->outcome;
    };
    EXPECT_EQ(outcome("rate_limit_error"), Outcome::rate_limited);
    EXPECT_EQ(outcome("authentication_error"), Outcome::credential_rejected);
    EXPECT_EQ(outcome("permission_error"), Outcome::account_refused);
    EXPECT_EQ(outcome("billing_error"), Outcome::account_refused);
    EXPECT_EQ(outcome("api_error"), Outcome::upstream_failed);
    EXPECT_EQ(outcome("invalid_request_error"), std::nullopt);
}

TEST_F(ClaudeTest, JunkInTheStreamIsPassedOver)
{
    ResponseScanner scanner(*claude_, "text/event-stream");
    scanner.feed(
        ": comment\r\nid: 7\r\n\r\ndata: [1,2\n\ndata: \"text\"\n\ndata: {\"type\":7}\n\n"
        "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":-5,"
        "\"input_tokens\":99999999999999999}}\n\n"
        "data: {\"type\":\"message_delta\",\"usage\":\"none\"}\n\n",
        kNow);
    EXPECT_FALSE(scanner.facts().has_usage);
    EXPECT_FALSE(scanner.facts().failure);
}

// ---- the pool's own errors --------------------------------------------------------------------------------

TEST_F(ClaudeTest, ErrorsInAnthropicsDialect)
{
    const Request request("POST", "/v1/messages");
    const auto reply = [&](PoolError::Kind kind, UnixMillis retry_at = {}) {
        return claude_->error_reply({kind, "No account is free.", retry_at, kNow}, request);
    };
    const auto type = [](const LocalReply& answer) {
        const auto body = nlohmann::json::parse(answer.body);
        EXPECT_EQ(body["type"], "error");
        EXPECT_THAT(
            body["error"]["message"].get<std::string>(),
            ::testing::StartsWith("No account is free"));
        return body["error"]["type"].get<std::string>();
    };
    const auto field = [](const LocalReply& answer, std::string_view name) {
        for (const http::Header& header : answer.headers)
            if (http::iequals(header.name, name)) return header.value;
        return std::string();
    };
    using Kind = PoolError::Kind;
    EXPECT_EQ(type(reply(Kind::unauthorized)), "authentication_error");
    EXPECT_EQ(field(reply(Kind::unauthorized), "x-should-retry"), "false");
    EXPECT_EQ(type(reply(Kind::body_too_large)), "request_too_large");
    EXPECT_EQ(type(reply(Kind::not_found)), "not_found_error");
    EXPECT_EQ(type(reply(Kind::overloaded)), "overloaded_error");
    EXPECT_EQ(type(reply(Kind::no_account)), "api_error");
    EXPECT_EQ(reply(Kind::no_account).status, 503U);

    const LocalReply unknown = reply(Kind::exhausted);
    EXPECT_EQ(unknown.status, 429U);
    EXPECT_EQ(type(unknown), "rate_limit_error");
    EXPECT_EQ(field(unknown, "retry-after"), "");
    EXPECT_EQ(field(unknown, "anthropic-ratelimit-unified-status"), "");

    EXPECT_EQ(field(unknown, "x-should-retry"), "false") << "nobody knows when";

    EXPECT_EQ(field(reply(Kind::deadline), "x-should-retry"), "false");
    EXPECT_EQ(field(reply(Kind::upstream_failed), "x-should-retry"), "") << "it may pass";
    EXPECT_EQ(field(reply(Kind::overloaded), "x-should-retry"), "");

    const LocalReply soon = reply(Kind::exhausted, kNow.plus(std::chrono::milliseconds(1500)));
    EXPECT_EQ(field(soon, "retry-after"), "2");
    EXPECT_EQ(field(soon, "x-should-retry"), "");

    const LocalReply late = reply(Kind::exhausted, kNow.plus(std::chrono::hours(3)));
    EXPECT_EQ(field(late, "retry-after"), "10800");
    EXPECT_EQ(field(late, "anthropic-ratelimit-unified-status"), "rejected");
    EXPECT_EQ(field(late, "anthropic-ratelimit-unified-reset"), "1763816400");
    EXPECT_EQ(field(late, "anthropic-ratelimit-unified-representative-claim"), "pool")
        << "which window it is nobody says";
    EXPECT_EQ(
        nlohmann::json::parse(late.body)["error"]["message"],
        "No account is free (until 2025-11-22 13:00 UTC).")
        << "with an API key the CLI shows nothing else";
}

TEST_F(ClaudeTest, AUsersOwnLimitIsFinalUnlessItEndsSoon)
{
    const Request request("POST", "/v1/messages");
    const auto fields = [&](PoolError::Kind kind, UnixMillis retry_at = {}) {
        std::map<std::string, std::string> found;
        for (const http::Header& header :
             claude_->error_reply({kind, "Over.", retry_at, kNow}, request).headers)
            found[header.name] = header.value;
        return found;
    };
    using Kind = PoolError::Kind;
    auto told = fields(Kind::user_limit);
    EXPECT_EQ(told["X-Should-Retry"], "false") << "nobody but the owner can lift it";
    EXPECT_FALSE(told.contains("Retry-After"));
    EXPECT_EQ(told["anthropic-ratelimit-unified-status"], "rejected");
    EXPECT_FALSE(told.contains("anthropic-ratelimit-unified-reset")) << "never invented";
    told = fields(Kind::user_limit, kNow.plus(std::chrono::seconds(20)));
    EXPECT_FALSE(told.contains("X-Should-Retry"));
    EXPECT_EQ(told["Retry-After"], "20");
    told = fields(Kind::user_limit, kNow.plus(std::chrono::hours(2)));
    EXPECT_EQ(told["X-Should-Retry"], "false");
    EXPECT_EQ(told["anthropic-ratelimit-unified-status"], "rejected");
    told = fields(Kind::user_disabled);
    EXPECT_EQ(told["X-Should-Retry"], "false");
}

// ---- credential files ----------------------------------------------------------------------------------------

TEST_F(ClaudeTest, ReadsClaudeCodesFile)
{
    const auto credential = claude_->parse_credential(R"({"claudeAiOauth":{
        "accessToken":"sk-ant-oat01-a","refreshToken":"sk-ant-ort01-r","expiresAt":1763805600000,
        "scopes":["user:inference"],"subscriptionType":"max","rateLimitTier":"default_claude_max_20x"},
        "api_key":"sk-ant-api-ignored","account_uuid":"u-1"})");
    ASSERT_TRUE(credential) << credential.error().text();
    EXPECT_EQ(credential->kind, CredentialKind::oauth);
    EXPECT_EQ(credential->access_token.reveal(), "sk-ant-oat01-a");
    EXPECT_EQ(credential->refresh_token.reveal(), "sk-ant-ort01-r");
    EXPECT_EQ(credential->expires_at, kNow);
    EXPECT_EQ(credential->plan, "max_20x");
    EXPECT_EQ(credential->account_id, "u-1");
    EXPECT_FALSE(credential->disabled);
}

TEST_F(ClaudeTest, ReadsKeysAndPlans)
{
    const auto key = claude_->parse_credential(R"({"api_key":"sk-ant-api-1","plan_type":"Max"})");
    ASSERT_TRUE(key);
    EXPECT_EQ(key->kind, CredentialKind::api_key);
    EXPECT_EQ(key->plan, "max");
    const auto token = claude_->parse_credential(R"({"api_key":"sk-ant-oat01-x"})");
    ASSERT_TRUE(token);
    EXPECT_EQ(token->kind, CredentialKind::oauth);
    EXPECT_EQ(token->plan, "claude");
    const auto pro = claude_->parse_credential(
        R"({"claudeAiOauth":{"accessToken":"a","subscriptionType":"pro",
            "rateLimitTier":"default_claude_ai"},"disabled":true})");
    ASSERT_TRUE(pro);
    EXPECT_EQ(pro->plan, "pro");
    EXPECT_TRUE(pro->disabled);
    const auto dead = claude_->parse_credential(R"({"api_key":"sk-ant-1","dead":true})");
    ASSERT_TRUE(dead);
    EXPECT_TRUE(dead->disabled);
    EXPECT_EQ(dead->warnings.size(), 1U);
}

TEST_F(ClaudeTest, SaysWhatIsWrongWithAFile)
{
    const auto problem = [&](const char* text) {
        const auto credential = claude_->parse_credential(text);
        return credential ? std::string("fine") : credential.error().text();
    };
    EXPECT_THAT(problem(""), HasSubstr("is empty"));
    EXPECT_THAT(problem("{}"), HasSubstr("neither 'claudeAiOauth'"));
    EXPECT_THAT(problem(R"({"claudeAiOauth":{}})"), HasSubstr("no 'accessToken'"));
    EXPECT_THAT(problem(R"({"claudeAiOauth":"x"})"), HasSubstr("should be an object"));
    EXPECT_THAT(problem(R"({"claudeAiOauth":{"accessToken":5}})"), HasSubstr("should be a string"));
    EXPECT_THAT(problem(R"({"api_key":""})"), HasSubstr("neither"));
    EXPECT_THAT(problem(R"({"api_key":["a"]})"), HasSubstr("not array"));
    EXPECT_THAT(problem(R"({"api_key":"a)"), HasSubstr("in the middle"));
    EXPECT_THAT(problem(R"({"api_key":"a b"})"), HasSubstr("cannot be part of a token"));
}

} // namespace
} // namespace shared
