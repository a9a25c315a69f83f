/// What every provider promises, whoever wrote it; a new one is covered by being in the list.

#include "shared/providers/provider.hpp"
#include "tests/shared/providers/messages.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <set>
#include <string>

namespace shared {
namespace {

using testing::Request;
using testing::Response;

constexpr UnixMillis kNow{1'795'000'000'000};

class ProviderContract : public ::testing::Test {
protected:
    ProviderRegistry registry;
};

TEST_F(ProviderContract, NamesAndNumbersAreUnique)
{
    std::set<std::string_view> names;
    std::set<std::string_view> prefixes;
    std::set<std::string_view> keys;
    std::set<std::string_view> variables;
    std::set<int> numbers;
    for (const auto& provider : registry.all()) {
        EXPECT_TRUE(names.insert(provider->name()).second);
        EXPECT_TRUE(prefixes.insert(provider->file_prefix()).second)
            << "one provider takes the rest";
        EXPECT_TRUE(numbers.insert(static_cast<int>(provider->id())).second);
        EXPECT_NE(provider->id(), ProviderId::none);
        EXPECT_FALSE(provider->display_name().empty());
        EXPECT_EQ(&registry.get(provider->id()), provider.get());
        EXPECT_EQ(registry.find(provider->name()), provider.get());
        for (const UpstreamSpec& upstream : provider->upstreams()) {
            EXPECT_TRUE(keys.insert(upstream.key).second) << upstream.key;
            EXPECT_TRUE(variables.insert(upstream.environment).second) << upstream.environment;
            EXPECT_TRUE(upstream.default_url.starts_with("https://")) << upstream.default_url;
        }
    }
    EXPECT_EQ(registry.all().size(), 3U);
    EXPECT_EQ(prefixes.count(""), 1U);
    EXPECT_EQ(registry.find("nobody"), nullptr);
    EXPECT_EQ(keys.size(), 9U) << "the table of upstream bases";
}

TEST_F(ProviderContract, RequestsFindTheirProvider)
{
    const auto provider = [this](std::string_view target, testing::FieldList fields = {}) {
        const Request request("POST", target, fields);
        return registry.match(request).name();
    };
    EXPECT_EQ(provider("/v1/messages"), "claude");
    EXPECT_EQ(provider("/v1/messages/count_tokens?beta=true"), "claude");
    EXPECT_EQ(provider("/v1/models", {{"anthropic-version", "2023-06-01"}}), "claude");
    EXPECT_EQ(provider("/v1/models", {{"X-Api-Key", "k"}}), "claude");
    EXPECT_EQ(provider("/v1/models"), "codex");
    EXPECT_EQ(provider("/v1/responses"), "codex");
    EXPECT_EQ(provider("/responses"), "codex");
    EXPECT_EQ(provider("/backend-api/wham/usage"), "codex");
    EXPECT_EQ(provider("/api/codex/usage"), "codex");
    EXPECT_EQ(provider("/ws"), "codex");
    EXPECT_EQ(provider("/v1internal:generateContent"), "gemini");
    EXPECT_EQ(provider("/v1beta/models/gemini-3:streamGenerateContent?alt=sse"), "gemini");
    EXPECT_EQ(provider("/api/oauth/usage"), "claude");
    EXPECT_EQ(provider("/nowhere"), "codex") << "takes what nobody claims";
}

TEST_F(ProviderContract, OneStrongestClaim)
{
    for (const char* target :
         {"/v1/messages",
          "/v1/responses",
          "/v1/models",
          "/v1/chat/completions",
          "/backend-api/wham/usage",
          "/v1internal:countTokens",
          "/v1beta/models"}) {
        const Request request("POST", target);
        Match strongest = Match::none;
        int holders = 0;
        for (const auto& provider : registry.all()) {
            const Match claim = provider->match(request);
            if (claim > strongest) holders = 0;
            if (claim >= strongest && claim != Match::none) ++holders;
            strongest = std::max(strongest, claim);
        }
        EXPECT_EQ(holders, 1) << target;
    }
}

TEST_F(ProviderContract, RoutesAreComplete)
{
    for (const auto& provider : registry.all()) {
        for (const char* target :
             {"/",
              "/v1/messages",
              "/v1/responses",
              "/v1/models",
              "/v1/files",
              "/backend-api/x",
              "/v1internal:generateContent",
              "/v1beta/models/m:generateContent?key=k",
              "/nowhere",
              "/%00",
              "//"}) {
            const Request request("POST", target);
            const Route route = provider->route(request);
            EXPECT_EQ(route.target == Route::Target::upstream, !route.legs.empty())
                << provider->name() << " " << target;
            for (const Leg& leg : route.legs) {
                EXPECT_EQ(leg.upstream.provider, provider->id());
                EXPECT_LT(leg.upstream.index, provider->upstreams().size());
                EXPECT_NE(leg.kind, CredentialKind::none);
                EXPECT_TRUE(leg.path.starts_with('/')) << leg.path;
                const AccountCredential account{leg.kind, "token", "acct"};
                const std::string path = provider->upstream_target(leg, request, account);
                EXPECT_TRUE(path.starts_with('/')) << path;
                EXPECT_EQ(path.find("key=k"), std::string::npos)
                    << "the client's key went upstream";
                std::string head;
                provider->append_credentials(account, request, head);
                EXPECT_NE(head.find("token"), std::string::npos);
                EXPECT_TRUE(head.ends_with("\r\n"));
            }
        }
    }
}

TEST_F(ProviderContract, StatusesMeanTheSameEverywhere)
{
    for (const auto& provider : registry.all()) {
        const auto outcome = [&provider](unsigned status, std::string_view body = {}) {
            const Response response(status);
            return provider->classify(response, body, kNow).outcome;
        };
        for (const std::string_view body : {"", "garbage", "{}", "[", "<html>"}) {
            EXPECT_EQ(outcome(200, body), Outcome::served) << provider->name();
            EXPECT_EQ(outcome(400, body), Outcome::served);
            EXPECT_EQ(outcome(401, body), Outcome::credential_rejected);
            EXPECT_EQ(outcome(402, body), Outcome::account_refused);
            EXPECT_EQ(outcome(403, body), Outcome::account_refused);
            EXPECT_EQ(outcome(404, body), Outcome::served);
            EXPECT_EQ(outcome(429, body), Outcome::rate_limited);
            for (const unsigned status : {408U, 500U, 502U, 503U, 524U, 529U})
                EXPECT_EQ(outcome(status, body), Outcome::upstream_failed) << status;
        }
        const Response challenge(403, {{"Server", "cloudflare"}, {"Content-Type", "text/html"}});
        EXPECT_EQ(provider->classify(challenge, "<html>", kNow).outcome, Outcome::upstream_failed);
        const Response limited(429);
        EXPECT_FALSE(provider->classify(limited, "", kNow).until.is_set()) << "never invented";
    }
}

TEST_F(ProviderContract, ErrorsAreWellFormed)
{
    using Kind = PoolError::Kind;
    for (const auto& provider : registry.all()) {
        for (const Kind kind :
             {Kind::bad_request,
              Kind::unauthorized,
              Kind::forbidden,
              Kind::not_found,
              Kind::body_too_large,
              Kind::exhausted,
              Kind::no_account,
              Kind::upstream_failed,
              Kind::deadline,
              Kind::overloaded,
              Kind::user_limit,
              Kind::user_disabled}) {
            PoolError error;
            error.kind = kind;
            error.message = "A \"sentence\"\n\xFF";
            error.now = kNow;
            error.retry_at = kNow.plus(std::chrono::seconds(90));
            const Request request("POST", "/v1/x");
            const LocalReply reply = provider->error_reply(error, request);
            EXPECT_EQ(reply.status, error.status());
            EXPECT_TRUE(nlohmann::json::accept(reply.body)) << provider->name() << reply.body;
            std::string retry_after;
            bool typed = false;
            for (const http::Header& field : reply.headers) {
                typed = typed || http::iequals(field.name, "content-type");
                if (http::iequals(field.name, "retry-after")) retry_after = field.value;
            }
            EXPECT_TRUE(typed);
            if (kind == Kind::exhausted || kind == Kind::user_limit) {
                EXPECT_EQ(retry_after, "90") << provider->name();
            }
        }
    }
}

TEST_F(ProviderContract, JunkIsReadWithoutHarm)
{
    for (const auto& provider : registry.all()) {
        for (const std::string_view junk :
             {"", "junk", "{", "{}", "[]", "null", "[[[[", "\xFF\xFE", "{\"type\":7}"}) {
            const Request request("POST", "/v1/responses");
            (void)provider->inspect(provider->route(request), request, junk);
            (void)provider->inspect_message(junk);
            EXPECT_FALSE(provider->parse_credential(junk).has_value())
                << provider->name() << " " << junk;
            for (const char* type : {"text/event-stream", "application/json", ""}) {
                ResponseScanner scanner(*provider, type);
                scanner.feed(junk, kNow);
                scanner.finish(kNow);
                EXPECT_EQ(scanner.facts().usage, Usage{}) << junk;
            }
        }
    }
}

TEST_F(ProviderContract, QuotaFieldsReadWhatTheyReplace)
{
    PoolSummary pool;
    pool.short_window.used = {2500};
    pool.short_window.resets_at = kNow.plus(std::chrono::hours(1));
    pool.long_window.used = {5000};
    pool.long_window.resets_at = kNow.plus(std::chrono::hours(48));
    for (const auto& provider : registry.all()) {
        std::string fields;
        provider->append_pool_quota(pool, kNow, fields);
        if (fields.empty()) continue; // a vendor without quota fields
        const std::string bytes = "HTTP/1.1 200 OK\r\n" + fields + "\r\n";
        http::ResponseHead head;
        ASSERT_EQ(http::parse_response(bytes, "POST", head), http::ParseStatus::complete) << bytes;
        for (const http::Field& field : head.fields.list)
            EXPECT_TRUE(provider->is_quota_header(field.name)) << field.name;
        const QuotaUpdate read = provider->quota_from_headers(head, kNow);
        ASSERT_EQ(read.count, 2) << provider->name() << fields;
        EXPECT_EQ(read.windows[0].used.basis_points, 2500);
        EXPECT_EQ(read.windows[0].resets_at, pool.short_window.resets_at);
        EXPECT_EQ(read.windows[1].seconds, 604'800U);
    }
}

TEST(HeaderPolicy, CredentialsAndTracesAreNamed)
{
    for (const char* name :
         {"Authorization",
          "chatgpt-account-id",
          "X-API-KEY",
          "x-goog-api-key",
          "Cookie",
          "Proxy-Authorization",
          "X-Admin-Token",
          "X-Friend-Code",
          "x-codex-pool-anything"})
        EXPECT_TRUE(is_credential_header(name)) << name;
    for (const char* name :
         {"Cf-Connecting-Ip",
          "CF-Ray",
          "cdn-loop",
          "X-Forwarded-For",
          "x-forwarded-host",
          "X-Real-IP",
          "Via",
          "Forwarded",
          "True-Client-IP"})
        EXPECT_TRUE(is_proxy_trace_header(name)) << name;
    for (const char* name :
         {"User-Agent",
          "session-id",
          "x-codex-turn-state",
          "OpenAI-Beta",
          "anthropic-beta",
          "X",
          ""}) {
        EXPECT_FALSE(is_credential_header(name)) << name;
        EXPECT_FALSE(is_proxy_trace_header(name)) << name;
    }
}

TEST(PoolErrorStatus, FollowsTheKind)
{
    const auto status = [](PoolError::Kind kind) {
        PoolError error;
        error.kind = kind;
        return error.status();
    };
    EXPECT_EQ(status(PoolError::Kind::unauthorized), 401U);
    EXPECT_EQ(status(PoolError::Kind::body_too_large), 413U);
    EXPECT_EQ(status(PoolError::Kind::exhausted), 429U);
    EXPECT_EQ(status(PoolError::Kind::no_account), 503U);
    EXPECT_EQ(status(PoolError::Kind::deadline), 504U);
    EXPECT_EQ(status(PoolError::Kind::user_limit), 429U);
    EXPECT_EQ(status(PoolError::Kind::user_disabled), 403U);
}

} // namespace
} // namespace shared
