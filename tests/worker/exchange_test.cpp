/// Requests through a whole worker: routing, credentials, answers, failover, records.
#include "tests/worker/worker_fixture.hpp"

namespace worker_test {
namespace {

constexpr std::string_view kTurn = R"({"model":"gpt-5","stream":true,"prompt_cache_key":"conv-1"})";

std::string sse(std::string_view events)
{
    std::string chunk;
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", events.size());
    return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
           "chunked\r\n\r\n" +
           std::string(size) + std::string(events) + "\r\n0\r\n\r\n";
}

const std::string kGoodStream =
    "event: response.created\ndata: "
    "{\"type\":\"response.created\",\"response\":{\"id\":\"r1\"}}\n\n"
    "event: response.output_text.delta\ndata: "
    "{\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n"
    "event: response.completed\ndata: "
    "{\"type\":\"response.completed\",\"response\":{\"id\":\"r1\",\"model\":\"gpt-5\",\"usage\":{"
    "\"input_tokens\":100,\"input_tokens_details\":{\"cached_tokens\":40},\"output_tokens\":7}}}"
    "\n\n";

TEST_F(WorkerTest, RelaysARequestInTheAccountsName)
{
    std::string seen;
    Upstream upstream(answering([&](const std::string& request) {
        seen = request;
        return ok(R"({"id":"r"})", "Set-Cookie: a=b\r\nx-request-id: up-1\r\n");
    }));
    set_upstream("codex", upstream.port());
    add_account("codex:a");
    start();
    const std::string answer = ask(post(
        "/v1/responses",
        R"({"model":"gpt-5"})",
        "Authorization: Bearer client-secret\r\nCookie: c=d\r\nX-Forwarded-For: 1.2.3.4\r\nX-Own: "
        "1\r\n"));
    EXPECT_EQ(Peer::status(answer), 200);
    EXPECT_EQ(Peer::body(answer), R"({"id":"r"})");
    EXPECT_EQ(Peer::field(answer, "set-cookie"), "");
    EXPECT_EQ(Peer::field(answer, "x-upstream-request-id"), "up-1");
    EXPECT_EQ(Peer::field(answer, "x-request-id").size(), 16U);
    EXPECT_NE(Peer::field(answer, "server-timing").find("own;dur="), std::string::npos);
    EXPECT_TRUE(seen.starts_with("POST /responses HTTP/1.1\r\n")) << seen;
    EXPECT_EQ(Peer::field(seen, "authorization"), "Bearer token-of-codex:a");
    EXPECT_EQ(Peer::field(seen, "host"), "127.0.0.1:" + std::to_string(upstream.port()));
    EXPECT_EQ(Peer::field(seen, "cookie"), "");
    EXPECT_EQ(Peer::field(seen, "x-forwarded-for"), "");
    EXPECT_EQ(Peer::field(seen, "x-own"), "1");
    EXPECT_EQ(Peer::body(seen), R"({"model":"gpt-5"})");
}

TEST_F(WorkerTest, CountsTheUsageOfAStreamAndPinsItsConversation)
{
    Upstream upstream(answering([&](const std::string&) { return sse(kGoodStream); }));
    set_upstream("codex", upstream.port());
    const auto account = add_account("codex:a");
    start();
    const std::string answer = ask(post("/v1/responses", kTurn));
    EXPECT_EQ(Peer::status(answer), 200);
    EXPECT_NE(answer.find("\"delta\":\"hi\""), std::string::npos);
    const shared::UsageEntry entry = next_record();
    EXPECT_EQ(entry.outcome, shared::RequestOutcome::completed);
    EXPECT_EQ(entry.input, 100);
    EXPECT_EQ(entry.cached_input, 40);
    EXPECT_EQ(entry.output, 7);
    EXPECT_EQ(entry.status, 200);
    EXPECT_EQ(entry.attempts, 1);
    EXPECT_EQ(entry.account, account);
    EXPECT_EQ(entry.model.view(), "gpt-5");
    EXPECT_EQ(entry.user.view(), "local");
    EXPECT_EQ(shared::count_pins(segment_), 1U);
    EXPECT_EQ(in_flight(account), 0U);
}

TEST_F(WorkerTest, FailsOverWithoutTheClientNoticing)
{
    for (const int status : {401, 403, 429, 500, 503, 529}) {
        SCOPED_TRACE(status);
        stop();
        segment_.account_slots.store(0);
        std::atomic<int> asked{0};
        Upstream upstream(answering([&](const std::string&) {
            return ++asked == 1 ? status_answer(status, R"({"error":{"message":"no"}})")
                                : ok(R"({"id":"r"})");
        }));
        set_upstream("codex", upstream.port());
        add_account("codex:a");
        add_account("codex:b");
        start();
        const std::string answer = ask(post("/v1/responses", R"({"model":"gpt-5"})"));
        EXPECT_EQ(Peer::status(answer), 200);
        const shared::UsageEntry entry = next_record();
        EXPECT_EQ(entry.attempts, 2);
        EXPECT_EQ(entry.outcome, shared::RequestOutcome::completed);
    }
}

TEST_F(WorkerTest, FailsOverFromAnErrorInsideTheStreamBeforeOutput)
{
    std::atomic<int> asked{0};
    const std::string failure =
        "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r0\"}}\n\n"
        "data: {\"type\":\"response.failed\",\"response\":{\"id\":\"r0\",\"error\":{\"code\":"
        "\"rate_limit_exceeded\",\"message\":\"slow down\"}}}\n\n";
    Upstream upstream(answering(
        [&](const std::string&) { return ++asked == 1 ? sse(failure) : sse(kGoodStream); }));
    set_upstream("codex", upstream.port());
    add_account("codex:a");
    add_account("codex:b");
    start();
    const std::string answer = ask(post("/v1/responses", kTurn));
    EXPECT_EQ(Peer::status(answer), 200);
    EXPECT_EQ(answer.find("response.failed"), std::string::npos);
    EXPECT_NE(answer.find("response.completed"), std::string::npos);
    EXPECT_EQ(next_record().attempts, 2);
}

TEST_F(WorkerTest, TellsTheEarliestResetWhenNobodyCanServe)
{
    Upstream upstream(answering([&](const std::string&) {
        return status_answer(
            429, R"({"error":{"type":"usage_limit_reached","resets_in_seconds":120}})");
    }));
    set_upstream("codex", upstream.port());
    add_account("codex:a");
    start();
    const std::string answer = ask(post("/v1/responses", R"({"model":"gpt-5"})"));
    EXPECT_EQ(Peer::status(answer), 429);
    EXPECT_NE(Peer::field(answer, "retry-after"), "");
    EXPECT_EQ(next_record().outcome, shared::RequestOutcome::refused);
}

TEST_F(WorkerTest, AnswersWithoutAnyAccount)
{
    start();
    const std::string answer = ask(post("/v1/responses", R"({"model":"gpt-5"})"));
    EXPECT_EQ(Peer::status(answer), 503);
}

TEST_F(WorkerTest, SharedModeRefusesStrangers)
{
    config_.shared_mode = true;
    start();
    EXPECT_EQ(Peer::status(ask(post("/v1/responses", "{}"))), 401);
    EXPECT_EQ(Peer::status(ask(get("/status"))), 401);
    EXPECT_EQ(Peer::status(ask(get("/healthz"))), 200);
}

TEST_F(WorkerTest, LocalModeRefusesWebPages)
{
    start();
    EXPECT_EQ(Peer::status(ask(get("/healthz", "Origin: https://evil.example\r\n"))), 403);
    EXPECT_EQ(Peer::status(ask("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n")), 403);
}

TEST_F(WorkerTest, SaysHealthzWithoutNames)
{
    add_account("codex:a");
    start();
    const std::string answer = ask(get("/healthz"));
    EXPECT_EQ(Peer::status(answer), 200);
    EXPECT_NE(answer.find("\"accounts\":1"), std::string::npos) << answer;
    EXPECT_EQ(answer.find("codex:a"), std::string::npos);
}

} // namespace
} // namespace worker_test
