/// Users of a shared pool, through the real binary: joining, set-up by the real script, revoking, the owner's commands.
#include "shared/base/read_file.hpp"
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace tests {
namespace {

using nlohmann::json;

class PeopleInPool : public PoolTest {
protected:
    PeopleInPool()
    {
        add_one_of_each();
        set("workers = 2");
        set("friend_code = \"the friend code\"");
        set("[pool_users]\nadmin_password = \"the password\"");
    }

    fake::Response post(
        const std::string& target, const std::string& body, const fake::Headers& headers = {}) const
    {
        fake::Client connection = client();
        fake::Headers all = headers;
        all.emplace_back("Content-Type", "application/json");
        return connection.request("POST", target, all, body);
    }

    [[nodiscard]] json claim(const std::string& email = "") const
    {
        const fake::Response made = post(
            "/api/friend/claim",
            json({{"friend_code", "the friend code"}, {"email", email}}).dump());
        EXPECT_EQ(made.status, 200U) << made.body;
        return json::parse(made.body);
    }

    /// Runs a command line in a home folder of its own; its exit status and output.
    std::pair<int, std::string> shell(const std::string& line) const
    {
        std::filesystem::create_directories(home());
        const std::string whole = "HOME='" + home().string() +
                                  "' no_proxy='*' CODEX_HOME= CLAUDE_CONFIG_DIR= SHELL=/bin/bash "
                                  "bash -c \"" +
                                  line + "\" 2>&1";
        FILE* const pipe = ::popen(whole.c_str(), "r");
        std::string out;
        std::array<char, 4096> bytes{};
        while (const std::size_t got = std::fread(bytes.data(), 1, bytes.size(), pipe))
            out.append(bytes.data(), got);
        const int status = ::pclose(pipe);
        return {WEXITSTATUS(status), out};
    }

    /// `codex-pool users …` as the owner types it.
    [[nodiscard]] std::pair<int, std::string> users(const std::string& arguments) const
    {
        return shell(
            "'" + std::string(CODEX_POOL_BINARY) + "' users " + arguments + " --config '" +
            (folder() / "config.toml").string() + "'");
    }

    void folder_file(const std::string& name, const std::string& text) const
    {
        std::ofstream(folder() / name, std::ios::binary | std::ios::trunc) << text;
    }

    [[nodiscard]] std::filesystem::path home() const { return folder() / "home"; }

    [[nodiscard]] std::string in_home(const std::string& name) const
    {
        return shared::read_file(home() / name, 1U << 20U, "file")->bytes;
    }

    fake::Response turn(Cli cli, const std::string& credential) const
    {
        Turn made = turn_of(cli, "c-" + std::to_string(static_cast<int>(cli)));
        std::erase_if(made.headers, [](const auto& header) {
            return header.first == "Authorization" || header.first == "authorization" ||
                   header.first == "x-api-key" || header.first == "X-Api-Key";
        });
        made.headers.emplace_back("Authorization", "Bearer " + credential);
        fake::Client connection = client();
        return tests::make(connection, made);
    }

    static constexpr const char* kOwner = "Basic YWRtaW46dGhlIHBhc3N3b3Jk";
};

TEST_F(PeopleInPool, AFriendJoinsAndEveryCredentialServes)
{
    start();
    const json told = claim("ann@example.com");
    const json auth = json::parse(told.at("auth_json").get<std::string>());
    const json gemini = json::parse(told.at("gemini_auth_json").get<std::string>());
    EXPECT_EQ(turn(Cli::codex, auth.at("tokens").at("access_token")).status, 200U);
    EXPECT_EQ(turn(Cli::claude, told.at("claude_api_key")).status, 200U);
    EXPECT_EQ(turn(Cli::gemini, gemini.at("access_token")).status, 200U);
    // Neither the id token nor the refresh token is one.
    EXPECT_EQ(turn(Cli::codex, auth.at("tokens").at("id_token")).status, 401U);
    EXPECT_EQ(turn(Cli::codex, auth.at("tokens").at("refresh_token")).status, 401U);
    EXPECT_EQ(turn(Cli::codex, "the friend code").status, 401U);

    const fake::Response renewed = post(
        "/oauth/token",
        json({{"grant_type", "refresh_token"},
              {"refresh_token", auth.at("tokens").at("refresh_token")}})
            .dump());
    ASSERT_EQ(renewed.status, 200U) << renewed.body;
    EXPECT_EQ(turn(Cli::codex, json::parse(renewed.body).at("access_token")).status, 200U);

    const fake::Response again =
        post("/api/friend/claim", R"({"friend_code":"the friend code","email":"ann@example.com"})");
    EXPECT_EQ(again.status, 409U);
    EXPECT_EQ(post("/api/friend/claim", R"({"friend_code":"wrong"})").status, 403U);
}

TEST_F(PeopleInPool, TheScriptSetsUpAndUndoes)
{
    start();
    const json told = claim();
    for (const char* cli : {"codex", "claude", "gemini"}) {
        const std::string line = told.at("setup").at(cli).at("command");
        const auto [status, said] = shell(line);
        ASSERT_EQ(status, 0) << said;
        const auto [second, words] = shell(line); // used: there is no script any more
        EXPECT_NE(words.find("410"), std::string::npos) << words;
    }
    const json auth = json::parse(in_home(".codex/auth.json"));
    EXPECT_EQ(turn(Cli::codex, auth.at("tokens").at("access_token")).status, 200U);
    const json claude = json::parse(in_home(".claude/settings.json"));
    EXPECT_EQ(turn(Cli::claude, claude.at("env").at("CLAUDE_CODE_OAUTH_TOKEN")).status, 200U);
    const auto [status, token] =
        shell(". ~/.codex-pool-setup/env.sh; printf %s \\\"\\$GOOGLE_CLOUD_ACCESS_TOKEN\\\"");
    EXPECT_EQ(turn(Cli::gemini, token).status, 200U) << token;
    const auto [undone, words] = shell("bash ~/.codex-pool-setup/undo.sh");
    EXPECT_EQ(undone, 0) << words;
    EXPECT_TRUE(std::filesystem::is_empty(home())) << words;
    // No token of a link is in the log.
    EXPECT_EQ(stop(), 0);
    for (const auto& [cli, link] : told.at("setup").items())
        EXPECT_EQ(pool().log().find(link.at("token").get<std::string>()), std::string::npos) << cli;
}

TEST_F(PeopleInPool, WhoIsDisabledOrRotatedIsRefusedAtOnce)
{
    start();
    const json told = claim();
    const std::string id = told.at("user_id");
    const std::string key = told.at("claude_api_key");
    EXPECT_EQ(turn(Cli::claude, key).status, 200U);
    EXPECT_EQ(users("disable " + id).first, 0);
    EXPECT_EQ(turn(Cli::claude, key).status, 403U);
    EXPECT_EQ(users("enable " + id).first, 0);
    EXPECT_EQ(turn(Cli::claude, key).status, 200U);
    EXPECT_EQ(users("rotate " + id).first, 0);
    EXPECT_NE(turn(Cli::claude, key).status, 200U);
    EXPECT_EQ(users("delete " + id).first, 0);
    EXPECT_NE(turn(Cli::claude, key).status, 200U);
}

TEST_F(PeopleInPool, TheOwnersCommands)
{
    start();
    const auto [made, lines] =
        users("add --name 'Ann B' --email ann@example.com --tokens-per-day 5000");
    ASSERT_EQ(made, 0) << lines;
    const std::string id = lines.substr(0, lines.find('\n'));
    EXPECT_NE(lines.find("/setup/codex/"), std::string::npos);
    EXPECT_NE(users("list").second.find(id + "  Ann B"), std::string::npos);
    const json shown = json::parse(users("show " + id + " --json").second);
    EXPECT_EQ(shown.at("limits").at("tokens_per_day"), 5000);
    EXPECT_EQ(users("limits " + id + " --tokens-per-day default --concurrency 3").first, 0);
    EXPECT_NE(users("show " + id).second.find("limits      3 at a time"), std::string::npos);
    const auto [refused, why] = users("limits " + id + " --share-percent 200");
    EXPECT_EQ(refused, 1);
    EXPECT_NE(why.find("0 to 100"), std::string::npos) << why;
    EXPECT_EQ(users("show none").first, 1);
    EXPECT_NE(users("invite " + id).second.find("| bash"), std::string::npos);
    EXPECT_TRUE(pool().wait_line("event=user_created user=" + id + " by=owner"));
    EXPECT_TRUE(pool().wait_line("event=user_invited user=" + id + " by=owner"));
}

TEST_F(PeopleInPool, AFriendsPageByCookie)
{
    start();
    const fake::Response joined =
        post("/login", R"({"code":"the friend code","name":"<b>Ann</b>"})");
    ASSERT_EQ(joined.status, 200U) << joined.body;
    EXPECT_EQ(joined.body.find("<b>Ann"), std::string::npos);
    std::string cookie = joined.value("set-cookie");
    cookie = cookie.substr(0, cookie.find(';'));
    EXPECT_EQ(get("/me", {{"Cookie", cookie}}).status, 200U);
    EXPECT_EQ(get("/me").status, 401U);
    EXPECT_EQ(get("/status/people", {{"Cookie", cookie}}).status, 403U);
    EXPECT_EQ(get("/admin/pool-users", {{"Cookie", cookie}}).status, 403U);
    // A cookie spends nothing.
    Turn spends = turn_of(Cli::claude, "c");
    spends.headers = {{"Cookie", cookie}, {"Content-Type", "application/json"}};
    fake::Client connection = client();
    EXPECT_EQ(tests::make(connection, spends).status, 401U);
    EXPECT_EQ(post("/me/rotate", "{}", {{"Cookie", cookie}}).status, 403U); // no CSRF token
    const std::string page = get("/me", {{"Cookie", cookie}}).body;
    const std::string mark = "name=\"csrf\" value=\"";
    const std::size_t begin = page.find(mark) + mark.size();
    const std::string csrf = page.substr(begin, page.find('"', begin) - begin);
    EXPECT_EQ(post("/me/rotate", "{}", {{"Cookie", cookie}, {"X-CSRF-Token", csrf}}).status, 303U);
    EXPECT_NE(get("/me", {{"Cookie", cookie}}).status, 200U); // it was of the old keys
}

TEST_F(PeopleInPool, TheOwnerByCookie)
{
    start();
    const fake::Response signed_in = post("/login", R"({"password":"the password"})");
    ASSERT_EQ(signed_in.status, 303U);
    std::string cookie = signed_in.value("set-cookie");
    cookie = cookie.substr(0, cookie.find(';'));
    const fake::Headers by_cookie{{"Cookie", cookie}};
    EXPECT_EQ(get("/status/people", by_cookie).status, 200U);
    EXPECT_EQ(post("/admin/pool-users", "{}", by_cookie).status, 403U); // no CSRF token
    EXPECT_EQ(post("/admin/pool-users", "{}", {{"Authorization", kOwner}}).status, 201U);
}

TEST_F(PeopleInPool, ABrokenUsersFileLetsNobodyInAndIsNotLost)
{
    std::filesystem::create_directories(folder() / "data");
    std::filesystem::permissions(folder() / "data", std::filesystem::perms::owner_all);
    folder_file("data/pool_users.json", "[{\"id\":\"abc\",");
    start();
    EXPECT_TRUE(pool().wait_line("no JSON list"));
    EXPECT_EQ(get("/v1/models").status, 401U);
    EXPECT_NE(
        get("/status/people", {{"Authorization", kOwner}}).body.find("no JSON list"),
        std::string::npos);
    (void)claim();
    std::size_t kept = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder() / "data"))
        kept += entry.path().filename().string().starts_with("pool_users.json.broken-") ? 1 : 0;
    EXPECT_EQ(kept, 1U);
}

TEST_F(PeopleInPool, AKilledAdminChildLosesNobody)
{
    start();
    const json told = claim();
    const auto before = pool().children("admin");
    ASSERT_EQ(before.size(), 1U);
    ::kill(before.front(), SIGKILL);
    ASSERT_TRUE(eventually([&] {
        const auto now = pool().children("admin");
        return now.size() == 1 && now != before && get("/").status == 200;
    }));
    EXPECT_EQ(turn(Cli::claude, told.at("claude_api_key")).status, 200U);
    EXPECT_EQ(users("show " + told.at("user_id").get<std::string>()).first, 0);
}

TEST_F(PeopleInPool, EditsByHandAreTakenOver)
{
    start();
    const json told = claim();
    const std::filesystem::path file = folder() / "data/pool_users.json";
    json list = json::parse(shared::read_file(file, 1U << 20U, "")->bytes);
    list.at(0)["disabled"] = true;
    folder_file("data/pool_users.json", list.dump());
    EXPECT_TRUE(
        eventually([&] { return turn(Cli::claude, told.at("claude_api_key")).status == 403; }));
}

} // namespace
} // namespace tests
