/// Every route × every caller. The list is docs/openapi.json, which a unit test holds equal to the pool's own table of
/// routes, so that none is missing here; the vendors' routes follow.
#include "shared/base/clock.hpp"
#include "shared/users/credential.hpp"
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace tests {
namespace {

using nlohmann::json;

enum class Caller {
    nobody,
    user,
    session,
    revoked,
    disabled,
    foreign_key,
    owner,
    owners_page_elsewhere
};

constexpr std::array kCallers{
    Caller::nobody,
    Caller::user,
    Caller::session,
    Caller::revoked,
    Caller::disabled,
    Caller::foreign_key,
    Caller::owner,
    Caller::owners_page_elsewhere};

class RouteTable : public PoolTest {
protected:
    static constexpr std::string_view kSecret = "the signing key of this test, long enough";

    RouteTable()
    {
        add_one_of_each();
        set("allow_contributions = true");
        set_environment("POOL_JWT_SECRET", std::string(kSecret));
        set_environment("POOL_USERS_PATH", (folder() / "users.json").string());
        set_environment("ADMIN_TOKEN", "the owner's token");
        const json users = json::array(
            {{{"id", "ab12"}, {"email", "a@example.com"}, {"generation", 2}},
             {{"id", "cd34"}, {"email", "c@example.com"}},
             {{"id", "ef56"}, {"email", "e@example.com"}, {"disabled", true}}});
        std::ofstream(folder() / "users.json") << users.dump();
    }

    static std::string credential(
        std::string_view user, std::uint32_t generation, std::string_view prefix = "sk-pool-")
    {
        const shared::CredentialKey key{shared::Secret(std::string(kSecret))};
        return key.issue(prefix, user, generation, shared::now_unix());
    }

    static fake::Headers headers_of(Caller caller)
    {
        const auto bearer = [](const std::string& text) {
            return fake::Headers{{"Authorization", "Bearer " + text}};
        };
        switch (caller) {
        case Caller::nobody:
            return {};
        case Caller::user:
            return bearer(credential("ab12", 2));
        case Caller::session:
            return {{"Cookie", "codex_pool_session=" + credential("ab12", 2, "poolsession_")}};
        case Caller::revoked:
            return bearer(credential("ab12", 1));
        case Caller::disabled:
            return bearer(credential("ef56", 1));
        case Caller::foreign_key: {
            const shared::CredentialKey other{shared::Secret(std::string(40, 'x'))};
            return bearer(other.issue("sk-pool-", "ab12", 2, shared::now_unix()));
        }
        case Caller::owner:
            return {{"X-Admin-Token", "the owner's token"}};
        case Caller::owners_page_elsewhere:
            return {{"X-Admin-Token", "the owner's token"}, {"Origin", "https://evil.example"}};
        }
        return {};
    }

    unsigned ask(const std::string& method, const std::string& path, Caller caller) const
    {
        fake::Client connection = client();
        const std::string body = method == "POST" ? "{}" : "";
        fake::Headers headers = headers_of(caller);
        if (!body.empty()) headers.emplace_back("Content-Type", "application/json");
        connection.send(method, path, headers, body);
        return connection.read_head().status; // some answers never end
    }

    static bool is_let_in(unsigned status) { return status != 0 && status != 401 && status != 403; }

    /// Whether a route of this access lets this caller in.
    static bool may(const std::string& access, Caller caller)
    {
        if (access == "open") return true;
        const bool user = caller == Caller::user || caller == Caller::session;
        if (access == "user") return user || caller == Caller::owner;
        return caller == Caller::owner;
    }
};

TEST_F(RouteTable, EveryOwnRouteLetsInWhomItShould)
{
    start();
    ASSERT_TRUE(pool().wait_line("event=users_published"));
    std::ifstream file(std::filesystem::path(CODEX_POOL_SOURCE_DIR) / "docs/openapi.json");
    const json description = json::parse(file);
    std::size_t asked = 0;
    for (const auto& [pattern, operations] : description["paths"].items()) {
        std::string path = pattern;
        for (std::size_t at = path.find('{'); at != std::string::npos; at = path.find('{'))
            path.replace(
                at,
                path.find('}', at) + 1 - at,
                pattern.starts_with("/api/pool/users/") ? "ab12" : "none");
        for (const auto& [verb, operation] : operations.items()) {
            if (!operation.is_object() || !operation.contains("x-access")) continue;
            std::string method = verb;
            for (char& c : method)
                c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
            const std::string access = operation["x-access"];
            for (const Caller caller : kCallers) {
                // These have tests of their own: a wrong code is a 403 too, and a session needs a token to change
                // something.
                const bool form = access == "open" || caller == Caller::session;
                if (form && method != "GET") continue;
                const unsigned status = ask(method, path, caller);
                const bool expected = may(access, caller);
                EXPECT_EQ(is_let_in(status), expected)
                    << method << ' ' << path << " (" << access << ") by caller "
                    << static_cast<int>(caller) << ": " << status;
                ++asked;
            }
        }
    }
    EXPECT_GT(asked, 200U) << "the description was read";
}

TEST_F(RouteTable, VendorsRoutesAreForUsersOnly)
{
    start();
    ASSERT_TRUE(pool().wait_line("event=users_published"));
    const std::size_t before = upstream().ledger().exchanges().size();
    for (const Cli cli : {Cli::codex, Cli::claude, Cli::gemini}) {
        for (const Caller caller : kCallers) {
            Turn turn = turn_of(cli, "c");
            std::erase_if(turn.headers, [](const auto& header) {
                const std::string name = fake::lower(header.first);
                return name == "authorization" || name == "x-api-key" || name == "x-goog-api-key";
            });
            for (const auto& header : headers_of(caller))
                turn.headers.push_back(header);
            fake::Client connection = client();
            const unsigned status = make(connection, turn).status;
            const bool expected = caller == Caller::user;
            EXPECT_EQ(is_let_in(status), expected)
                << turn.target << " by caller " << static_cast<int>(caller) << ": " << status;
        }
    }
    EXPECT_LE(upstream().ledger().exchanges().size() - before, 12U)
        << "three turns, and what the refresher asks";
}

TEST_F(RouteTable, AUserSeesNothingOfAnother)
{
    start();
    ASSERT_TRUE(pool().wait_line("event=users_published"));
    for (const char* what : {"daily", "hourly"}) {
        const std::string path = std::string("/api/pool/users/cd34/") + what;
        const fake::Response answer = get(path, headers_of(Caller::user));
        EXPECT_GE(answer.status, 400U) << path << ": " << answer.body;
    }
    for (const char* path : {"/api/pool/users", "/api/pool/stats", "/status", "/me"}) {
        const fake::Response answer = get(path, headers_of(Caller::session));
        EXPECT_EQ(answer.status, 200U) << path;
        for (const char* secret : {"cd34", "c@example.com", "e@example.com", "claude_1", "codex_1"})
            EXPECT_EQ(answer.body.find(secret), std::string::npos) << path << " shows " << secret;
    }
}

} // namespace
} // namespace tests
