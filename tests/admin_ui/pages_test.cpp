#include "admin_ui/assets.hpp"
#include "admin_ui/frame.hpp"
#include "admin_ui/history_pages.hpp"
#include "admin_ui/pages.hpp"
#include "admin_ui/status_parts.hpp"
#include "admin_ui/usage_page.hpp"
#include "tests/admin_ui/pool_fixture.hpp"

#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <vector>

namespace {

using namespace admin_ui;
using tests::kNow;
using tests::PoolFixture;

constexpr const char* kEvil = "<script>alert(1)</script>\"'&";

/// What our content security policy would stop: anything inline, anything from elsewhere.
void expect_obeys_policy(const std::string& page)
{
    static const std::regex kInlineScript("<script(?![^>]* src=\"/static/)", std::regex::icase);
    static const std::regex kInlineStyle("<style|[\\s\"]style=", std::regex::icase);
    static const std::regex kHandler("<[^>]*\\son[a-z]+=", std::regex::icase);
    static const std::regex kElsewhere("(src|href)=\"(?!/|#)", std::regex::icase);
    EXPECT_FALSE(std::regex_search(page, kInlineScript));
    EXPECT_FALSE(std::regex_search(page, kInlineStyle));
    EXPECT_FALSE(std::regex_search(page, kHandler));
    EXPECT_FALSE(std::regex_search(page, kElsewhere));
    EXPECT_EQ(page.find("{{"), std::string::npos) << "a place without a value";
}

RequestEntry evil_request()
{
    RequestEntry request;
    request.model = kEvil;
    request.account = kEvil;
    request.user = kEvil;
    request.path = kEvil;
    request.outcome = kEvil;
    request.request_id = kEvil;
    request.upstream_request_id = kEvil;
    request.finished_at = kNow;
    return request;
}

RunningView evil_running()
{
    RunningView running;
    running.request_id = kEvil;
    running.user = kEvil;
    running.account = kEvil;
    running.model = kEvil;
    running.started_at = kNow;
    return running;
}

std::string evil_usage_page(UsageGroup group)
{
    UsageRange range;
    range.from = {kNow.value / kDayMillis * kDayMillis};
    range.to = {range.from.value + kDayMillis};
    range.group = group;
    range.user = kEvil;
    UsageRow row{range.from, kEvil, kEvil, kEvil, {}};
    row.sums.requests = 1;
    row.sums.input = 100;
    const PriceList prices = PriceList::load({});
    UsagePageView view;
    view.report = usage_report(range, {row}, prices, [](std::string_view) { return false; });
    view.problem = kEvil;
    view.last = kEvil;
    return usage_page(view, prices);
}

TEST(Pages, NothingFromOutsideBecomesHtml)
{
    PoolFixture pool;
    const auto slot = pool.add_account(std::string("codex:") + kEvil);
    pool.edit(slot, [](shared::AccountIdentity& identity, shared::AccountRouting& routing) {
        identity.plan = kEvil;
        identity.email = kEvil;
        identity.project = kEvil;
        identity.problem = kEvil;
        routing.state = shared::AccountState::failing;
        routing.reason = kEvil;
    });
    pool.set_problems(kEvil, 1);
    const PoolView view = pool.view();
    PoolPageView lately;
    lately.problem = kEvil;
    lately.running = {{evil_running()}, 1};
    RequestsPageView requests;
    requests.page.requests.push_back(evil_request());
    requests.page.next = 1;
    requests.filter.user = requests.filter.account = requests.filter.model = kEvil;
    requests.status = requests.from = requests.to = requests.problem = kEvil;
    requests.now = kNow;
    shared::Event event;
    event.at = kNow;
    event.type = shared::EventType::needs_login;
    event.account = kEvil;
    event.text = kEvil;
    for (const std::string& page :
         {status_page(view, lately),
          landing_page(view, kEvil),
          shared_page(kEvil, kEvil),
          evil_usage_page(UsageGroup::user),
          evil_usage_page(UsageGroup::model),
          requests_page(requests),
          why_page(kEvil, kEvil, evil_request(), kNow),
          events_page({event}, kNow),
          error_page(kEvil, kEvil)}) {
        EXPECT_EQ(page.find("<script>alert"), std::string::npos) << page;
        EXPECT_NE(page.find("&lt;script&gt;alert(1)&lt;/script&gt;"), std::string::npos);
        expect_obeys_policy(page);
    }
    // The parts that scripts put into the page later are the same HTML.
    for (const PagePart& part : live_parts(view, lately.running, {})) {
        EXPECT_EQ(part.html.str().find("<script"), std::string::npos) << part.id;
        EXPECT_EQ(part.id.find_first_of("<>\"' "), std::string::npos);
    }
}

TEST(Pages, TheLandingPageHasTheThreeSetUpsThatWork)
{
    PoolFixture pool;
    pool.add_account("codex:a");
    const std::string page = landing_page(pool.view(), "http://127.0.0.1:8989");
    for (const char* line :
         {"chatgpt_base_url = &quot;http://127.0.0.1:8989/backend-api&quot;",
          "base_url = &quot;http://127.0.0.1:8989/v1&quot;"}) {
        // Quotes of the template itself stand as they are.
        std::string plain(line);
        for (std::size_t at; (at = plain.find("&quot;")) != std::string::npos;)
            plain.replace(at, 6, "\"");
        EXPECT_NE(page.find(plain), std::string::npos) << plain;
    }
    EXPECT_NE(page.find("requires_openai_auth = true"), std::string::npos);
    EXPECT_NE(page.find("export ANTHROPIC_BASE_URL=\"http://127.0.0.1:8989\""), std::string::npos);
    EXPECT_NE(page.find("export GOOGLE_GENAI_USE_GCA=true"), std::string::npos);
    EXPECT_NE(
        page.find("export CODE_ASSIST_ENDPOINT=\"http://127.0.0.1:8989\""), std::string::npos);
    EXPECT_NE(page.find("export GEMINI_CLI_TRUST_WORKSPACE=true"), std::string::npos);
    EXPECT_NE(page.find("The only account can serve."), std::string::npos);
}

TEST(Pages, TheSharedPageTellsNothingOfThePool)
{
    const std::string page = shared_page("Friends", "For the few who know");
    EXPECT_NE(page.find("<h1>Friends</h1>"), std::string::npos);
    EXPECT_NE(page.find("For the few who know"), std::string::npos);
    EXPECT_EQ(page.find("base_url"), std::string::npos);
    EXPECT_NE(shared_page("", "").find("<h1>codex-pool</h1>"), std::string::npos);
}

TEST(Pages, TheStatusPageShowsAccountsWindowsAndProcesses)
{
    PoolFixture pool;
    const auto a = pool.add_account("codex:personal");
    pool.set_window(a, 18000, 1.0, 7'200'000);
    pool.set_window(a, 604800, 0.85, 86'400'000);
    pool.add_worker(0, 31337);
    pool.set_problems("/pool/x.json: is empty", 1);
    const std::string page = status_page(pool.view(), {});
    EXPECT_NE(page.find("codex:personal"), std::string::npos);
    EXPECT_NE(page.find("is-exhausted"), std::string::npos);
    EXPECT_NE(page.find("bar full"), std::string::npos);
    EXPECT_NE(page.find("aria-current=\"page\">Pool</a>"), std::string::npos);
    EXPECT_NE(page.find("bar high"), std::string::npos);
    EXPECT_NE(page.find("85 %"), std::string::npos);
    EXPECT_NE(page.find("back in 2 h"), std::string::npos);
    EXPECT_NE(page.find("31337"), std::string::npos);
    EXPECT_NE(page.find("/pool/x.json: is empty"), std::string::npos);
    EXPECT_NE(page.find("owner@example.com"), std::string::npos);
}

TEST(Pages, AnAccountSaysWhyAndOffersWhatCanBeDone)
{
    PoolFixture pool;
    const auto a = pool.add_account("codex:a");
    pool.edit(a, [](auto&, shared::AccountRouting& routing) {
        routing.cooling_until = {tests::kNow.value + 7'200'000};
        routing.state_since = {tests::kNow.value - 600'000};
        routing.state_source = shared::EvidenceSource::error_answer;
        routing.reason = "http_429";
    });
    pool.add_account("codex:off", shared::AccountState::disabled, "disabled_by_owner");
    const std::string page = status_page(pool.view(), {});
    const auto shows = [&page](std::string_view text) {
        return page.find(text) != std::string::npos;
    };
    EXPECT_TRUE(shows("the vendor limited its rate (429) (from an error answer); since"));
    EXPECT_TRUE(shows("10 min ago"));
    EXPECT_TRUE(shows("back <time"));
    EXPECT_TRUE(shows("title=\"The vendor limited its rate: no request goes to it"));
    EXPECT_TRUE(shows("its owner disabled it"));
    EXPECT_TRUE(shows("formaction=\"/admin/accounts/codex%3Aa/disable\""));
    EXPECT_TRUE(shows("formaction=\"/admin/accounts/codex%3Aa/test\""));
    EXPECT_TRUE(shows("formaction=\"/admin/accounts/codex%3Aoff/enable\""));
    EXPECT_FALSE(shows("formaction=\"/admin/accounts/codex%3Aa/enable\""));
    EXPECT_FALSE(shows("<script>"));
}

TEST(Pages, AForecastIsShownWhereThereIsOne)
{
    PoolFixture pool;
    const auto a = pool.add_account("codex:a");
    pool.set_window(a, 18000, 0.6, 7'200'000);
    EXPECT_EQ(status_page(pool.view(), {}).find("at this pace"), std::string::npos);
    pool.mapping->accounts[a].with_lock([](shared::AccountRecord& record) {
        record.short_learning.percent_per_hour = 40;
        record.short_learning.samples = 9;
        record.short_learning.anchor_at = record.routing.short_window.seen_at;
    });
    const std::string page = status_page(pool.view(), {});
    EXPECT_NE(page.find("at this pace (40 % an hour, high confidence)"), std::string::npos);
}

TEST(Pages, TheAddressIsTheClientsOwnWhereThatIsHarmless)
{
    const auto address = [](std::string_view host, std::string_view url = "") {
        return client_address(host, url, "127.0.0.1:8989");
    };
    EXPECT_EQ(address("localhost:1234"), "http://localhost:1234");
    EXPECT_EQ(address("[::1]:8989"), "http://[::1]:8989");
    for (const char* odd :
         {"", "a b", "x\"; rm -rf /; \"", "$(id)", "a/b", "user@host", "<b>", "host\r\nX: y"}) {
        EXPECT_EQ(address(odd), "http://127.0.0.1:8989") << odd;
    }
    EXPECT_EQ(address(std::string(256, 'a')), "http://127.0.0.1:8989");
    EXPECT_EQ(address("localhost", "https://pool.example/x"), "https://pool.example/x");
    EXPECT_EQ(address("localhost", "https://pool.example/\"$(id)"), "http://localhost");
}

TEST(Pages, AssetsAreServedTemplatesAreNot)
{
    const auto style = find_asset("style.css");
    ASSERT_TRUE(style.has_value());
    EXPECT_EQ(style->content_type, "text/css; charset=utf-8");
    EXPECT_EQ(style->etag.size(), 18U);
    EXPECT_FALSE(style->versioned);
    EXPECT_LT(style->gzip.size(), style->bytes.size() / 2);
    EXPECT_TRUE(find_asset(assets_version() + "/live.js")->versioned);
    EXPECT_TRUE(find_asset("favicon.svg").has_value());
    for (const char* name :
         {"frame.html", "", "..", "../style.css", "nothing.css", "prices.json", "0123/style.css"})
        EXPECT_FALSE(find_asset(name).has_value()) << name;
}

TEST(Pages, TheFirstViewIsSmall)
{
    constexpr std::size_t kBytesMax = 100'000;
    PoolFixture pool;
    for (int i = 0; i < 60; ++i) {
        const auto slot = pool.add_account("codex:account-" + std::to_string(i));
        pool.set_window(slot, 18000, 0.5, 7'200'000);
        pool.set_window(slot, 604800, 0.25, 86'400'000);
    }
    std::size_t bytes = gzip_compressed(status_page(pool.view(), {}), 5).size();
    for (const char* name : {"style.css", "app.js", "live.js", "morph.js", "favicon.svg"}) {
        const auto asset = find_asset(name);
        ASSERT_TRUE(asset.has_value()) << name;
        bytes += asset->gzip.empty() ? asset->bytes.size() : asset->gzip.size();
    }
    EXPECT_LT(bytes, kBytesMax);
}

TEST(Pages, TheNextRiskIsOneSentence)
{
    PoolFixture pool;
    const auto a = pool.add_account("codex:a");
    pool.add_account("codex:b");
    pool.set_window(a, 18000, 0.6, 7'200'000);
    EXPECT_EQ(next_risk(pool.view()), "");
    pool.mapping->accounts[a].with_lock([](shared::AccountRecord& record) {
        record.short_learning.percent_per_hour = 40;
        record.short_learning.samples = 9;
        record.short_learning.anchor_at = record.routing.short_window.seen_at;
    });
    const std::string risk = next_risk(pool.view());
    EXPECT_NE(risk.find("codex:a runs out of its 5 hours in"), std::string::npos) << risk;
    EXPECT_NE(risk.find("1 other codex account can go on."), std::string::npos) << risk;
    pool.edit(1, [](auto&, shared::AccountRouting& routing) {
        routing.state = shared::AccountState::disabled;
    });
    EXPECT_NE(next_risk(pool.view()).find("no other codex account can serve"), std::string::npos);
}

TEST(Pages, AFriendsNavigationIsShorter)
{
    Frame frame;
    frame.title = "x";
    frame.audience = Audience::friend_;
    const std::string page = framed(frame, Html());
    EXPECT_NE(page.find("/status/setup"), std::string::npos);
    for (const char* path : {"/status/requests", "/status/events", "/status/people"})
        EXPECT_EQ(page.find(path), std::string::npos) << path;
}

TEST(Pages, NumbersAreShort)
{
    EXPECT_EQ(short_number(0), "0");
    EXPECT_EQ(short_number(9'999), "9999");
    EXPECT_EQ(short_number(12'345), "12.3 k");
    EXPECT_EQ(short_number(562'300'000), "562 M");
    EXPECT_EQ(short_number(1'500'000'000), "1.5 G");
    EXPECT_EQ(short_number(-3), "-3");
}

} // namespace
