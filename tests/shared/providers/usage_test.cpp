/// What vendors answer when they are asked for an account's quota: recorded shapes, and what a mean or broken one sends.
#include "shared/providers/provider.hpp"
#include "tests/shared/providers/messages.hpp"

#include <gtest/gtest.h>

#include <string>

namespace shared {
namespace {

constexpr UnixMillis kNow{1'763'800'000'000};
constexpr std::uint32_t kFiveHours = 18'000;
constexpr std::uint32_t kWeek = 604'800;

class UsageTest : public ::testing::Test {
protected:
    Result<UsageReading> read(std::string_view provider, const std::string& body)
    {
        CallReply reply;
        reply.status = 200;
        reply.body = body;
        return registry_.find(provider)->parse_usage(reply, kNow);
    }

    QuotaUpdate quota(std::string_view provider, const std::string& body)
    {
        const auto reading = read(provider, body);
        EXPECT_TRUE(reading.has_value()) << body;
        return reading.has_value() ? reading->quota : QuotaUpdate{};
    }

    /// "18000=1234@5000" per window: length, basis points, seconds from now to its reset ("-" = none).
    static std::string summary(const QuotaUpdate& update)
    {
        std::string out;
        for (std::size_t i = 0; i < update.count; ++i) {
            const QuotaWindow& window = update.windows[i];
            if (!out.empty()) out += ' ';
            out += std::to_string(window.seconds) + "=" + std::to_string(window.used.basis_points);
            out += window.resets_at.is_set()
                       ? "@" + std::to_string(window.resets_at.since(kNow).count() / 1000)
                       : "@-";
        }
        return out;
    }

    static std::string codex(const std::string& primary, const std::string& secondary)
    {
        return R"({"plan_type":"Pro","rate_limit":{"primary_window":)" + primary +
               R"(,"secondary_window":)" + secondary + "}}";
    }

    ProviderRegistry registry_;
};

struct Case {
    const char* name;
    std::string body;
    const char* expected;
};

std::string window(const std::string& fields)
{
    return "{" + fields + "}";
}

TEST_F(UsageTest, CodexWindows)
{
    const std::string week_first =
        R"("used_percent":40,"limit_window_seconds":604800,"reset_at":1763900000)";
    const std::vector<Case> cases{
        {"as sent",
         codex(
             window(
                 R"("used_percent":12,"limit_window_seconds":18000,"reset_after_seconds":3600,"reset_at":1763803600)"),
             window(week_first)),
         "18000=1200@3600 604800=4000@100000"},
        {"the week in the first slot", codex(window(week_first), "null"), "604800=4000@100000"},
        {"strings for numbers",
         codex(
             window(
                 R"("used_percent":"12.5","limit_window_seconds":"18000","reset_at":"1763803600")"),
             "null"),
         "18000=1250@3600"},
        {"only how long it is until the reset",
         codex(
             window(R"("used_percent":1,"limit_window_seconds":18000,"reset_after_seconds":"90")"),
             "null"),
         "18000=100@90"},
        {"more than everything",
         codex(window(R"("used_percent":250,"limit_window_seconds":18000)"), "null"),
         "18000=10000@-"},
        {"less than nothing is no share",
         codex(window(R"("used_percent":-3,"limit_window_seconds":18000)"), "null"),
         ""},
        {"null is not zero",
         codex(window(R"("used_percent":null,"limit_window_seconds":18000)"), "null"),
         ""},
        {"a null reset",
         codex(window(R"("used_percent":3,"limit_window_seconds":18000,"reset_at":null)"), "null"),
         "18000=300@-"},
        {"a reset in the past is kept: it says that the window is over",
         codex(
             window(R"("used_percent":100,"limit_window_seconds":18000,"reset_at":1763799000)"),
             "null"),
         "18000=10000@-1000"},
        {"a single window of unknown length", codex(window(R"("used_percent":3)"), "null"), ""},
        {"two of unknown length go by their places",
         codex(window(R"("used_percent":3)"), window(R"("used_percent":4)")),
         "18000=300@- 604800=400@-"},
        {"no window", R"({"plan_type":"plus","rate_limit":null})", ""},
    };
    for (const Case& each : cases)
        EXPECT_EQ(summary(quota("codex", each.body)), each.expected) << each.name;
}

TEST_F(UsageTest, CodexPlanAndCredits)
{
    const auto reading = read(
        "codex",
        R"({"plan_type":"Pro","rate_limit":{},"credits":{"has_credits":true,"unlimited":false,"balance":"12.50"}})");
    ASSERT_TRUE(reading.has_value());
    EXPECT_EQ(reading->plan, "pro");
    EXPECT_EQ(reading->quota.has_credits, true);
    EXPECT_EQ(reading->quota.unlimited, false);
    EXPECT_EQ(reading->quota.credits_balance, 12.5);
    const auto without = read("codex", R"({"plan_type":7,"rate_limit":{},"credits":null})");
    ASSERT_TRUE(without.has_value());
    EXPECT_EQ(without->plan, "");
    EXPECT_TRUE(without->quota.empty()) << "absent is not \"no credits\"";
}

TEST_F(UsageTest, ClaudeWindows)
{
    const std::vector<Case> cases{
        {"as sent",
         R"({"five_hour":{"utilization":12.5,"resets_at":"2025-11-22T09:26:40Z"},
             "seven_day":{"utilization":40,"resets_at":"2025-11-23T08:26:40.5+00:00"},
             "seven_day_opus":null,"extra_usage":{"is_enabled":false,"utilization":null}})",
         "18000=1250@3600 604800=4000@86400"},
        {"half a percent is not half",
         R"({"five_hour":{"utilization":0.5,"resets_at":null}})",
         "18000=50@-"},
        {"strings for numbers, unix for RFC 3339",
         R"({"five_hour":{"utilization":"7","resets_at":"1763803600"}})",
         "18000=700@3600"},
        {"over a hundred",
         R"({"five_hour":{"utilization":104,"resets_at":1763803600}})",
         "18000=10000@3600"},
        {"less than nothing", R"({"five_hour":{"utilization":-1,"resets_at":1763803600}})", ""},
        {"null is not zero",
         R"({"five_hour":{"utilization":null,"resets_at":null},"seven_day":null})",
         ""},
        {"a real zero", R"({"five_hour":{"utilization":0,"resets_at":null}})", "18000=0@-"},
        {"plans without a week of their own have the fuller of the models'",
         R"({"five_hour":null,"seven_day":null,
             "seven_day_sonnet":{"utilization":30,"resets_at":1763886400},
             "seven_day_opus":{"utilization":55,"resets_at":1763972800}})",
         "604800=5500@172800"},
        {"one model's alone",
         R"({"seven_day_sonnet":{"utilization":30,"resets_at":1763886400}})",
         "604800=3000@86400"},
        {"but their own one counts first",
         R"({"seven_day":{"utilization":2,"resets_at":1763886400},
             "seven_day_opus":{"utilization":99,"resets_at":1763886400}})",
         "604800=200@86400"},
        {"a reset in the past",
         R"({"five_hour":{"utilization":100,"resets_at":1763799000}})",
         "18000=10000@-1000"},
    };
    for (const Case& each : cases)
        EXPECT_EQ(summary(quota("claude", each.body)), each.expected) << each.name;
}

TEST_F(UsageTest, WhatIsNoUsageIsAProblemThatQuotesNothing)
{
    const std::string deep(100'000, '[');
    for (const char* provider : {"codex", "claude"}) {
        for (const std::string& body :
             {std::string(),
              std::string("<!doctype html><title>sk-secret</title>"),
              std::string("[]"),
              std::string("null"),
              std::string(R"({"error":{"message":"sk-secret"}})"),
              std::string(R"({"rate_limit":{"primary_window":{"used_percent":3)"),
              std::string(R"({"five_hour":{"utilization":3)"),
              deep}) {
            const auto reading = read(provider, body);
            ASSERT_FALSE(reading.has_value()) << provider << body.substr(0, 60);
            EXPECT_EQ(reading.error().text().find("sk-secret"), std::string::npos);
        }
    }
    EXPECT_FALSE(read("gemini", "{}").has_value()) << "it tells no quota";
}

class CallsTest : public ::testing::Test {
protected:
    static Credential credential(CredentialKind kind)
    {
        Credential out;
        out.kind = kind;
        out.access_token = Secret("token-1");
        out.account_id = "acct-1";
        out.project = "project-1";
        return out;
    }

    static std::string header(const UpstreamCall& call, std::string_view name)
    {
        for (const http::Header& each : call.headers)
            if (http::iequals(each.name, name)) return each.value;
        return {};
    }

    ProviderRegistry registry_;
};

TEST_F(CallsTest, OnlySignInsAreAskedForQuota)
{
    const Provider& codex = *registry_.find("codex");
    const auto call = codex.usage_call(credential(CredentialKind::oauth));
    ASSERT_TRUE(call.has_value());
    EXPECT_EQ(call->method + " " + call->path, "GET /wham/usage");
    EXPECT_EQ(codex.upstreams()[call->upstream.index].key, "chatgpt");
    EXPECT_EQ(header(*call, "authorization"), "Bearer token-1");
    EXPECT_EQ(header(*call, "chatgpt-account-id"), "acct-1");
    EXPECT_FALSE(codex.usage_call(credential(CredentialKind::api_key)).has_value());

    const Provider& claude = *registry_.find("claude");
    const auto other = claude.usage_call(credential(CredentialKind::oauth));
    ASSERT_TRUE(other.has_value());
    EXPECT_EQ(other->method + " " + other->path, "GET /api/oauth/usage");
    EXPECT_EQ(header(*other, "anthropic-beta"), "oauth-2025-04-20");
    EXPECT_FALSE(claude.usage_call(credential(CredentialKind::api_key)).has_value());
    EXPECT_FALSE(
        registry_.find("gemini")->usage_call(credential(CredentialKind::oauth)).has_value());
}

TEST_F(CallsTest, TestsAreRequestsLikeTheClientsOwnAndNameNoSecretInTheTarget)
{
    for (const auto& provider : registry_.all()) {
        for (const CredentialKind kind : {CredentialKind::oauth, CredentialKind::api_key}) {
            const auto call = provider->test_call(credential(kind));
            ASSERT_TRUE(call.has_value()) << provider->name();
            EXPECT_EQ(call->method, "POST");
            EXPECT_EQ(call->path.find("token-1"), std::string::npos);
            EXPECT_EQ(call->body.find("token-1"), std::string::npos);
            EXPECT_LT(call->body.size(), 400U) << "tiny";
        }
    }
    Credential no_project = credential(CredentialKind::oauth);
    no_project.project.clear();
    EXPECT_FALSE(registry_.find("gemini")->test_call(no_project).has_value());
}

} // namespace
} // namespace shared
