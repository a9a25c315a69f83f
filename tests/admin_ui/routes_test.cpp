#include "admin_ui/assets.hpp"
#include "admin_ui/routes.hpp"
#include "tests/admin_ui/pool_fixture.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstring>
#include <string>
#include <string_view>

namespace {

using namespace admin_ui;
using nlohmann::json;
using tests::kNow;
using tests::PoolFixture;

class RoutesTest : public testing::Test {
protected:
    PageResponse ask(const PageRequest& request)
    {
        return routes_.answer(request, kNow, tests::kMonotonicUs);
    }

    PageResponse
    get(const std::string& path, const std::string& query = "", const std::string& accept = "")
    {
        PageRequest request;
        request.path = path;
        request.query = query;
        request.accept = accept;
        request.host = "127.0.0.1:8989";
        return ask(request);
    }

    static std::string header(const PageResponse& response, std::string_view name)
    {
        for (const auto& field : response.headers)
            if (field.name == name) return field.value;
        return "(absent)";
    }

    PoolFixture pool_;
    tests::TempDir folder_;
    UsageQuery usage_{folder_.path() / "none.db"};
    Routes routes_{pool_.segment(), usage_, {false, "", "127.0.0.1:8989", "", ""}};
};

TEST_F(RoutesTest, EveryPageAnswersSafely)
{
    pool_.add_account("codex:a");
    for (const char* path :
         {"/",
          "/status",
          "/metrics",
          "/favicon.ico",
          "/admin/accounts",
          "/admin/requests",
          "/static/style.css",
          "/static/app.js"}) {
        const PageResponse page = get(path);
        EXPECT_EQ(page.status, 200U) << path;
        EXPECT_FALSE(page.body.empty()) << path;
        EXPECT_EQ(header(page, "X-Content-Type-Options"), "nosniff");
        EXPECT_TRUE(header(page, "Content-Security-Policy").starts_with("default-src 'none';"));
        EXPECT_EQ(header(page, "Referrer-Policy"), "same-origin");
        EXPECT_NE(header(page, "Content-Type"), "");
        EXPECT_NE(header(page, "Cache-Control"), "(absent)");
    }
    EXPECT_EQ(header(get("/status"), "Cache-Control"), "no-store");
    EXPECT_EQ(get("/status/").status, 200U);
}

TEST_F(RoutesTest, StatusIsHtmlOrJsonAsAsked)
{
    EXPECT_EQ(header(get("/status"), "Content-Type"), "text/html; charset=utf-8");
    EXPECT_EQ(
        header(get("/status", "", "text/html,application/json;q=0.9"), "Content-Type"),
        "text/html; charset=utf-8");
    for (const PageResponse& page :
         {get("/status", "", "application/json"), get("/status", "a=b&format=json", "text/html")}) {
        EXPECT_EQ(header(page, "Content-Type"), "application/json");
        EXPECT_EQ(json::parse(page.body)["status"], "empty");
    }
}

TEST_F(RoutesTest, OtherMethodsAreNamedInAllow)
{
    PageRequest request;
    for (const char* path : {"/", "/status", "/admin/accounts", "/static/style.css"}) {
        request.path = path;
        request.method = "DELETE";
        const PageResponse refused = ask(request);
        EXPECT_EQ(refused.status, 405U) << path;
        EXPECT_EQ(header(refused, "Allow"), "GET, HEAD");
        request.method = "HEAD";
        EXPECT_EQ(ask(request).status, 200U) << path;
    }
    request.path = "/admin/reload";
    request.method = "GET";
    const PageResponse refused = ask(request);
    EXPECT_EQ(refused.status, 405U);
    EXPECT_EQ(header(refused, "Allow"), "POST");
}

TEST_F(RoutesTest, WhatIsNotThereIs404InTheClientsLanguage)
{
    for (const char* path : {"/admin", "/admin/nothing", "/static/", "/static/status.html", "/x"}) {
        const PageResponse page = get(path, "", "text/html");
        EXPECT_EQ(page.status, 404U) << path;
        EXPECT_EQ(header(page, "Content-Type"), "text/html; charset=utf-8");
        EXPECT_EQ(json::parse(get(path).body).count("error"), 1U);
    }
}

TEST_F(RoutesTest, AssetsAreRevalidatedByTheirTag)
{
    const std::string tag = header(get("/static/style.css"), "ETag");
    PageRequest request;
    request.path = "/static/style.css";
    request.if_none_match = "\"other\", " + tag;
    const PageResponse same = ask(request);
    EXPECT_EQ(same.status, 304U);
    EXPECT_TRUE(same.body.empty());
    request.if_none_match = "\"other\"";
    EXPECT_EQ(ask(request).status, 200U);
    EXPECT_EQ(header(get("/static/style.css"), "Cache-Control"), "public, no-cache");
    EXPECT_EQ(
        header(get("/static/" + assets_version() + "/style.css"), "Cache-Control"),
        "public, max-age=31536000, immutable");
    request.accept_encoding = "br, gzip";
    const PageResponse small = ask(request);
    EXPECT_EQ(header(small, "Content-Encoding"), "gzip");
    EXPECT_EQ(header(small, "Vary"), "Accept-Encoding");
    EXPECT_EQ(small.body.substr(0, 2), "\x1f\x8b");
    request.accept_encoding = "gzip;q=0";
    EXPECT_EQ(header(ask(request), "Content-Encoding"), "(absent)");
}

TEST_F(RoutesTest, ReloadIsAskedForByPostFromHereOnly)
{
    PageRequest request;
    request.method = "POST";
    request.path = "/admin/reload";
    request.host = "127.0.0.1:8989";
    EXPECT_TRUE(ask(request).question.has_value());
    request.origin = "http://127.0.0.1:8989";
    request.fetch_site = "same-origin";
    EXPECT_TRUE(ask(request).question.has_value());
    request.origin = "https://evil.example";
    EXPECT_EQ(ask(request).status, 403U);
    request.origin = "null";
    EXPECT_EQ(ask(request).status, 403U);
    request.origin.clear();
    request.fetch_site = "cross-site";
    EXPECT_EQ(ask(request).status, 403U);
}

TEST_F(RoutesTest, TheAnswerToAReloadNamesBrokenFiles)
{
    PageRequest request;
    admin_ui::Question question;
    question.message.type = shared::MessageType::reload;
    shared::Message answer;
    answer.type = shared::MessageType::reloaded;
    const auto reloaded = [&](std::uint64_t broken) {
        answer.value = broken;
        return routes_.answer_response(request, question, answer, tests::kNow).body;
    };
    EXPECT_EQ(reloaded(0), "ok\n");
    pool_.set_problems("/pool/x.json: is empty", 1);
    EXPECT_EQ(reloaded(1), "ok, but 1 file is not in service:\n/pool/x.json: is empty\n");
    request.accept = "application/json";
    EXPECT_EQ(json::parse(reloaded(1))["broken_files"], 1);
    EXPECT_EQ(Routes::no_answer(request, question).status, 504U);
}

PageRequest action_request(const std::string& path)
{
    PageRequest request;
    request.method = "POST";
    request.path = path;
    request.host = "127.0.0.1:8989";
    return request;
}

TEST_F(RoutesTest, ActionsAreAskedOfTheRefresherByPostFromHereOnly)
{
    pool_.add_account("codex:first");
    pool_.add_account("codex:a b");
    for (const auto& [name, action] : std::vector<std::pair<std::string, shared::AccountAction>>{
             {"enable", shared::AccountAction::enable},
             {"disable", shared::AccountAction::disable},
             {"clear", shared::AccountAction::clear},
             {"refresh", shared::AccountAction::refresh},
             {"test", shared::AccountAction::test}}) {
        PageRequest request = action_request("/admin/accounts/codex%3Aa%20b/" + name);
        const PageResponse page = ask(request);
        ASSERT_TRUE(page.question.has_value()) << name;
        EXPECT_EQ(page.question->message.type, shared::MessageType::account_action);
        EXPECT_EQ(page.question->message.action, action);
        EXPECT_EQ(page.question->message.value, 1U);
        EXPECT_EQ(page.question->account, "codex:a b");
        EXPECT_EQ(admin_ui::action_path("codex:a b", action), request.path);
        request.origin = "https://evil.example";
        EXPECT_EQ(ask(request).status, 403U) << name;
        request.origin.clear();
        request.method = "GET";
        EXPECT_EQ(ask(request).status, 405U) << name;
    }
}

TEST_F(RoutesTest, WhatIsNoActionIsNotAsked)
{
    pool_.add_account("codex:a");
    for (const char* path :
         {"/admin/accounts/codex:none/test",
          "/admin/accounts/codex:a/none",
          "/admin/accounts/codex:a/",
          "/admin/accounts//test",
          "/admin/accounts/codex:a/test/more",
          "/admin/accounts/%63odex%3/test"}) {
        const PageResponse page = ask(action_request(path));
        EXPECT_FALSE(page.question.has_value()) << path;
        EXPECT_EQ(page.status, 404U) << path;
    }
}

TEST_F(RoutesTest, OptionsAreCheckedBeforeTheyAreAsked)
{
    pool_.add_account("codex:a");
    PageRequest request = action_request("/admin/accounts/codex:a/options");
    request.body = R"({"priority":3,"weight":null})";
    const PageResponse good = ask(request);
    ASSERT_TRUE(good.question.has_value());
    EXPECT_EQ(good.question->options, request.body);
    for (const auto& [body, status] : std::vector<std::pair<std::string, unsigned>>{
             {"", 400U},
             {"[]", 400U},
             {R"({"priority":"high"})", 400U},
             {R"({"unknown":1})", 400U},
             {std::string(2001, ' '), 413U}}) {
        request.body = body;
        const PageResponse page = ask(request);
        EXPECT_FALSE(page.question.has_value()) << body;
        EXPECT_EQ(page.status, status) << body;
    }
    request.body = R"({"priority":"high"})";
    EXPECT_NE(ask(request).body.find("codex_pool.priority"), std::string::npos);
}

TEST_F(RoutesTest, AnActionsAnswerSaysWhatCameOfItAndTheStateNow)
{
    const auto slot = pool_.add_account("codex:a");
    pool_.edit(slot, [](auto&, shared::AccountRouting& routing) {
        routing.cooling_until = {tests::kNow.value + 60'000};
        routing.reason = "http_429";
    });
    admin_ui::Question question;
    question.message.type = shared::MessageType::account_action;
    question.message.action = shared::AccountAction::test;
    question.message.value = slot;
    question.account = "codex:a";
    shared::Message answer = question.message;
    answer.type = shared::MessageType::account_action_done;
    answer.value = slot | (429ULL << 32U);
    answer.result = shared::ActionResult::failed;
    PageRequest request = action_request("/admin/accounts/codex:a/test");
    const PageResponse page = routes_.answer_response(request, question, answer, tests::kNow);
    EXPECT_EQ(page.status, 502U);
    const json told = json::parse(page.body);
    EXPECT_EQ(told["status"], "failed");
    EXPECT_EQ(told["upstream_status"], 429);
    EXPECT_EQ(told["state"], "cooling");
    EXPECT_EQ(told["reason"], "http_429");

    answer.result = shared::ActionResult::done;
    answer.value = slot | (200ULL << 32U);
    EXPECT_EQ(routes_.answer_response(request, question, answer, tests::kNow).status, 200U);
    request.accept = "text/plain";
    EXPECT_EQ(
        routes_.answer_response(request, question, answer, tests::kNow).body,
        "The vendor served the test. codex:a is cooling.\n");
    request.accept = "text/html,*/*";
    const PageResponse back = routes_.answer_response(request, question, answer, tests::kNow);
    EXPECT_EQ(back.status, 303U) << "a browser without scripts goes back to the page";
    EXPECT_EQ(header(back, "Location"), "/status");
    for (const auto& [result, status] : std::vector<std::pair<shared::ActionResult, unsigned>>{
             {shared::ActionResult::no_account, 404U},
             {shared::ActionResult::refused, 409U},
             {shared::ActionResult::unavailable, 503U}}) {
        answer.result = result;
        EXPECT_EQ(routes_.answer_response(request, question, answer, tests::kNow).status, status);
    }
}

TEST_F(RoutesTest, RequestsTakeALimit)
{
    EXPECT_EQ(get("/admin/requests", "limit=5").body, "[]\n");
    for (const char* odd :
         {"limit=x", "limit=-1", "limit=0", "limit=5x", "limit=99999999999999999999"})
        EXPECT_EQ(get("/admin/requests", odd).status, 400U) << odd;
    EXPECT_EQ(get("/admin/requests", "limit=").status, 200U);
}

TEST_F(RoutesTest, ABrokenHistoryLeavesThePagesUp)
{
    UsageQuery broken(folder_.write("broken.db", std::string(4096, 'x')));
    Routes routes(pool_.segment(), broken, {});
    PageRequest request;
    request.path = "/status";
    request.accept = "text/html";
    const PageResponse page = routes.answer(request, kNow, 0);
    EXPECT_EQ(page.status, 200U);
    EXPECT_NE(page.body.find("cannot read the usage database"), std::string::npos);
    request.path = "/admin/accounts";
    EXPECT_EQ(routes.answer(request, kNow, 0).status, 200U);
    request.path = "/admin/requests";
    EXPECT_EQ(routes.answer(request, kNow, 0).status, 503U);
}

TEST_F(RoutesTest, InSharedModeTheFrontPageShowsNameAndTaglineOnly)
{
    pool_.add_account("codex:secret-name");
    Routes routes(pool_.segment(), usage_, {true, "", "0.0.0.0:1", "Fr<i>ends", "tag & line"});
    PageRequest request;
    const PageResponse page = routes.answer(request, kNow, 0);
    EXPECT_NE(page.body.find("Fr&lt;i&gt;ends"), std::string::npos);
    EXPECT_NE(page.body.find("tag &amp; line"), std::string::npos);
    EXPECT_EQ(page.body.find("secret-name"), std::string::npos);
    EXPECT_EQ(page.body.find("account can serve"), std::string::npos);
}

TEST_F(RoutesTest, WhyTellsOfARequestAsTextJsonAndPage)
{
    const std::uint16_t account = pool_.add_account("codex:<a>");
    (void)shared::DecisionWriter::begin(pool_.segment().decisions[3], [&](shared::Decision& d) {
        std::memcpy(d.request_id.data(), "0123456789abcdef", 16);
        d.started_at = kNow;
        d.user = "anna";
        d.model = "m<odel";
        d.path = "/v1/responses";
        d.provider = 1;
        d.attempts[0] = {};
        d.attempts[0].account = {account};
        d.attempts_total = 1;
        d.outcome = shared::RequestOutcome::client_gone;
    });
    const auto text = get("/admin/why", "id=0123456789abcdef&format=text");
    EXPECT_EQ(text.status, 200U);
    EXPECT_EQ(header(text, "Content-Type"), "text/plain; charset=utf-8");
    EXPECT_NE(text.body.find("by anna"), std::string::npos) << text.body;
    EXPECT_NE(text.body.find("codex:<a>"), std::string::npos) << text.body;

    const auto found = get("/admin/why", "id=0123456789abcdef");
    EXPECT_EQ(found.status, 200U);
    const json values = json::parse(found.body);
    EXPECT_EQ(values["attempts"][0]["account"], "codex:<a>");
    EXPECT_EQ(values["outcome"], "client_gone");
    EXPECT_EQ(values["text"], text.body);

    const auto page = get("/status/why", "id=0123456789abcdef", "text/html");
    EXPECT_EQ(page.status, 200U);
    EXPECT_NE(page.body.find("m&lt;odel"), std::string::npos) << page.body;
    EXPECT_EQ(page.body.find("m<odel"), std::string::npos);
}

TEST_F(RoutesTest, WhyOfWhatIsNotKnown)
{
    EXPECT_EQ(get("/admin/why", "id=0123456789abcdee").status, 404U);
    EXPECT_EQ(get("/admin/why", "id=0123456789abcdee&format=text").status, 404U);
    for (const char* id : {"", "1", "0123456789abcdefa", "0123456789ABCDEF", "../../../../etc/p"}) {
        EXPECT_EQ(get("/admin/why", "id=" + std::string(id)).status, 400U) << id;
        EXPECT_EQ(get("/status/why", "id=" + std::string(id)).status, 400U) << id;
    }
    const auto page = get("/status/why", "id=%3Cscript%3E<script>alert(1)</script>", "text/html");
    EXPECT_EQ(page.body.find("<script>alert"), std::string::npos);
    EXPECT_EQ(get("/status/nothing").status, 404U);
}

TEST_F(RoutesTest, AccountsAsATable)
{
    const std::uint16_t a = pool_.add_account("codex:work");
    pool_.set_window(a, 5 * 3600, 0.2, 90 * 60'000);
    pool_.set_window(a, 7 * 24 * 3600, 0.38, 52 * 3'600'000LL);
    pool_.add_account("claude:\x1B[2Jhome", shared::AccountState::needs_login, "invalid_grant");
    const auto table = get("/admin/accounts", "format=text");
    EXPECT_EQ(header(table, "Content-Type"), "text/plain; charset=utf-8");
    EXPECT_EQ(
        table.body,
        "ACCOUNT          STATE        WEEK USED         5 H USED             IN FLIGHT  NOTE\n"
        "claude:?[2Jhome  needs_login  -                 -                    0          the "
        "vendor no longer knows its refresh token\n"
        "codex:work       ready        38 %, in 2 d 4 h  20 %, in 1 h 30 min  0\n"
        "\n"
        "1 account of 2 can serve (1 needs login).\n");
    EXPECT_EQ(header(get("/admin/accounts"), "Content-Type"), "application/json");
}

TEST_F(RoutesTest, APoolUserSeesNeitherAccountsNorOthers)
{
    const auto slot = pool_.add_account("codex:secret-name");
    pool_.set_window(slot, 18000, 0.5, 7'200'000);
    PageRequest request;
    request.caller.role = CallerRole::user;
    request.caller.user = "ann";
    const auto body = [&](const std::string& path, const std::string& query = "") {
        request.path = path;
        request.query = query;
        return ask(request);
    };
    for (const char* path : {"/status", "/status/usage", "/api/pool/stats", "/api/pool/users"}) {
        const PageResponse page = body(path);
        EXPECT_EQ(page.status, 200U) << path;
        for (const char* secret :
             {"secret-name", "owner@example.com", "/status/requests", "acct-77"})
            EXPECT_EQ(page.body.find(secret), std::string::npos) << path << secret;
    }
    EXPECT_NE(body("/status").body.find("ann"), std::string::npos);
    EXPECT_EQ(body("/status", "format=json").body.find("secret-name"), std::string::npos);
    EXPECT_EQ(body("/status/usage", "group=account").status, 400U);
    EXPECT_EQ(body("/status/usage", "group=user").status, 400U);
    EXPECT_EQ(body("/status/usage", "user=bob").status, 400U);
    EXPECT_EQ(body("/status/usage", "group=model&user=ann").status, 200U);
    EXPECT_EQ(body("/api/pool/users/ann/daily").status, 200U);
    EXPECT_EQ(body("/api/pool/users/bob/daily").status, 403U);
    EXPECT_EQ(json::parse(body("/api/pool/whoami").body)["user_id"], "ann");
}

TEST_F(RoutesTest, LargeAnswersGoCompressedToThoseWhoTakeIt)
{
    for (int i = 0; i < 20; ++i)
        pool_.add_account("codex:" + std::to_string(i));
    PageRequest request;
    request.path = "/status";
    request.accept_encoding = "gzip, br";
    const PageResponse small = ask(request);
    EXPECT_EQ(header(small, "Content-Encoding"), "gzip");
    request.accept_encoding.clear();
    const PageResponse plain = ask(request);
    EXPECT_EQ(header(plain, "Content-Encoding"), "(absent)");
    EXPECT_LT(small.body.size() * 4, plain.body.size());
    request.accept_encoding = "gzip";
    request.path = "/admin/live";
    EXPECT_EQ(header(ask(request), "Content-Encoding"), "(absent)") << "a stream is not held back";
}

TEST_F(RoutesTest, LiveCanBeAskedForOnce)
{
    pool_.add_account("codex:a");
    const PageResponse once = get("/admin/live", "once=1&running=1000");
    EXPECT_EQ(header(once, "Content-Type"), "application/json");
    EXPECT_FALSE(once.live);
    EXPECT_EQ(json::parse(once.body)["accounts"][0]["id"], "codex:a");
    EXPECT_TRUE(get("/admin/live").live);
}

TEST_F(RoutesTest, SillyQuestionsToTheHistoryGetASentence)
{
    for (const auto& [path, query] :
         {std::pair{"/admin/usage", "by=year"},
          {"/admin/requests", "status=9"},
          {"/admin/requests", "status=099"},
          {"/admin/requests", "outcome=great"},
          {"/admin/requests", "from=2026-01-02&to=2026-01-01"},
          {"/admin/requests", "before=0"},
          {"/admin/requests", "unknown=1"},
          {"/admin/live", "format=xml"},
          {"/admin/live", "once=2"},
          {"/admin/live", "once=1&running=1001"},
          {"/admin/why", "id=0123456789abcdef&row=-1"},
          {"/api/pool/hourly", "hours=169"},
          {"/api/pool/users/a/daily", "days=91"}}) {
        const PageResponse refused = get(path, query);
        EXPECT_EQ(refused.status, 400U) << path << query;
        EXPECT_TRUE(json::parse(refused.body)["error"].get<std::string>().ends_with('.')) << query;
    }
    const std::string page =
        get("/status/requests", "model=%3Cscript%3Ealert(1)", "text/html").body;
    EXPECT_NE(page.find("&lt;script&gt;alert(1)"), std::string::npos);
    EXPECT_EQ(page.find("<script>alert"), std::string::npos);
}

} // namespace
