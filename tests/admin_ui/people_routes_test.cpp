#include "shared/base/read_file.hpp"
#include "tests/admin_ui/people_fixture.hpp"

#include <gmock/gmock.h>

#include <set>
#include <vector>

namespace {

using namespace tests;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ClaimTest : public PeopleTest {
protected:
    PageResponse claim(const std::string& body, const std::string& address = "192.0.2.7")
    {
        PageRequest asked = request("POST", "/api/friend/claim", body);
        asked.caller.address = address;
        return ask(asked);
    }
};

TEST_F(ClaimTest, AnswersAsTheOriginalDoes)
{
    const PageResponse made =
        claim(R"({"friend_code":"the friend code","email":"ann@example.com","name":"Ann"})");
    ASSERT_EQ(made.status, 200U) << made.body;
    const Json told = Json::parse(made.body);
    EXPECT_EQ(told.at("public_url"), "http://pool.test:8989");
    EXPECT_EQ(told.at("download_token").get<std::string>().size(), 32U);
    EXPECT_TRUE(Json::accept(told.at("auth_json").get<std::string>()));
    EXPECT_TRUE(Json::accept(told.at("gemini_auth_json").get<std::string>()));
    EXPECT_TRUE(told.at("claude_api_key").get<std::string>().starts_with("sk-ant-oat01-pool-"));
    EXPECT_TRUE(told.at("gemini_api_key").get<std::string>().starts_with("AIzaSy-pool-"));
    EXPECT_EQ(told.at("setup").size(), 3U);
    const std::string id = told.at("user_id");
    EXPECT_EQ(standing(id), shared::UserStanding::active);
    const auto key = people_.key().verify(told.at("claude_api_key").get<std::string>(), now_);
    ASSERT_TRUE(key.has_value());
    EXPECT_EQ(key->user, id);
    const std::string cookie = header(made, "Set-Cookie");
    EXPECT_THAT(
        cookie,
        AllOf(
            HasSubstr("codex_pool_session=poolsession_" + id),
            HasSubstr("; HttpOnly"),
            HasSubstr("; SameSite=Strict"),
            HasSubstr("; Path=/"),
            Not(HasSubstr("Secure"))));
}

TEST_F(ClaimTest, TakesAFormToo)
{
    PageRequest asked =
        request("POST", "/api/friend/claim", "code=the+friend+code&email=a%40example.com");
    asked.content_type = "application/x-www-form-urlencoded";
    EXPECT_EQ(ask(asked).status, 200U);
    EXPECT_NE(people_.store().find_email("a@example.com"), nullptr);
    asked.body = R"({"code":"the friend code"})"; // as `curl -d` sends it
    EXPECT_EQ(ask(asked).status, 200U);
}

TEST_F(ClaimTest, AKnownEmailHandsOutNothing)
{
    ASSERT_EQ(claim(R"({"code":"the friend code","email":"ann@example.com"})").status, 200U);
    const PageResponse second = claim(R"({"code":"the friend code","email":"ANN@example.com"})");
    EXPECT_EQ(second.status, 409U);
    EXPECT_THAT(second.body, HasSubstr("set-up link"));
    EXPECT_THAT(second.body, Not(HasSubstr("pool-")));
    EXPECT_EQ(header(second, "Set-Cookie"), "(absent)");
    EXPECT_EQ(people_.store().users().size(), 1U);
}

TEST_F(ClaimTest, WithoutAnEmailEverybodyIsSomebodyElse)
{
    std::set<std::string> ids;
    for (int i = 0; i < 3; ++i)
        ids.insert(Json::parse(claim(R"({"code":"the friend code"})").body).at("user_id"));
    EXPECT_EQ(ids.size(), 3U);
}

TEST_F(ClaimTest, WrongCodesCostMoreAndMoreTime)
{
    for (const char* wrong : {"", "the friend cod", "THE FRIEND CODE"}) {
        const PageResponse refused = claim(Json{{"code", wrong}}.dump());
        EXPECT_EQ(refused.status, 403U);
        EXPECT_EQ(Json::parse(refused.body).at("error"), "Invalid Friend Code");
    }
    bool waits = false;
    for (int i = 0; i < 3 && !waits; ++i)
        waits = claim(R"({"code":"wrong"})").status == 429;
    ASSERT_TRUE(waits);
    const PageResponse waiting = claim(R"({"code":"the friend code"})");
    EXPECT_EQ(waiting.status, 429U);
    EXPECT_NE(header(waiting, "Retry-After"), "(absent)");
    EXPECT_EQ(claim(R"({"code":"the friend code"})", "192.0.2.8").status, 200U);
    now_ = now_.plus(std::chrono::minutes(20));
    EXPECT_EQ(claim(R"({"code":"the friend code"})").status, 200U);
}

TEST_F(ClaimTest, NobodyMakesUsersWithoutEnd)
{
    for (std::size_t i = 0; i < admin_ui::kClaimsPerHourMax; ++i)
        ASSERT_EQ(claim(R"({"code":"the friend code"})").status, 200U);
    const PageResponse refused = claim(R"({"code":"the friend code"})", "192.0.2.99");
    EXPECT_EQ(refused.status, 429U);
    EXPECT_EQ(header(refused, "Retry-After"), "3600");
    EXPECT_EQ(people_.store().users().size(), admin_ui::kClaimsPerHourMax);
    now_ = now_.plus(std::chrono::hours(1));
    EXPECT_EQ(claim(R"({"code":"the friend code"})").status, 200U);
}

TEST_F(ClaimTest, NonsenseIsRefused)
{
    const std::vector<std::string> bodies{
        R"({"code":"the friend code","email":"no address"})",
        R"({"code":"the friend code","email":"a@b\nc"})",
        R"({"code":"the friend code","name":"a\u0000b"})",
        R"({"code":{"$ne":""}})",
        R"(["the friend code"])",
        "{"};
    for (const std::string& body : bodies) {
        PageRequest asked = request("POST", "/api/friend/claim", body);
        asked.content_type = "application/json";
        EXPECT_EQ(ask(asked).status, 400U) << body;
    }
    EXPECT_EQ(get("/api/friend/claim").status, 405U);
    PageRequest foreign = request("POST", "/api/friend/claim", R"({"code":"the friend code"})");
    foreign.origin = "https://evil.example";
    EXPECT_EQ(ask(foreign).status, 403U);
    EXPECT_TRUE(people_.store().users().empty());
}

TEST_F(ClaimTest, WithoutAFriendCodeItIsOff)
{
    admin_ui::PeopleSettings none = settings(folder_.path());
    none.friend_code = {};
    admin_ui::People people(pool_.segment(), registry_, none);
    routes_.add_people(people);
    for (const char* body : {"{}", R"({"code":""})"}) {
        const PageResponse refused = claim(body);
        EXPECT_EQ(refused.status, 403U);
        EXPECT_EQ(refused.body, "feature disabled\n");
    }
}

TEST_F(ClaimTest, BehindHttpsTheCookieIsSecure)
{
    PageRequest asked = request("POST", "/api/friend/claim", R"({"code":"the friend code"})");
    asked.caller.https = true;
    const PageResponse made = ask(asked);
    EXPECT_THAT(header(made, "Set-Cookie"), HasSubstr("; Secure"));
    EXPECT_EQ(Json::parse(made.body).at("public_url"), "https://pool.test:8989");
}

using SetupTest = PeopleTest;

TEST_F(SetupTest, ALinkWorksOnceForOneCli)
{
    const auto [id, links] = make_user();
    const std::string token = links.at("codex").at("token");
    EXPECT_EQ(
        links.at("codex").at("command"),
        "curl -fsSL 'http://pool.test:8989/setup/codex/" + token + "' | bash");
    const PageResponse script = get("/setup/codex/" + token);
    EXPECT_EQ(script.status, 200U);
    EXPECT_THAT(script.body, HasSubstr("pool_config='http://pool.test:8989/config/codex/" + token));
    EXPECT_EQ(get("/setup/codex/" + token).status, 200U); // looking ends nothing
    PageRequest head = request("HEAD", "/config/codex/" + token);
    EXPECT_EQ(ask(head).status, 200U);
    for (const char* other : {"claude", "gemini"}) {
        EXPECT_EQ(get("/setup/" + std::string(other) + "/" + token).status, 410U);
        EXPECT_EQ(get("/config/" + std::string(other) + "/" + token).status, 410U);
    }
    const PageResponse config = get("/config/codex/" + token);
    ASSERT_EQ(config.status, 200U);
    const Json document = Json::parse(config.body);
    EXPECT_TRUE(document.at("OPENAI_API_KEY").is_null());
    const auto access =
        people_.key().verify(document.at("tokens").at("access_token").get<std::string>(), now_);
    ASSERT_TRUE(access.has_value());
    EXPECT_EQ(access->user, id);
    EXPECT_EQ(get("/config/codex/" + token).status, 410U);
    EXPECT_EQ(get("/setup/codex/" + token).status, 410U);
    EXPECT_EQ(
        get("/setup/claude/" + links.at("claude").at("token").get<std::string>()).status, 200U);
}

TEST_F(SetupTest, VariablesComeAsAShellOrJsonReadsThem)
{
    const auto [id, links] = make_user();
    const PageResponse shell =
        get("/config/claude/" + links.at("claude").at("token").get<std::string>(), "format=shell");
    EXPECT_TRUE(shell.body.starts_with("export CLAUDE_CODE_OAUTH_TOKEN='sk-ant-oat01-pool-" + id));
    const PageResponse json = get(
        "/config/gemini/" + links.at("gemini").at("token").get<std::string>(), "format=variables");
    EXPECT_TRUE(Json::parse(json.body).contains("GOOGLE_CLOUD_ACCESS_TOKEN"));
}

TEST_F(SetupTest, ALinkEndsWithItsTimeAndItsUser)
{
    const auto [id, links] = make_user();
    const std::string path = "/config/codex/" + links.at("codex").at("token").get<std::string>();
    ASSERT_EQ(owner("POST", "/admin/pool-users/" + id + "/disable").status, 200U);
    EXPECT_EQ(get(path).status, 410U);
    ASSERT_EQ(owner("POST", "/admin/pool-users/" + id + "/enable").status, 200U);
    EXPECT_EQ(ask(request("HEAD", path)).status, 200U);
    const shared::UnixMillis before = now_;
    now_ = now_.plus(std::chrono::hours(24));
    EXPECT_EQ(get(path).status, 410U);
    now_ = before;
    ASSERT_EQ(owner("POST", "/admin/pool-users/" + id + "/rotate").status, 200U);
    EXPECT_EQ(get(path).status, 410U);
    for (const char* unknown : {"0123456789abcdef0123456789abcdef", "x", "", "../codex"})
        EXPECT_GE(get("/config/codex/" + std::string(unknown)).status, 400U) << unknown;
    EXPECT_EQ(get("/setup/nothing/x").status, 404U);
}

TEST_F(SetupTest, TokensAreKeptHashed)
{
    const auto [id, links] = make_user();
    const auto file = shared::read_file(folder_.path() / "users.json", 1U << 20U, "");
    for (const auto& [cli, link] : links.items())
        EXPECT_EQ(file->bytes.find(link.at("token").get<std::string>()), std::string::npos);
}

TEST_F(SetupTest, NoHostHeaderGetsIntoAScript)
{
    const auto [id, links] = make_user();
    const std::string path = "/setup/codex/" + links.at("codex").at("token").get<std::string>();
    for (const char* evil :
         {"a'; touch bad; '",
          "$(touch bad)",
          "a b",
          "a\"b",
          "pool.test:0",
          "pool.test:99999",
          "pool.test:80:80",
          "user@pool.test",
          "pool.test/path",
          "-x",
          "",
          "[::1",
          "[x]",
          "a\nb",
          "pool.test?x",
          "[::1]x",
          "p\xC3\xBCl.test"}) {
        PageRequest asked = request("GET", path);
        asked.host = evil;
        const PageResponse refused = ask(asked);
        EXPECT_EQ(refused.status, 400U) << evil;
        EXPECT_THAT(refused.body, Not(HasSubstr("touch")));
    }
    for (const char* sane : {"pool.test", "10.0.0.1:80", "[2001:db8::1]:8989", "my_box.lan"}) {
        PageRequest asked = request("GET", path);
        asked.host = sane;
        EXPECT_THAT(ask(asked).body, HasSubstr("pool_url='http://" + std::string(sane) + "'\n"));
    }
}

TEST_F(SetupTest, ThePublicUrlBeatsTheHost)
{
    admin_ui::Routes routes(
        pool_.segment(), usage_, {true, "https://pool.example/x", "0.0.0.0:1", "", ""});
    routes.add_people(people_);
    const auto [id, links] = make_user();
    PageRequest asked =
        request("GET", "/setup/codex/" + links.at("codex").at("token").get<std::string>());
    asked.host = "evil.example";
    const PageResponse script = routes.answer(asked, now_, tests::kMonotonicUs);
    EXPECT_THAT(script.body, HasSubstr("pool_url='https://pool.example/x'\n"));
    EXPECT_THAT(script.body, Not(HasSubstr("evil.example")));
}

TEST_F(SetupTest, LocalModeNeedsNoLink)
{
    admin_ui::Routes local(pool_.segment(), usage_, {false, "", "127.0.0.1:8989", "", ""});
    local.add_people(people_);
    PageRequest asked = request("GET", "/setup/claude");
    asked.host = "127.0.0.1:8989";
    const PageResponse script = local.answer(asked, now_, tests::kMonotonicUs);
    EXPECT_EQ(script.status, 200U);
    EXPECT_THAT(
        script.body, HasSubstr("pool_config='http://127.0.0.1:8989/config/claude?format=shell'"));
    asked.path = "/config/claude";
    for (int i = 0; i < 2; ++i)
        EXPECT_EQ(local.answer(asked, now_, tests::kMonotonicUs).status, 200U);
    asked.path = "/status/setup";
    EXPECT_THAT(
        local.answer(asked, now_, tests::kMonotonicUs).body,
        HasSubstr("curl -fsSL &#39;http://127.0.0.1:8989/setup/codex&#39; | bash"));
    EXPECT_EQ(get("/setup/claude").status, 404U); // a shared pool
    const auto [id, links] = make_user();
    asked.path = "/config/codex/" + links.at("codex").at("token").get<std::string>();
    EXPECT_EQ(local.answer(asked, now_, tests::kMonotonicUs).status, 503U);
}

TEST_F(SetupTest, UndoAndPowerShell)
{
    EXPECT_THAT(get("/setup/undo").body, HasSubstr("undo \"$@\"\n"));
    EXPECT_THAT(get("/setup/undo", "shell=powershell").body, HasSubstr("$PoolUndo = $true"));
    const auto [id, links] = make_user();
    const std::string path = "/setup/gemini/" + links.at("gemini").at("token").get<std::string>();
    EXPECT_THAT(get(path, "shell=powershell").body, HasSubstr("$PoolCli = 'gemini'\n"));
    PageRequest browser = request("GET", path);
    browser.accept = "text/html";
    EXPECT_THAT(ask(browser).body, HasSubstr("<h1>Set up your CLI</h1>"));
}

class UsersTest : public PeopleTest {
protected:
    PageResponse form(const std::string& path, const std::string& body, bool by_session = true)
    {
        PageRequest asked = as_owner(request("POST", path, body));
        asked.content_type = "application/x-www-form-urlencoded";
        asked.accept = "text/html";
        asked.caller.by_session = by_session;
        return ask(asked);
    }
};

TEST_F(UsersTest, TheOwnerMakesAndChangesThem)
{
    const auto [id, links] = make_user(
        R"({"email":"a@example.com","name":"Ann","plan_type":"team","limits":{"tokens_per_day":5}})");
    const PageResponse shown = owner("GET", "/admin/pool-users/" + id);
    const Json user = Json::parse(shown.body);
    EXPECT_EQ(user.at("plan_type"), "team");
    EXPECT_EQ(user.at("limits").at("tokens_per_day"), 5);
    EXPECT_EQ(user.at("own_limits"), Json({{"tokens_per_day", 5}}));
    EXPECT_EQ(header(shown, "ETag"), "\"1\"");
    EXPECT_EQ(user.at("open_setup_links"), 3);

    EXPECT_EQ(
        owner(
            "POST",
            "/admin/pool-users/" + id + "/limits",
            R"({"tokens_per_day":null,"concurrency":2})")
            .status,
        200U);
    const shared::UserRecord record =
        shared::read_user(pool_.segment(), shared::find_user(pool_.segment(), id), now_);
    EXPECT_EQ(record.limits.tokens_per_day, 0U);
    EXPECT_EQ(record.limits.concurrency, 2U);
    EXPECT_EQ(owner("POST", "/admin/pool-users/" + id, R"({"name":"Anna"})").status, 200U);
    EXPECT_EQ(people_.store().find(id)->name, "Anna");

    EXPECT_EQ(owner("POST", "/admin/pool-users/" + id + "/rotate").status, 200U);
    EXPECT_EQ(standing(id), shared::UserStanding::revoked);
    EXPECT_EQ(owner("POST", "/admin/pool-users/" + id + "/disable").status, 200U);
    EXPECT_EQ(standing(id, 2), shared::UserStanding::disabled);
    EXPECT_EQ(owner("POST", "/admin/pool-users/" + id + "/enable").status, 200U);
    const PageResponse invited = owner("POST", "/admin/pool-users/" + id + "/invite");
    EXPECT_EQ(Json::parse(invited.body).at("setup").size(), 3U);
    EXPECT_EQ(owner("DELETE", "/admin/pool-users/" + id).status, 200U);
    EXPECT_EQ(standing(id, 2), shared::UserStanding::unknown);
    EXPECT_EQ(Json::parse(owner("GET", "/admin/pool-users").body).at("count"), 0);
}

TEST_F(UsersTest, WhatIsWrongIsSaid)
{
    const auto [id, links] = make_user();
    const std::string path = "/admin/pool-users/" + id;
    EXPECT_EQ(owner("POST", path + "/limits", R"({"share_percent":101})").status, 400U);
    EXPECT_EQ(owner("POST", path + "/limits", R"({"providers":"claude,cloud"})").status, 400U);
    EXPECT_EQ(owner("POST", path, R"({"plan_type":"a b"})").status, 400U);
    EXPECT_EQ(owner("POST", path + "/explode").status, 404U);
    EXPECT_EQ(owner("POST", "/admin/pool-users/none/disable").status, 404U);
    EXPECT_EQ(owner("GET", "/admin/pool-users/none").status, 404U);
    EXPECT_EQ(owner("PUT", path).status, 405U);
    EXPECT_EQ(owner("GET", path + "/disable").status, 405U);
    EXPECT_EQ(people_.store().find(id)->version, 1U);
}

TEST_F(UsersTest, TwoOwnersDoNotOverwriteEachOther)
{
    const auto [id, links] = make_user();
    const std::string path = "/admin/pool-users/" + id + "/limits";
    EXPECT_EQ(owner("POST", path, R"({"concurrency":1,"version":1})").status, 200U);
    EXPECT_EQ(owner("POST", path, R"({"concurrency":2,"version":1})").status, 409U);
    PageRequest asked = as_owner(request("POST", path, R"({"concurrency":3})"));
    asked.if_match = "\"1\"";
    EXPECT_EQ(ask(asked).status, 409U);
    asked.if_match = "\"2\"";
    EXPECT_EQ(ask(asked).status, 200U);
    asked.if_match = "\"two\"";
    EXPECT_EQ(ask(asked).status, 400U);
    EXPECT_EQ(people_.store().find(id)->limits.concurrency, 3U);
    // A link that is used or made is no change that anybody could overwrite.
    ASSERT_EQ(
        get("/config/codex/" + links.at("codex").at("token").get<std::string>()).status, 200U);
    EXPECT_EQ(people_.store().find(id)->version, 3U);
}

TEST_F(UsersTest, AFormNeedsTheTokenOfItsSession)
{
    const auto [id, links] = make_user();
    const std::string path = "/admin/pool-users/" + id + "/disable";
    EXPECT_EQ(form(path, "").status, 403U);
    EXPECT_EQ(form(path, "csrf=wrong").status, 403U);
    EXPECT_EQ(form(path, "csrf=" + people_.csrf_token(id)).status, 403U); // a user's
    EXPECT_FALSE(people_.store().find(id)->disabled);
    EXPECT_EQ(form("/logout", "").status, 403U);
    EXPECT_EQ(form(path, "csrf=" + people_.csrf_token("owner")).status, 303U);
    EXPECT_TRUE(people_.store().find(id)->disabled);
    PageRequest by_header = as_owner(request("POST", "/admin/pool-users/" + id + "/enable"));
    by_header.caller.by_session = true;
    by_header.csrf_token = people_.csrf_token("owner");
    EXPECT_EQ(ask(by_header).status, 200U);
    by_header.origin = "http://pool.test:8989";
    EXPECT_EQ(ask(by_header).status, 200U);
    by_header.origin = "http://evil.example";
    EXPECT_EQ(ask(by_header).status, 403U);
    EXPECT_EQ(form(path, "", false).status, 303U); // HTTP Basic: no browser sends it by itself
}

TEST_F(UsersTest, ThePageShowsNamesAsText)
{
    const std::string evil = R"(<script>alert('x')</script>"&)";
    const auto [id, links] = make_user(Json{{"name", evil}, {"email", "<b>@x\">"}}.dump());
    for (const char* path : {"/status/people", "/status/setup"}) {
        PageRequest asked = as_owner(request("GET", path));
        asked.accept = "text/html";
        const PageResponse page = ask(asked);
        EXPECT_EQ(page.status, 200U);
        EXPECT_THAT(page.body, AllOf(Not(HasSubstr("<script>alert")), Not(HasSubstr("<b>"))));
        EXPECT_THAT(header(page, "Content-Security-Policy"), HasSubstr("script-src 'self'"));
    }
    EXPECT_THAT(
        owner("GET", "/status/people").body,
        HasSubstr("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
    EXPECT_THAT(get("/").body, AllOf(HasSubstr("Fr&lt;i&gt;ends"), HasSubstr("tag &amp; line")));
    EXPECT_THAT(ask(as_user(request("GET", "/me"), id)).body, Not(HasSubstr("<script>alert")));
}

TEST_F(UsersTest, ABrokenFileIsShownAndSurvivesTheFirstUser)
{
    folder_.write("users.json", "{broken");
    EXPECT_THAT(owner("GET", "/status/people").body, HasSubstr("no JSON list"));
    EXPECT_EQ(Json::parse(owner("GET", "/admin/pool-users").body).at("problems").size(), 1U);
    (void)make_user();
    EXPECT_THAT(owner("GET", "/status/people").body, Not(HasSubstr("no JSON list")));
    std::size_t kept = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
        kept += entry.path().filename().string().starts_with("users.json.broken-") ? 1 : 0;
    EXPECT_EQ(kept, 1U);
}

TEST_F(UsersTest, TextForTheCommandLine)
{
    const auto [id, links] = make_user(R"({"name":"Ann"})");
    PageRequest asked = as_owner(request("GET", "/admin/pool-users"));
    asked.query = "format=text";
    EXPECT_THAT(ask(asked).body, AllOf(HasSubstr("THIS WEEK"), HasSubstr(id + "  Ann")));
    asked.path += "/" + id;
    EXPECT_THAT(
        ask(asked).body, AllOf(HasSubstr("limits      none"), HasSubstr("state       active")));
}

using SessionTest = PeopleTest;

TEST_F(SessionTest, AFriendJoinsOnThePage)
{
    PageRequest asked = request("POST", "/login", "code=the+friend+code&email=a%40example.com");
    asked.content_type = "application/x-www-form-urlencoded";
    asked.accept = "text/html";
    const PageResponse joined = ask(asked);
    ASSERT_EQ(joined.status, 200U);
    const std::string id = people_.store().find_email("a@example.com")->id;
    EXPECT_THAT(
        joined.body,
        AllOf(
            HasSubstr("curl -fsSL &#39;http://pool.test:8989/setup/codex/"),
            HasSubstr("undo.sh claude"),
            HasSubstr(people_.csrf_token(id))));
    EXPECT_THAT(header(joined, "Set-Cookie"), HasSubstr("poolsession_" + id));
    EXPECT_THAT(
        get("/login").body, AllOf(HasSubstr("name=\"code\""), HasSubstr("name=\"password\"")));
}

TEST_F(SessionTest, AUserSignsInAgainWithAKey)
{
    const std::string id = make_user().first;
    const admin_ui::User user = *people_.store().find(id);
    const auto key = [&](std::string_view prefix, std::uint32_t generation = 1) {
        return people_.key().issue(prefix, id, generation, now_);
    };
    const auto sign_in = [this](const std::string& text) {
        return ask(request("POST", "/login", Json({{"key", text}}).dump()));
    };
    const PageResponse in = sign_in(" " + key("sk-pool-") + "\n");
    EXPECT_EQ(in.status, 303U) << in.body;
    EXPECT_EQ(header(in, "Location"), "/me");
    EXPECT_NE(header(in, "Set-Cookie").find("poolsession_"), std::string::npos);
    // Neither a refresh token nor a session, old keys or somebody's id are keys.
    EXPECT_EQ(sign_in(key("poolrt_")).status, 403U);
    EXPECT_EQ(sign_in(people_.user_session(user, now_)).status, 403U);
    EXPECT_EQ(sign_in(key("sk-pool-", 2)).status, 403U);
    EXPECT_EQ(header(sign_in(id), "Set-Cookie"), "(absent)");
    // Further wrong ones cost time, also for a right one.
    EXPECT_EQ(sign_in("x").status, 429U);
    EXPECT_EQ(sign_in(key("sk-pool-")).status, 429U);
    now_ = now_.plus(std::chrono::minutes(20));
    EXPECT_EQ(sign_in(key("sk-pool-")).status, 303U);
    EXPECT_EQ(owner("POST", "/admin/pool-users/" + id + "/disable").status, 200U);
    EXPECT_EQ(sign_in(key("sk-pool-")).status, 403U);
}

TEST_F(SessionTest, TheOwnerSignsInWithThePassword)
{
    PageRequest asked = request("POST", "/login", R"({"password":"wrong"})");
    EXPECT_EQ(ask(asked).status, 403U);
    asked.body = R"({"password":"the password"})";
    const PageResponse signed_in = ask(asked);
    EXPECT_EQ(signed_in.status, 303U);
    const std::string cookie = header(signed_in, "Set-Cookie");
    const std::size_t begin = cookie.find('=') + 1;
    const auto session = people_.key().verify(cookie.substr(begin, cookie.find(';') - begin), now_);
    ASSERT_TRUE(session.has_value());
    EXPECT_EQ(session->user, "owner");
    EXPECT_EQ(
        session->generation, people_.key().owner_generation(people_.settings().admin_password));
    EXPECT_EQ(session->use, shared::CredentialUse::session);
    asked.fetch_site = "cross-site";
    EXPECT_EQ(ask(asked).status, 403U);
}

TEST_F(SessionTest, MyPageIsMine)
{
    const auto [id, links] = make_user(R"({"name":"Ann"})");
    const auto [other, others_links] = make_user(R"({"name":"Bob"})");
    const PageResponse page = ask(as_user(request("GET", "/me"), id));
    EXPECT_EQ(page.status, 200U);
    EXPECT_THAT(page.body, AllOf(HasSubstr("<h1>Ann</h1>"), Not(HasSubstr("Bob"))));
    EXPECT_EQ(ask(as_user(request("POST", "/me/rotate"), id)).status, 403U);
    PageRequest rotate = as_user(request("POST", "/me/rotate"), id);
    rotate.csrf_token = people_.csrf_token(id);
    const PageResponse rotated = ask(rotate);
    EXPECT_EQ(rotated.status, 303U);
    EXPECT_THAT(header(rotated, "Set-Cookie"), HasSubstr("poolsession_" + id + ".2."));
    EXPECT_EQ(standing(id), shared::UserStanding::revoked);
    EXPECT_EQ(standing(other), shared::UserStanding::active);
    PageRequest lines = as_user(request("POST", "/me/setup"), id);
    lines.csrf_token = people_.csrf_token(id);
    EXPECT_THAT(ask(lines).body, HasSubstr("/setup/gemini/"));
    PageRequest out = as_user(request("POST", "/logout"), id);
    out.csrf_token = people_.csrf_token(id);
    EXPECT_THAT(header(ask(out), "Set-Cookie"), HasSubstr("codex_pool_session=; "));
    EXPECT_EQ(ask(as_user(request("GET", "/me"), "gone")).status, 303U);
}

class TokenTest : public PeopleTest {
protected:
    PageResponse renew(const std::string& token, const std::string& grant = "refresh_token")
    {
        return ask(request(
            "POST",
            "/oauth/token",
            Json{{"client_id", "x"}, {"grant_type", grant}, {"refresh_token", token}}.dump()));
    }

    std::string refresh_token(const Json& links)
    {
        const std::string token = links.at("codex").at("token");
        return Json::parse(get("/config/codex/" + token).body).at("tokens").at("refresh_token");
    }
};

TEST_F(TokenTest, ARefreshTokenBringsNewTokens)
{
    const auto [id, links] = make_user(R"({"email":"a@example.com"})");
    const PageResponse renewed = renew(refresh_token(links));
    ASSERT_EQ(renewed.status, 200U) << renewed.body;
    const Json tokens = Json::parse(renewed.body);
    EXPECT_EQ(tokens.at("token_type"), "Bearer");
    EXPECT_GT(tokens.at("expires_in").get<std::int64_t>(), 3600);
    const auto access = people_.key().verify(tokens.at("access_token").get<std::string>(), now_);
    ASSERT_TRUE(access.has_value());
    EXPECT_EQ(access->user, id);
    EXPECT_EQ(renew(tokens.at("refresh_token")).status, 200U);
}

TEST_F(TokenTest, NothingElseDoes)
{
    const auto [id, links] = make_user();
    const std::string token = refresh_token(links);
    const shared::CredentialKey foreign(shared::Secret("another secret of thirty-two characters"));
    const std::vector<std::string> bad{
        "",
        "poolrt_" + id,
        "poolrt_" + id + "_0123456789abcdef0123456789abcdef",
        token.substr(0, token.size() - 1),
        token + "x",
        foreign.issue(shared::kRefreshPrefix, id, 1, now_),
        people_.key().issue(shared::kSessionPrefix, id, 1, now_),
        people_.key().issue("sk-pool-", id, 1, now_),
        people_.key().issue(shared::kRefreshPrefix, "nobody", 1, now_),
        people_.key().issue(shared::kRefreshPrefix, "owner", 1, now_),
        people_.key().issue(shared::kRefreshPrefix, id, 2, now_)};
    for (const std::string& each : bad) {
        const PageResponse refused = renew(each);
        EXPECT_TRUE(refused.status == 400 || refused.status == 401) << each;
        EXPECT_TRUE(Json::parse(refused.body).contains("error"));
        EXPECT_THAT(refused.body, Not(HasSubstr("access_token")));
    }
    EXPECT_EQ(renew(token, "authorization_code").status, 400U);
    EXPECT_EQ(get("/oauth/token").status, 405U);
    ASSERT_EQ(owner("POST", "/admin/pool-users/" + id + "/disable").status, 200U);
    EXPECT_EQ(renew(token).status, 401U);
    ASSERT_EQ(owner("POST", "/admin/pool-users/" + id + "/enable").status, 200U);
    EXPECT_EQ(renew(token).status, 200U);
    ASSERT_EQ(
        owner("POST", "/admin/pool-users/" + id + "/limits", R"({"expires_at":"2025-11-01"})")
            .status,
        200U);
    EXPECT_EQ(renew(token).status, 401U);
    ASSERT_EQ(
        owner("POST", "/admin/pool-users/" + id + "/limits", R"({"expires_at":null})").status,
        200U);
    ASSERT_EQ(owner("POST", "/admin/pool-users/" + id + "/rotate").status, 200U);
    EXPECT_EQ(renew(token).status, 401U);
}

} // namespace
