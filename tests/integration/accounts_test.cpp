/// Accounts that come while the pool runs: by command, by the owner's page, from a friend; and what is no account.
#include "shared/http/head.hpp"
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

#include <fstream>
#include <string>

#include <sys/stat.h>

namespace tests {
namespace {

using nlohmann::json;

class AccountsComeIn : public PoolTest {
protected:
    AccountsComeIn()
    {
        add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
        set("friend_code = \"the friend code\"");
        set("allow_contributions = true");
        set("[pool_users]\nadmin_password = \"the password\"");
    }

    /// An account that the vendor knows and the pool does not.
    fake::Account known_upstream(fake::Vendor vendor, fake::Kind kind, const std::string& name)
    {
        fake::Account account = fake::make_account(vendor, kind, name);
        upstream().add_account(account);
        return account;
    }

    fake::Response
    post(const std::string& target, const std::string& body, const fake::Headers& headers) const
    {
        fake::Client connection = client();
        return connection.request("POST", target, headers, body);
    }

    /// `codex-pool accounts add …`; its exit code and what it said.
    std::pair<int, std::string> add_by_command(std::vector<std::string> arguments)
    {
        arguments.insert(arguments.begin(), {"accounts", "add"});
        Process command(arguments, {}, folder());
        const std::optional<int> code = command.wait_exit();
        (void)command.wait_line("(never said)");
        return {code.value_or(-1), command.log()};
    }

    std::string in_file(const std::string& name, const std::string& text) const
    {
        std::ofstream(folder() / name, std::ios::binary | std::ios::trunc) << text;
        return (folder() / name).string();
    }

    /// A user's own API key for any vendor.
    std::string join() const
    {
        const fake::Response made = post(
            "/api/friend/claim",
            R"({"friend_code":"the friend code"})",
            {{"Content-Type", "application/json"}});
        EXPECT_EQ(made.status, 200U) << made.body;
        user_ = json::parse(made.body).at("user_id");
        return json::parse(made.body).at("claude_api_key");
    }

    fake::Response turn(Cli cli, const std::string& key) const
    {
        Turn made = turn_of(cli, "c-" + std::to_string(static_cast<int>(cli)));
        std::erase_if(made.headers, [](const auto& header) {
            return shared::http::iequals(header.first, "authorization") ||
                   shared::http::iequals(header.first, "x-api-key") ||
                   shared::http::iequals(header.first, "x-goog-api-key");
        });
        made.headers.emplace_back("Authorization", "Bearer " + key);
        fake::Client connection = client();
        return tests::make(connection, made);
    }

    [[nodiscard]] json account(const std::string& id) const
    {
        const fake::Response all = get("/admin/accounts", {{"Authorization", kOwner}});
        for (const json& each : json::parse(all.body))
            if (each.at("id") == id) return each;
        return nullptr;
    }

    static constexpr const char* kOwner = "Basic YWRtaW46dGhlIHBhc3N3b3Jk";
    mutable std::string user_;
};

TEST_F(AccountsComeIn, ByCommandAndServeAtOnce)
{
    start();
    const std::string key = join();
    const fake::Account claude =
        known_upstream(fake::Vendor::claude, fake::Kind::oauth, "claude_new");
    EXPECT_NE(turn(Cli::claude, key).status, 200U);
    const std::string file = in_file("credentials.json", fake::credential_json(claude));
    const auto [code, said] = add_by_command({file, "--name", "new"});
    EXPECT_EQ(code, 0) << said;
    EXPECT_NE(said.find("claude:new was added."), std::string::npos) << said;
    EXPECT_EQ(turn(Cli::claude, key).status, 200U);
    struct stat status = {};
    ASSERT_EQ(::stat((pool_folder() / "claude_new.json").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_TRUE(pool().wait_line("event=owner_action account=claude:new action=add result=added"));

    EXPECT_NE(add_by_command({file}).second.find("already"), std::string::npos);
    const auto [refused, why] = add_by_command({in_file("page.json", "<html></html>")});
    EXPECT_EQ(refused, 1);
    EXPECT_NE(why.find("web page"), std::string::npos) << why;
    const auto [missing, what] = add_by_command({(folder() / "none.json").string()});
    EXPECT_EQ(missing, 1);
    EXPECT_NE(what.find("no such file"), std::string::npos) << what;
    // Nothing of a token is in the log.
    EXPECT_EQ(stop(), 0);
    EXPECT_EQ(pool().log().find(claude.token), std::string::npos);
    EXPECT_EQ(pool().log().find(claude.refresh_token), std::string::npos);
}

TEST_F(AccountsComeIn, ByTheOwnersFormOnly)
{
    start();
    const fake::Response signed_in =
        post("/login", R"({"password":"the password"})", {{"Content-Type", "application/json"}});
    ASSERT_EQ(signed_in.status, 303U);
    const std::string set_cookie = signed_in.value("set-cookie");
    const std::string cookie = set_cookie.substr(0, set_cookie.find(';'));
    const std::string page = get("/status", {{"Cookie", cookie}, {"Accept", "text/html"}}).body;
    const std::string mark = "name=\"csrf\" value=\"";
    const std::size_t begin = page.find(mark) + mark.size();
    ASSERT_GT(begin, mark.size());
    const std::string csrf = page.substr(begin, page.find('"', begin) - begin);
    const fake::Account gemini =
        known_upstream(fake::Vendor::gemini, fake::Kind::api_key, "gemini_page");
    const auto form = [&](const std::string& token) {
        const std::string head = "--b\r\nContent-Disposition: form-data; name=";
        const std::string body = head + "\"csrf\"\r\n\r\n" + token + "\r\n" + head +
                                 "\"provider\"\r\n\r\ngemini\r\n" + head +
                                 "\"file\"; filename=\"x\"" + "\r\n\r\n" +
                                 fake::credential_json(gemini) + "\r\n--b--\r\n";
        return post(
            "/admin/accounts",
            body,
            {{"Cookie", cookie},
             {"Accept", "text/html"},
             {"Content-Type", "multipart/form-data; boundary=b"}});
    };
    EXPECT_EQ(form("").status, 403U);
    EXPECT_EQ(form(std::string(csrf.size(), 'a')).status, 403U);
    EXPECT_TRUE(account("gemini:key").is_null());
    const fake::Response done = form(csrf);
    EXPECT_EQ(done.status, 201U) << done.body;
    EXPECT_NE(done.body.find("gemini:key was added."), std::string::npos) << done.body;
    EXPECT_EQ(account("gemini:key").at("state"), "ready");
    // A browser's session cannot do anything to accounts without the token, a script's credential can.
    const std::string path = "/admin/accounts/gemini:key/disable";
    EXPECT_EQ(post(path, "", {{"Cookie", cookie}}).status, 403U);
    EXPECT_EQ(post("/admin/reload", "", {{"Cookie", cookie}}).status, 403U);
    EXPECT_EQ(post(path, "", {{"Cookie", cookie}, {"X-CSRF-Token", csrf}}).status, 200U);
    EXPECT_EQ(account("gemini:key").at("state"), "disabled");
}

TEST_F(AccountsComeIn, WhatIsTooLargeIsRefusedWithoutBeingRead)
{
    start();
    const fake::Headers owner{{"Authorization", kOwner}};
    // 100 MB: only announced, the answer does not wait for it.
    fake::Client connection = client();
    connection.wire().write(
        "POST /admin/accounts HTTP/1.1\r\nHost: localhost\r\nAuthorization: " +
        std::string(kOwner) + "\r\nContent-Length: 104857600\r\n\r\n{");
    EXPECT_EQ(connection.read_head().status, 413U);
    EXPECT_EQ(post("/admin/accounts", std::string((1U << 20U) + 1, '['), owner).status, 413U);
    EXPECT_EQ(post("/admin/accounts", std::string(1U << 20U, '['), owner).status, 400U);
    EXPECT_EQ(post("/admin/reload", std::string(100'000, 'x'), owner).status, 413U);
    EXPECT_EQ(get("/healthz").status, 200U);
}

TEST_F(AccountsComeIn, FromAFriendWhoMayPauseIt)
{
    start();
    const std::string key = join();
    const fake::Headers ann{{"Authorization", "Bearer " + key}};
    const std::string annes = user_;
    const fake::Headers bob{{"Authorization", "Bearer " + join()}};
    const fake::Account claude =
        known_upstream(fake::Vendor::claude, fake::Kind::oauth, "claude_a");
    json file = json::parse(fake::credential_json(claude));
    file["codex_pool"] = {{"priority", 1000}};
    const fake::Response added = post("/api/pool/accounts?name=annes", file.dump(), ann);
    EXPECT_EQ(added.status, 201U) << added.body;
    EXPECT_EQ(turn(Cli::claude, key).status, 200U);
    const json options = account("claude:annes").at("options");
    EXPECT_EQ(options.at("priority"), 0) << options;
    EXPECT_EQ(options.at("owner"), annes) << options;
    EXPECT_TRUE(pool().wait_line("action=add result=added by=" + annes));

    const std::string path = "/api/pool/accounts/claude:annes/";
    EXPECT_EQ(post(path + "pause", "", bob).status, 404U);
    EXPECT_EQ(post(path + "pause", "", ann).status, 200U);
    EXPECT_TRUE(pool().wait_line("action=pause result=done by=" + annes));
    EXPECT_NE(turn(Cli::claude, key).status, 200U);
    EXPECT_EQ(json::parse(get("/api/pool/accounts", ann).body)["accounts"][0]["paused"], true);
    EXPECT_EQ(json::parse(get("/api/pool/accounts", bob).body)["count"], 0);
    EXPECT_EQ(post(path + "resume", "", ann).status, 200U);
    EXPECT_EQ(turn(Cli::claude, key).status, 200U);
    // What the owner has switched off, a user cannot switch on.
    const fake::Headers owner{{"Authorization", kOwner}};
    EXPECT_EQ(post("/admin/accounts/claude:annes/disable", "", owner).status, 200U);
    EXPECT_EQ(post(path + "resume", "", ann).status, 409U);
    EXPECT_EQ(post("/admin/accounts/claude:annes/enable", "", owner).status, 200U);
    EXPECT_EQ(turn(Cli::claude, key).status, 200U);
}

} // namespace
} // namespace tests
