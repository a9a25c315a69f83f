/// Who may do what: local mode refuses web pages and foreign hosts, shared mode refuses everybody without a credential.
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

#include <ostream>

namespace tests {
namespace {

class Access : public PoolTest {};

TEST_F(Access, LocalModeServesOnlyLoopbackHostsAndNoForeignOrigin)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    const auto status = [&](const fake::Headers& extra) {
        fake::Client client = this->client();
        Turn turn = turn_of(Cli::claude, "c");
        turn.headers.insert(turn.headers.end(), extra.begin(), extra.end());
        return make(client, turn).status;
    };
    const std::string own = std::to_string(port());
    EXPECT_EQ(status({}), 200U);
    EXPECT_EQ(status({{"Host", "localhost:" + own}}), 200U);
    EXPECT_EQ(status({{"Host", "[::1]:" + own}}), 200U);
    EXPECT_EQ(status({{"Origin", "http://127.0.0.1:" + own}}), 200U);
    for (const char* host : {"evil.example", "127.0.0.1.evil.example", "10.0.0.1"})
        EXPECT_EQ(status({{"Host", host}}), 403U) << host;
    for (const char* origin : {"http://evil.example", "null", "https://localhost.evil.example"})
        EXPECT_EQ(status({{"Origin", origin}}), 403U) << origin;
    EXPECT_EQ(get("/admin/accounts", {{"Origin", "http://evil.example"}}).status, 403U);
    EXPECT_EQ(get("/admin/accounts", {{"Host", "evil.example"}}).status, 403U);
    // A WebSocket from a web page.
    EXPECT_EQ(
        get("/v1/responses",
            {{"Connection", "Upgrade"},
             {"Upgrade", "websocket"},
             {"Sec-WebSocket-Version", "13"},
             {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
             {"Origin", "http://evil.example"}})
            .status,
        403U);
}

struct Guarded {
    const char* method;
    const char* path;
    unsigned anonymous; ///< status without a credential
    unsigned owner;     ///< with the owner's
};

constexpr Guarded kRoutes[] = {
    {"GET", "/", 200, 200},
    {"GET", "/healthz", 200, 200},
    {"GET", "/status", 401, 200},
    {"GET", "/status?format=json", 401, 200},
    {"GET", "/metrics", 401, 200},
    {"GET", "/admin/accounts", 401, 200},
    {"GET", "/admin/requests", 401, 200},
    {"GET", "/admin/why?id=0123456789abcdef", 401, 404},
    {"GET", "/status/why?id=0123456789abcdef", 401, 404},
    {"GET", "/status/nothing", 401, 404},
    {"GET", "/status/usage", 401, 200},
    {"GET", "/status/requests", 401, 200},
    {"GET", "/status/events", 401, 200},
    {"GET", "/admin/usage", 401, 200},
    {"GET", "/admin/events?format=json", 401, 200},
    {"GET", "/admin/live?format=unheard-of", 401, 400},
    {"GET", "/api/pool/stats", 401, 200},
    {"GET", "/api/pool/users", 401, 200},
    {"GET", "/api/pool/users/local/daily", 401, 200},
    {"GET", "/api/pool/users/local/hourly", 401, 200},
    {"GET", "/api/pool/daily-breakdown", 401, 200},
    {"GET", "/api/pool/hourly", 401, 200},
    {"GET", "/api/pool/whoami", 401, 200},
    {"GET", "/api/pool/nothing", 401, 404},
    {"GET", "/api/openapi.json", 200, 200},
    {"POST", "/admin/reload", 401, 200},
    {"GET", "/login", 200, 200},
    {"POST", "/logout", 303, 303},
    {"GET", "/setup/undo", 200, 200},
    {"GET", "/setup/codex", 404, 404},
    {"GET", "/setup/codex/0123456789abcdef0123456789abcdef", 410, 410},
    {"GET", "/config/codex/0123456789abcdef0123456789abcdef", 410, 410},
    {"POST", "/oauth/token", 400, 400},
    {"POST", "/api/friend/claim", 403, 403},
    {"GET", "/api/friend/nothing", 404, 404},
    {"GET", "/me", 401, 303},
    {"GET", "/status/people", 401, 200},
    {"GET", "/status/setup", 401, 200},
    {"GET", "/admin/pool-users", 401, 200},
    {"POST", "/admin/pool-users", 401, 201},
    {"GET", "/admin/pool-users/nobody", 401, 404},
    {"POST", "/admin/pool-users/nobody/disable", 401, 404},
    {"DELETE", "/admin/pool-users/nobody", 401, 404},
    {"POST", "/v1/responses", 401, 0},
    {"POST", "/responses", 401, 0},
    {"POST", "/v1/responses/compact", 401, 0},
    {"POST", "/v1/chat/completions", 401, 0},
    {"GET", "/v1/models", 401, 0},
    {"POST", "/v1/messages", 401, 0},
    {"POST", "/v1/messages/count_tokens", 401, 0},
    {"POST", "/v1internal:generateContent", 401, 0},
    {"POST", "/v1internal:streamGenerateContent?alt=sse", 401, 0},
    {"POST", "/v1internal:loadCodeAssist", 401, 0},
    {"POST", "/v1beta/models/m:generateContent", 401, 0},
    {"GET", "/backend-api/wham/usage", 401, 0},
    {"GET", "/api/codex/usage", 401, 0},
    {"GET", "/api/oauth/usage", 401, 0},
    {"GET", "/backend-api/wham/tasks", 401, 0},
    // Empty stubs: asking for a credential here breaks the CLIs' start.
    {"POST", "/backend-api/codex/analytics-events/events", 200, 0},
    {"GET", "/backend-api/ps/plugins/installed", 200, 0},
};

TEST_F(Access, SharedModeRefusesWithoutACredential)
{
    add_one_of_each();
    set("friend_code = \"a friend code\"");
    set("admin_token = \"the owner's token\"");
    start();
    for (const Guarded& route : kRoutes) {
        SCOPED_TRACE(std::string(route.method) + " " + route.path);
        const std::string body = std::string(route.method) == "POST" ? "{}" : "";
        const std::size_t before = upstream().ledger().turns().size();
        fake::Client client = this->client();
        EXPECT_EQ(client.request(route.method, route.path, {}, body).status, route.anonymous);
        fake::Client wrong = this->client();
        const fake::Headers bad = {{"Authorization", "Bearer wrong"}, {"X-Admin-Token", "wrong"}};
        EXPECT_EQ(wrong.request(route.method, route.path, bad, body).status, route.anonymous);
        EXPECT_EQ(upstream().ledger().turns().size(), before);
        if (route.owner == 0) continue;
        fake::Client owner = this->client();
        EXPECT_EQ(
            owner.request(route.method, route.path, {{"X-Admin-Token", "the owner's token"}}, body)
                .status,
            route.owner);
    }
    // The friend code opens nothing by itself, and the 401 is in the client's dialect.
    fake::Client client = this->client();
    const fake::Response refused =
        client.request("POST", "/v1/messages", {{"X-Api-Key", "a friend code"}}, "{}");
    EXPECT_EQ(refused.status, 401U);
    EXPECT_NE(refused.body.find("\"type\":\"error\""), std::string::npos) << refused.body;
    const std::string health = get("/healthz").body;
    EXPECT_EQ(health.find("codex_1"), std::string::npos);
}

TEST_F(Access, BasicAuthenticationOfTheOwner)
{
    set("[pool_users]\nadmin_password = \"the password\"");
    start();
    // "admin:the password"
    EXPECT_EQ(get("/status", {{"Authorization", "Basic YWRtaW46dGhlIHBhc3N3b3Jk"}}).status, 200U);
    EXPECT_EQ(get("/status", {{"Authorization", "Basic YWRtaW46d3Jvbmc="}}).status, 401U);
    EXPECT_EQ(get("/status").status, 401U);
    EXPECT_NE(get("/status").value("www-authenticate"), "");
}

TEST_F(Access, BeyondLoopbackWithoutProtectionRefusesToStart)
{
    set("listen_addr = \"0.0.0.0:0\"");
    Process& process = launch();
    EXPECT_EQ(process.wait_exit(), 1);
    EXPECT_NE(process.log().find("friend_code"), std::string::npos) << process.log();
    expect_exit_code(1);
}

TEST_F(Access, SecretsAreNeverLogged)
{
    const fake::Account account = add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    set("debug = true");
    set("friend_code = \"topsecretfriend\"");
    set("admin_token = \"topsecretadmin\"");
    start();
    fake::Client client = this->client();
    (void)make(client, turn_of(Cli::claude, "c"));
    (void)get("/status", {{"X-Admin-Token", "topsecretadmin"}});
    EXPECT_EQ(stop(), 0);
    const std::string log = pool().log();
    for (const std::string& secret :
         {account.token,
          std::string(kClientSecret),
          std::string("topsecret"),
          std::string("turn 0")})
        EXPECT_EQ(log.find(secret), std::string::npos) << secret;
}

} // namespace
} // namespace tests
