/// What changes accounts: who may, what a browser's session has to show, what goes to the refresher.
#include "tests/admin_ui/people_fixture.hpp"

namespace tests {
namespace {

using shared::AccountAction;
using shared::UploadEnd;

class AccountRoutes : public PeopleTest {
protected:
    void SetUp() override
    {
        PeopleTest::SetUp();
        pool_.add_account("codex:a");
        const auto [id, setup] = make_user();
        user_ = id;
        pool_.edit(pool_.add_account("gemini:theirs"), [&](auto& identity, auto&) {
            identity.owner.assign(user_);
        });
    }

    /// As the owner's browser sends it.
    static PageRequest by_cookie(PageRequest made)
    {
        made = as_owner(std::move(made));
        made.caller.by_session = true;
        return made;
    }

    static PageRequest with_form(PageRequest made, const std::string& csrf, const std::string& file)
    {
        made.content_type = "multipart/form-data; boundary=b";
        const auto part = [](const std::string& name, const std::string& content) {
            return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" +
                   content + "\r\n";
        };
        made.body = part("csrf", csrf) + part("file", file) + part("text", "") +
                    part("provider", "gemini") + part("name", " main ") + "--b--\r\n";
        return made;
    }

    [[nodiscard]] std::string token(const std::string& caller) const
    {
        return people_.csrf_token(caller);
    }

    PageResponse answered(const PageRequest& asked, PageResponse made, UploadEnd end)
    {
        const shared::UploadAnswer told{end, "gemini:main", "It is <b>there</b>."};
        EXPECT_TRUE(shared::answer_upload(made.question->upload.get(), told).has_value());
        shared::Message answer = made.question->message;
        return routes_.answer_response(asked, *made.question, answer, now_);
    }

    std::string user_;
    admin_ui::Routes taking_{pool_.segment(), usage_, {true, "", "0.0.0.0:8989", "", "", {}, false, true}};
};

TEST_F(AccountRoutes, ASessionShowsItsTokenForEveryChange)
{
    for (const char* path :
         {"/admin/accounts/codex:a/disable", "/admin/accounts/codex:a/test", "/admin/reload"}) {
        PageRequest asked = by_cookie(request("POST", path));
        EXPECT_EQ(ask(asked).status, 403U) << path;
        asked.csrf_token = token("somebody");
        EXPECT_EQ(ask(asked).status, 403U) << path;
        asked.csrf_token = token("owner");
        EXPECT_TRUE(ask(asked).question.has_value()) << path;
        asked.csrf_token.clear();
        asked.body = "csrf=" + token("owner");
        EXPECT_TRUE(ask(asked).question.has_value()) << path;
        asked.origin = "https://evil.example";
        EXPECT_EQ(ask(asked).status, 403U) << path;
    }
    PageRequest upload = with_form(by_cookie(request("POST", "/admin/accounts")), "wrong", "{}");
    EXPECT_EQ(ask(upload).status, 403U);
    upload = with_form(by_cookie(request("POST", "/admin/accounts")), token("owner"), "{}");
    EXPECT_TRUE(ask(upload).question.has_value());
    PageRequest pause = as_user(request("POST", "/api/pool/accounts/gemini:theirs/pause"), user_);
    EXPECT_EQ(ask(pause).status, 403U);
    pause.csrf_token = token(user_);
    EXPECT_TRUE(ask(pause).question.has_value());
    // Scripts come without a cookie, so no page can send them.
    EXPECT_TRUE(ask(as_owner(request("POST", "/admin/reload"))).question.has_value());
}

TEST_F(AccountRoutes, ThePoolPagesFormsHoldTheToken)
{
    PageRequest asked = by_cookie(request("GET", "/status"));
    asked.accept = "text/html";
    const std::string page = ask(asked).body;
    std::size_t forms = 0;
    for (std::size_t at = page.find("<form"); at != std::string::npos;
         at = page.find("<form", at)) {
        const std::size_t end = page.find("</form>", at);
        const std::string form = page.substr(at, end - at);
        EXPECT_NE(form.find("value=\"" + token("owner") + "\""), std::string::npos) << form;
        at = end;
        ++forms;
    }
    EXPECT_EQ(forms, 4U); // two accounts, reload, upload
    asked = by_cookie(request("GET", "/admin/live"));
    asked.query = "format=html";
    PageResponse live = ask(asked);
    ASSERT_TRUE(live.live.has_value());
    const std::string parts = routes_.more_live(*live.live, now_, kMonotonicUs);
    EXPECT_NE(parts.find(token("owner")), std::string::npos);
}

TEST_F(AccountRoutes, AnUploadGoesOnUnread)
{
    const std::string file(
        "\x7F"
        "no JSON at all\0\r\n--",
        21);
    PageRequest asked =
        with_form(by_cookie(request("POST", "/admin/accounts")), token("owner"), file);
    PageResponse made = ask(asked);
    ASSERT_TRUE(made.question.has_value()) << made.body;
    EXPECT_EQ(made.question->message.action, AccountAction::add);
    const auto upload = shared::unpack_upload(made.question->upload.get());
    ASSERT_TRUE(upload.has_value());
    EXPECT_EQ(upload->file.reveal(), file);
    EXPECT_EQ(upload->wish.provider, "gemini");
    EXPECT_EQ(upload->wish.name, "main");
    EXPECT_EQ(upload->wish.owner, "");
    const PageResponse done = answered(asked, std::move(made), UploadEnd::added);
    EXPECT_EQ(done.status, 201U);
    EXPECT_EQ(Json::parse(done.body)["account"], "gemini:main");

    PageRequest raw = as_owner(request("POST", "/admin/accounts", "{}"));
    raw.query = "name=a%20b&provider=codex";
    PageResponse sent = ask(raw);
    ASSERT_TRUE(sent.question.has_value());
    EXPECT_EQ(shared::unpack_upload(sent.question->upload.get())->wish.name, "a b");
    raw.accept = "text/html";
    const PageResponse page = answered(raw, std::move(sent), UploadEnd::conflict);
    EXPECT_EQ(page.status, 409U);
    EXPECT_NE(page.body.find("&lt;b&gt;there"), std::string::npos);
}

TEST_F(AccountRoutes, WhatIsNoUploadIsSaid)
{
    const auto status = [this](const PageRequest& asked) { return ask(asked).status; };
    EXPECT_EQ(status(as_owner(request("POST", "/admin/accounts"))), 400U);
    EXPECT_EQ(status(with_form(as_owner(request("POST", "/admin/accounts")), "", "")), 400U);
    PageRequest form = as_owner(request("POST", "/admin/accounts", "file=x"));
    form.content_type = "application/x-www-form-urlencoded";
    EXPECT_EQ(status(form), 400U);
    PageRequest broken = with_form(as_owner(request("POST", "/admin/accounts")), "", "{}");
    broken.body.resize(broken.body.size() - 8);
    EXPECT_EQ(status(broken), 400U);
    const std::string huge(shared::kUploadBytesMax + 1, 'x');
    EXPECT_EQ(status(as_owner(request("POST", "/admin/accounts", huge))), 413U);
}

TEST_F(AccountRoutes, UsersContributeOnlyWhereTheOwnerTakesIt)
{
    PageRequest asked = as_user(request("POST", "/api/pool/accounts", "{}"), user_);
    asked.caller.by_session = false;
    EXPECT_EQ(ask(asked).status, 403U);
    PageResponse taken = taking_.answer(asked, now_, kMonotonicUs);
    ASSERT_TRUE(taken.question.has_value());
    EXPECT_EQ(shared::unpack_upload(taken.question->upload.get())->wish.owner, user_);
}

TEST_F(AccountRoutes, UsersSeeAndPauseTheirOwnAndNoOther)
{
    const PageRequest list = as_user(request("GET", "/api/pool/accounts"), user_);
    const Json told = Json::parse(ask(list).body);
    ASSERT_EQ(told["count"], 1);
    EXPECT_EQ(told["accounts"][0]["id"], "gemini:theirs");
    EXPECT_EQ(told["accounts"][0]["paused"], false);

    const auto pause = [this](const std::string& account, const char* action) {
        PageRequest asked =
            as_user(request("POST", "/api/pool/accounts/" + account + "/" + action), user_);
        asked.caller.by_session = false;
        return ask(asked);
    };
    EXPECT_EQ(pause("gemini:theirs", "pause").question->message.action, AccountAction::pause);
    EXPECT_EQ(pause("codex:a", "pause").status, 404U);
    EXPECT_EQ(pause("none", "resume").status, 404U);
    EXPECT_EQ(pause("gemini:theirs", "disable").status, 404U);
    pool_.edit(1, [](auto&, auto& routing) {
        routing.state = shared::AccountState::disabled;
        routing.reason.assign(shared::kReasonPaused);
    });
    EXPECT_EQ(pause("gemini:theirs", "resume").question->message.action, AccountAction::resume);
    pool_.edit(
        1, [](auto&, auto& routing) { routing.reason.assign(shared::kReasonDisabledByOwner); });
    EXPECT_EQ(pause("gemini:theirs", "resume").status, 409U);
    // Nor by the owner's words for it.
    const PageRequest owners = as_owner(request("POST", "/admin/accounts/codex:a/pause"));
    EXPECT_EQ(ask(owners).status, 404U);
}

TEST_F(AccountRoutes, TheUsersPageShowsTheirAccounts)
{
    PageRequest asked = as_user(request("GET", "/me"), user_);
    asked.accept = "text/html";
    const std::string page = ask(asked).body;
    EXPECT_NE(page.find("gemini:theirs"), std::string::npos);
    EXPECT_NE(page.find("/api/pool/accounts/gemini%3Atheirs/pause"), std::string::npos);
    EXPECT_EQ(page.find("codex:a"), std::string::npos);
    EXPECT_EQ(page.find("Contribute"), std::string::npos);
}

} // namespace
} // namespace tests
