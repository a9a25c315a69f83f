/// Bodies for each service, and what happens when the service does not take them.
#include "refresher/webhook.hpp"
#include "refresher/webhook_body.hpp"
#include "shared/segment/segment.hpp"
#include "tests/support/tiny_http_server.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>
#include <vector>

namespace refresher {
namespace {

using namespace std::chrono_literals;
using shared::Event;
using shared::EventType;

Event event_of(EventType type, std::string_view text)
{
    Event event;
    event.at = {1'763'800'000'000};
    event.type = type;
    event.provider = "codex";
    event.text.assign(text);
    return event;
}

shared::http::WebhookUrl url_of(std::string_view text)
{
    return *shared::http::parse_webhook_url(text);
}

TEST(WebhookBody, EachServiceGetsItsOwn)
{
    Event event = event_of(EventType::pool_empty, "No \"account\" of codex can serve.");
    event.sequence = 3;
    const auto body = [&event](std::string_view format) {
        return webhook_body(format, url_of("https://h.example/x?chat_id=-42"), event);
    };
    const auto header = [](const WebhookBody& of, std::string_view name) -> std::string {
        for (const auto& each : of.headers)
            if (each.name == name) return each.value;
        return "(absent)";
    };
    EXPECT_EQ(
        body("json").text,
        R"({"sequence":3,"at":"2025-11-22T08:26:40Z","event":"pool_empty","severity":"error",)"
        R"("provider":"codex","account":null,"was":null,"reason":null,"until":null,)"
        R"("text":"No \"account\" of codex can serve."})");
    EXPECT_EQ(header(body("json"), "Content-Type"), "application/json");
    EXPECT_EQ(
        body("slack").text,
        R"({"text":"codex-pool, pool_empty: No \"account\" of codex can serve."})");
    EXPECT_EQ(
        body("discord").text,
        R"({"content":"codex-pool, pool_empty: No \"account\" of codex can serve."})");
    EXPECT_EQ(
        body("telegram").text,
        R"({"chat_id":"-42","text":"codex-pool, pool_empty: No \"account\" of codex can serve."})");
    EXPECT_EQ(body("ntfy").text, "No \"account\" of codex can serve.");
    EXPECT_EQ(header(body("ntfy"), "Title"), "codex-pool: pool_empty");
    EXPECT_EQ(header(body("ntfy"), "Priority"), "5");
    EXPECT_EQ(header(body("ntfy"), "Tags"), "warning");
    event.type = EventType::recovered;
    EXPECT_EQ(header(body("ntfy"), "Priority"), "3");
    EXPECT_EQ(header(body("ntfy"), "Tags"), "white_check_mark");
}

class WebhookTest : public testing::Test {
protected:
    void publish(std::initializer_list<std::string_view> texts)
    {
        std::vector<Event> events;
        for (const std::string_view text : texts)
            events.push_back(event_of(EventType::pool_low, text));
        shared::publish_events(*segment_, events, shared::Alarms());
    }

    /// One refresher's life: sends what is due and ends when nothing is left to do.
    void run(const std::string& url, const std::string& format = "slack")
    {
        WebhookSettings settings;
        settings.url = shared::Secret(url);
        settings.format = format;
        settings.first_pause = 1ms;
        settings.longest_pause = 4ms;
        boost::asio::io_context loop;
        shared::net::HttpClient client(tls_, proxy_);
        Webhook webhook(loop, *segment_, client, settings);
        webhook.poke();
        webhook.poke(); // while it sends: nothing is sent twice
        loop.run();
    }

    static std::string url_to(const tests::TinyHttpServer& server)
    {
        return "http://127.0.0.1:" + std::to_string(server.port()) + "/hook/token-of-mine?x=1";
    }

    static std::string body_of(const std::string& request)
    {
        return request.substr(request.find("\r\n\r\n") + 4);
    }

    shared::SegmentMapping segment_{std::move(*shared::SegmentMapping::create({1}))};
    shared::net::TlsContext tls_{std::move(*shared::net::make_client_tls_context())};
    shared::net::ProxySettings proxy_;
};

std::string answer(unsigned status)
{
    return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: 0\r\n\r\n";
}

TEST_F(WebhookTest, SendsEachEventOnceInOrder)
{
    const tests::TinyHttpServer server([](const std::string&) { return answer(204); });
    publish({"one", "two"});
    run(url_to(server));
    run(url_to(server)); // a replaced refresher repeats nothing
    publish({"three"});
    run(url_to(server));
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 3U);
    EXPECT_TRUE(requests[0].starts_with("POST /hook/token-of-mine?x=1 HTTP/1.1\r\n"));
    EXPECT_EQ(body_of(requests[0]), R"({"text":"codex-pool, pool_low: one"})");
    EXPECT_EQ(body_of(requests[1]), R"({"text":"codex-pool, pool_low: two"})");
    EXPECT_EQ(body_of(requests[2]), R"({"text":"codex-pool, pool_low: three"})");
}

TEST_F(WebhookTest, TriesAgainWhatMayHelpAndNotWhatCannot)
{
    std::atomic<int> asked{0};
    const tests::TinyHttpServer server([&asked](const std::string&) {
        constexpr unsigned kStatuses[] = {503, 429, 500, 200, 404, 200};
        return answer(kStatuses[asked++]);
    });
    publish({"one", "two", "three"});
    run(url_to(server));
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 6U);
    for (int i = 0; i < 4; ++i)
        EXPECT_EQ(body_of(requests[i]), R"({"text":"codex-pool, pool_low: one"})") << i;
    EXPECT_EQ(body_of(requests[4]), R"({"text":"codex-pool, pool_low: two"})");
    EXPECT_EQ(body_of(requests[5]), R"({"text":"codex-pool, pool_low: three"})");
}

TEST_F(WebhookTest, GivesUpAfterEightTriesAndGoesOnWithTheNext)
{
    std::atomic<int> asked{0};
    const tests::TinyHttpServer server([&asked](const std::string&) {
        return ++asked <= Webhook::kTriesMax ? answer(500) : answer(200);
    });
    publish({"one", "two"});
    run(url_to(server));
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), std::size_t{Webhook::kTriesMax} + 1);
    EXPECT_EQ(body_of(requests.back()), R"({"text":"codex-pool, pool_low: two"})");
}

TEST_F(WebhookTest, ItsAddressIsNeverLogged)
{
    publish({"one"});
    ::testing::internal::CaptureStdout();
    run("http://127.0.0.1:1/hook/token-of-mine"); // nobody listens there
    const tests::TinyHttpServer server([](const std::string&) { return answer(403); });
    publish({"two"});
    run(url_to(server));
    const std::string log = ::testing::internal::GetCapturedStdout();
    EXPECT_EQ(log.find("token-of-mine"), std::string::npos) << log;
    EXPECT_NE(log.find("event=webhook_given_up"), std::string::npos) << log;
    EXPECT_NE(log.find("status=403"), std::string::npos) << log;
}

TEST_F(WebhookTest, WithoutAnAddressNothingIsSent)
{
    publish({"one"});
    run("");
    EXPECT_EQ(
        segment_->events.with_lock([](const shared::EventLog& log) { return log.webhook_done; }),
        0U);
}

} // namespace
} // namespace refresher
