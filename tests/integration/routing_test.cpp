/// The routing table, a row each: which account kind serves which path, at which upstream path.
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace tests {
namespace {

using Json = nlohmann::json;

struct Row {
    const char* method;
    const char* path;
    const char* upstream; ///< where it must arrive; "" = answered by the pool itself
    unsigned status = 200;
    const char* account = ""; ///< which account must serve it; "" = any
};

constexpr Row kRows[] = {
    // Codex: responses go to ChatGPT or to the API, other OpenAI paths only to the API.
    {"POST", "/v1/responses", "/responses"},
    {"POST", "/responses", "/responses"},
    {"POST", "/v1/responses/compact", "/responses/compact"},
    {"POST", "/responses/compact", "/responses/compact"},
    {"GET", "/v1/responses/resp_1", "/responses/resp_1"},
    {"GET", "/v1/responses/resp_1/input_items?limit=3", "/responses/resp_1/input_items?limit=3"},
    {"POST", "/v1/chat/completions", "/openai/v1/chat/completions", 200, "codex_key"},
    {"POST", "/v1/embeddings", "/openai/v1/embeddings", 200, "codex_key"},
    {"GET", "/v1/models", "/openai/v1/models", 200, "codex_key"},
    {"GET",
     "/backend-api/wham/tasks?limit=5",
     "/chatgpt/backend-api/wham/tasks?limit=5",
     200,
     "codex_1"},
    {"GET",
     "/backend-api/wham/usage/daily-token-usage-breakdown",
     "/chatgpt/backend-api/wham/usage/daily-token-usage-breakdown",
     200,
     "codex_1"},
    // Codex: answered here.
    {"GET", "/backend-api/wham/usage", ""},
    {"GET", "/api/codex/usage", ""},
    {"GET", "/backend-api/wham/accounts/check", ""},
    {"GET", "/backend-api/wham/settings/user", ""},
    {"GET", "/backend-api/wham/config/bundle", ""},
    {"GET", "/backend-api/wham/rate-limit-reset-credits", ""},
    {"GET", "/backend-api/ps/plugins/installed?limit=200", ""},
    {"GET", "/backend-api/ps/plugins/suggested/codex?scope=GLOBAL", ""},
    {"POST", "/backend-api/codex/analytics-events/events", ""},
    {"POST", "/backend-api/ps/mcp", ""},
    {"GET", "/backend-api/connectors/directory/list", ""},
    {"POST", "/v1/traces/ingest", ""},
    // Claude.
    {"POST", "/v1/messages?beta=true", "/anthropic/v1/messages?beta=true"},
    {"POST", "/v1/messages/count_tokens", "/anthropic/v1/messages/count_tokens"},
    {"GET", "/api/oauth/usage", ""},
    {"GET", "/api/oauth/profile", ""},
    // Gemini.
    {"POST",
     "/v1internal:generateContent",
     "/cloudcode/v1internal:generateContent",
     200,
     "gemini_1"},
    {"POST",
     "/v1internal:streamGenerateContent?alt=sse",
     "/cloudcode/v1internal:streamGenerateContent?alt=sse",
     200,
     "gemini_1"},
    {"POST", "/v1internal:countTokens", "/cloudcode/v1internal:countTokens", 200, "gemini_1"},
    {"POST", "/v1internal:loadCodeAssist", "/cloudcode/v1internal:loadCodeAssist", 200, "gemini_1"},
    {"POST",
     "/v1beta/models/gemini-x:generateContent",
     "/generativelanguage/v1beta/models/gemini-x:generateContent",
     200,
     "gemini_key"},
    {"POST",
     "/v1beta/models/gemini-x:streamGenerateContent?alt=sse&key=client-secret-that-stays-here",
     "/generativelanguage/v1beta/models/gemini-x:streamGenerateContent?alt=sse",
     200,
     "gemini_key"},
};

std::string body_for(const std::string& path)
{
    if (path.find("/v1internal") != std::string::npos) return unstreamed(Cli::gemini, "row").body;
    if (path.find("/v1beta") != std::string::npos)
        return R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}]})";
    if (path.find("/messages") != std::string::npos) return unstreamed(Cli::claude, "").body;
    if (path.find("/ps/mcp") != std::string::npos)
        return R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}})";
    if (path.find("completions") != std::string::npos) return R"({"model":"gpt-x","messages":[]})";
    return unstreamed(Cli::codex, "").body;
}

class Routing : public PoolTest {
protected:
    /// Requests that reached the upstream, but for the pool's own questions about quota.
    [[nodiscard]] std::size_t asked()
    {
        const auto all = upstream().ledger().exchanges();
        return static_cast<std::size_t>(
            std::count_if(all.begin(), all.end(), [](const fake::Exchange& each) {
                return !each.target.ends_with("/usage");
            }));
    }
};

TEST_F(Routing, EveryRow)
{
    add_one_of_each();
    start();
    for (const Row& row : kRows) {
        SCOPED_TRACE(std::string(row.method) + " " + row.path);
        const std::size_t before = upstream().ledger().exchanges().size();
        const std::string method = row.method;
        fake::Client client = this->client();
        const fake::Headers headers = {
            {"Content-Type", "application/json"},
            {"Authorization", "Bearer " + std::string(kClientSecret)}};
        const fake::Response response =
            client.request(method, row.path, headers, method == "POST" ? body_for(row.path) : "");
        EXPECT_EQ(response.status, row.status) << response.body;
        EXPECT_NE(response.value("x-request-id"), "");
        std::vector<fake::Exchange> seen = upstream().ledger().exchanges();
        seen.erase(seen.begin(), seen.begin() + static_cast<std::ptrdiff_t>(before));
        const std::string wanted = row.upstream;
        if (wanted.empty()) {
            EXPECT_EQ(seen.size(), 0U) << seen.front().target;
            continue;
        }
        ASSERT_EQ(seen.size(), 1U);
        std::string target = seen[0].target;
        if (wanted.starts_with("/responses")) {
            // Either of the two OpenAI bases will do.
            const std::size_t at = target.find("/responses");
            target.erase(0, at);
        }
        if (wanted.find("beta=true") == std::string::npos) {
            for (const char* flag : {"?beta=true", "&beta=true"}) {
                const std::size_t at = target.find(flag);
                if (at != std::string::npos && wanted.find("/anthropic") == 0) target.erase(at, 10);
            }
        }
        EXPECT_EQ(target, wanted);
        if (*row.account != 0) {
            EXPECT_EQ(seen[0].account, row.account);
        }
    }
    expect_usage_settles();
}

TEST_F(Routing, AccountsCheckNamesTheClientsOwnAccount)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    start();
    fake::Client client = this->client();
    const fake::Response response = client.request(
        "GET", "/backend-api/wham/accounts/check", {{"chatgpt-account-id", "my-own-account"}});
    const Json body = Json::parse(response.body, nullptr, false);
    ASSERT_TRUE(body.is_object()) << response.body;
    EXPECT_EQ(body["default_account_id"], "my-own-account");
    ASSERT_EQ(body["accounts"].size(), 1U);
    EXPECT_EQ(body["accounts"][0]["id"], "my-own-account");
    EXPECT_EQ(body["accounts"][0]["workspace_backend_origin"], "https://chatgpt.com");
    EXPECT_EQ(body["accounts"][0]["account_routing_override"], "NO_CONSTRAINT");
}

TEST_F(Routing, WithoutAnApiKeyOtherOpenAiPathsAreNotFound)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    start();
    fake::Client client = this->client();
    const fake::Response chat =
        client.request("POST", "/v1/chat/completions", {}, R"({"model":"x","messages":[]})");
    EXPECT_EQ(chat.status, 404U);
    EXPECT_TRUE(Json::parse(chat.body, nullptr, false).contains("error")) << chat.body;
    EXPECT_EQ(asked(), 0U);
}

TEST_F(Routing, WithoutAnyCodexAccountThereAreNoModels)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    const fake::Response models = get("/v1/models?client_version=0.169.0");
    EXPECT_EQ(models.status, 200U);
    EXPECT_EQ(Json::parse(models.body, nullptr, false), Json::parse(R"({"models":[]})"));
    EXPECT_EQ(asked(), 0U);
}

TEST_F(Routing, OnlyGeminiOauthIsLeftForTheApi)
{
    add(fake::Vendor::gemini, fake::Kind::oauth, "gemini_1");
    start();
    fake::Client client = this->client();
    EXPECT_EQ(
        client.request("POST", "/v1beta/models/m:generateContent", {}, body_for("/v1beta/models/m"))
            .status,
        200U);
    EXPECT_EQ(upstream().ledger().turns().back().account, "gemini_1");
}

TEST_F(Routing, QuotaHeadersAreThePoolsOwn)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_2");
    start();
    upstream().set_quota("codex_1", {.short_used = 20, .long_used = 10});
    upstream().set_quota("codex_2", {.short_used = 60, .long_used = 30});
    fake::Response response;
    for (const char* id : {"a", "b", "c", "d"}) {
        fake::Client client = this->client();
        response = make(client, turn_of(Cli::codex, id));
        ASSERT_EQ(response.status, 200U);
    }
    // A worker may answer from what it knew a moment ago.
    EXPECT_TRUE(eventually([&] {
        fake::Client client = this->client();
        response = make(client, turn_of(Cli::codex, "a"));
        const double used =
            std::strtod(response.value("x-codex-primary-used-percent").c_str(), nullptr);
        return used > 25 && used < 55;
    })) << "a mean over both accounts, not "
        << response.value("x-codex-primary-used-percent");
    Json usage;
    EXPECT_TRUE(eventually([&] {
        usage = get_json("/backend-api/wham/usage");
        const double used = usage["rate_limit"]["primary_window"]["used_percent"].get<double>();
        return used > 35 && used < 45;
    })) << usage.dump();
}

} // namespace
} // namespace tests
