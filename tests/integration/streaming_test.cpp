/// Streams arrive event by event; a slow client slows its upstream; odd streams do no harm.
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

#include <fstream>

namespace tests {
namespace {

class Streaming : public PoolTest {
protected:
    /// Resident kilobytes of all workers.
    [[nodiscard]] long worker_memory()
    {
        long sum = 0;
        for (const pid_t each : pool().children("worker")) {
            std::ifstream file("/proc/" + std::to_string(each) + "/status");
            std::string word;
            while (file >> word) {
                long kilobytes = 0;
                if (word == "VmRSS:" && file >> kilobytes) sum += kilobytes;
            }
        }
        return sum;
    }
};

TEST_F(Streaming, EachEventArrivesBeforeTheNextIsSent)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    start();
    // The upstream stands still after 7 events (two of them output): all 7 must be here by then.
    fake::Behaviour gated;
    gated.gate_after = 7;
    gated.deltas = 5;
    upstream().script(gated);
    fake::Client client = this->client();
    const Turn turn = turn_of(Cli::codex, "c");
    ASSERT_TRUE(client.send(turn.method, turn.target, turn.headers, turn.body));
    ASSERT_EQ(client.read_head().status, 200U);
    const std::string first = client.read_until("\"sequence_number\":6");
    EXPECT_NE(first.find("response.output_text.delta"), std::string::npos);
    EXPECT_EQ(first.find("response.completed"), std::string::npos);
    upstream().release();
    EXPECT_NE(client.read_rest().body.find("response.completed"), std::string::npos);
    expect_usage_settles();
}

TEST_F(Streaming, ASlowClientSlowsItsUpstream)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    fake::Behaviour large;
    large.deltas = 2000;
    large.delta_bytes = 16384; // 32 MB in all
    upstream().script(large);
    const long before = worker_memory();
    fake::Client client = this->client();
    client.wire().set_buffers(65536);
    const Turn turn = turn_of(Cli::claude, "c");
    ASSERT_TRUE(client.send(turn.method, turn.target, turn.headers, turn.body));
    ASSERT_EQ(client.read_head().status, 200U);
    ASSERT_NE(client.read_until("content_block_delta"), "");
    // Nobody reads: the upstream gets stuck long before its end, and no memory fills up meanwhile.
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    EXPECT_FALSE(upstream().ledger().turns().back().complete);
    EXPECT_LT(worker_memory() - before, 16384);
    const fake::Response rest = client.read_rest();
    EXPECT_TRUE(rest.complete);
    EXPECT_GT(rest.body.size(), 30U << 20U);
    expect_usage_settles();
    expect_idle();
}

TEST_F(Streaming, AnEventOfEightMegabytesIsNoTrouble)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    start();
    fake::Behaviour large;
    large.deltas = 1;
    large.delta_bytes = 8U << 20U;
    upstream().script(large);
    fake::Client client = this->client();
    const fake::Response response = make(client, turn_of(Cli::codex, "c"));
    EXPECT_EQ(response.status, 200U);
    EXPECT_TRUE(response.complete);
    EXPECT_GT(response.body.size(), 24U << 20U);
    expect_usage_settles();
    expect_idle();
}

TEST_F(Streaming, JunkAmongTheEventsIsRelayedAndCounted)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    upstream().script(fake::does(fake::Fault::junk_stream));
    for (const Cli cli : {Cli::codex, Cli::claude}) {
        fake::Client client = this->client();
        const fake::Response response = make(client, turn_of(cli, "c"));
        EXPECT_EQ(response.status, 200U);
        EXPECT_TRUE(response.complete);
        EXPECT_NE(response.body.find(": a comment"), std::string::npos);
    }
    expect_usage_settles();
}

TEST_F(Streaming, AStreamThatBreaksEndsBrokenForTheClientToo)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    for (const fake::Fault fault :
         {fake::Fault::reset_mid_stream,
          fake::Fault::close_mid_stream,
          fake::Fault::end_mid_stream}) {
        upstream().clear_script();
        // After the first output, so that nobody else can take over.
        fake::Behaviour broken = fake::does(fault, 6);
        broken.deltas = 8;
        upstream().script(broken);
        fake::Client client = this->client();
        const fake::Response response = make(client, turn_of(Cli::claude, "c"));
        EXPECT_EQ(response.status, 200U);
        EXPECT_EQ(response.complete, fault == fake::Fault::end_mid_stream);
        EXPECT_NE(response.body.find("message_start"), std::string::npos);
        EXPECT_EQ(response.body.find("message_stop"), std::string::npos);
    }
    expect_usage_settles();
    expect_idle();
}

TEST_F(Streaming, AWrongContentLengthIsNotPassedOffAsWhole)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_2");
    start();
    fake::Behaviour wrong = fake::does(fake::Fault::length_too_long);
    wrong.times = 1;
    upstream().script(wrong);
    fake::Client first = client();
    EXPECT_FALSE(make(first, unstreamed(Cli::claude, "long")).complete);
    wrong.fault = fake::Fault::length_too_short;
    upstream().script(wrong);
    fake::Client second = client();
    // The bytes behind the announced end must not become part of anybody's next answer.
    (void)make(second, unstreamed(Cli::claude, "short"));
    const fake::Response next = make(second, unstreamed(Cli::claude, "short", 2));
    EXPECT_EQ(next.status, 200U);
    EXPECT_NE(next.body.find("\"end_turn\""), std::string::npos) << next.body;
    wrong.fault = fake::Fault::double_length;
    upstream().script(wrong);
    fake::Client third = client();
    const fake::Response twice = make(third, unstreamed(Cli::claude, "double"));
    EXPECT_EQ(twice.status, 200U) << "refused, and served by the next: " << twice.body;
    expect_idle();
}

TEST_F(Streaming, ErrorsAfterOutputArePassedOn)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_2");
    start();
    fake::Behaviour late = fake::does(fake::Fault::late_error, 5);
    late.deltas = 6;
    late.body = R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})";
    upstream().script(late);
    fake::Client client = this->client();
    const fake::Response response = make(client, turn_of(Cli::claude, "c"));
    EXPECT_EQ(response.status, 200U);
    EXPECT_NE(response.body.find("overloaded_error"), std::string::npos);
    EXPECT_EQ(upstream().ledger().turns().size(), 1U);
    expect_usage_settles();
}

TEST_F(Streaming, AnEarlyAnswerReachesTheClientBeforeItHasSentEverything)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    set("max_replay_bytes = 1000"); // larger bodies stream
    start();
    fake::Behaviour early =
        fake::answers(400, "{\"type\":\"error\"}", {{"Content-Type", "application/json"}});
    early.fault = fake::Fault::early_response;
    upstream().script(early);
    fake::Client client = this->client();
    Turn turn = turn_of(Cli::claude, "c", 1, 4000000);
    const std::string text =
        fake::Client::format(turn.method, turn.target, turn.headers, turn.body, port());
    ASSERT_TRUE(client.wire().write(text.substr(0, 20000)));
    const fake::Response response = client.read_head();
    EXPECT_EQ(response.status, 400U);
    EXPECT_EQ(client.read_rest().body, "{\"type\":\"error\"}");
    expect_idle();
}

TEST_F(Streaming, PipelinedRequestsAreAnsweredInOrder)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    fake::Client client = this->client();
    std::string text;
    for (std::size_t i = 0; i < 4; ++i) {
        const Turn turn = unstreamed(Cli::claude, "pipe-" + std::to_string(i));
        text += fake::Client::format(turn.method, turn.target, turn.headers, turn.body, port());
        text += fake::Client::format("GET", "/healthz", {}, "", port());
    }
    ASSERT_TRUE(client.wire().write(text));
    for (std::size_t i = 0; i < 4; ++i) {
        ASSERT_EQ(client.read_head().status, 200U);
        EXPECT_NE(client.read_rest().body.find("end_turn"), std::string::npos);
        ASSERT_EQ(client.read_head().status, 200U);
        EXPECT_NE(client.read_rest().body.find("uptime"), std::string::npos);
    }
    expect_usage_settles();
}

TEST_F(Streaming, ContinueHeadAndHalfClose)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    start();
    // Expect: 100-continue, body only after the 100.
    fake::Client waits = client();
    Turn turn = unstreamed(Cli::claude, "expect");
    turn.headers.emplace_back("Expect", "100-continue");
    turn.headers.emplace_back("Content-Length", std::to_string(turn.body.size()));
    ASSERT_TRUE(
        waits.wire().write(fake::Client::format("POST", turn.target, turn.headers, "", port())));
    fake::Message interim;
    ASSERT_TRUE(waits.wire().read_head(interim));
    EXPECT_EQ(interim.first_line.substr(0, 12), "HTTP/1.1 100");
    ASSERT_TRUE(waits.wire().write(turn.body));
    EXPECT_EQ(waits.read_head().status, 200U);
    EXPECT_TRUE(waits.read_rest().complete);
    // HEAD has no body, and the connection goes on.
    EXPECT_EQ(waits.request("HEAD", "/healthz").status, 200U);
    EXPECT_NE(waits.request("GET", "/healthz").body, "");
    // A client that closes its sending side still gets its answer.
    fake::Client half = client();
    const Turn last = turn_of(Cli::claude, "half");
    ASSERT_TRUE(half.send(last.method, last.target, last.headers, last.body));
    half.wire().half_close();
    EXPECT_EQ(half.read_head().status, 200U);
    EXPECT_NE(half.read_rest().body.find("message_stop"), std::string::npos);
    expect_usage_settles();
    expect_idle();
}

TEST_F(Streaming, ALargeBodyStreamsWithOneAttempt)
{
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_2");
    set("max_replay_bytes = 100000");
    set("max_body_bytes = 1000000");
    start();
    fake::Client client = this->client();
    EXPECT_EQ(make(client, turn_of(Cli::claude, "large", 1, 500000)).status, 200U);
    const fake::Response refused = make(client, turn_of(Cli::claude, "too large", 1, 2000000));
    EXPECT_EQ(refused.status, 413U);
    EXPECT_NE(refused.body.find("\"type\":\"error\""), std::string::npos) << refused.body;
    fake::Client again = this->client();
    upstream().script(fake::answers(500, "oops"));
    EXPECT_GE(make(again, turn_of(Cli::claude, "large", 2, 500000)).status, 500U);
    EXPECT_EQ(upstream().ledger().turns().size(), 2U) << "not sent to a second account";
    expect_idle();
}

} // namespace
} // namespace tests
