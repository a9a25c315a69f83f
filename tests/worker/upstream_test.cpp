/// What upstreams do to a proxy: hang, reset, close kept connections, answer early, send nonsense, compress.
#include "tests/worker/worker_fixture.hpp"
#include "worker/exchange.hpp"

#include <sys/un.h>
#include <zlib.h>

namespace worker_test {
namespace {

constexpr std::string_view kTurn = R"({"model":"gpt-5","stream":true,"prompt_cache_key":"conv-1"})";

std::string chunk(std::string_view bytes)
{
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    return std::string(size) + std::string(bytes) + "\r\n";
}

constexpr std::string_view kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr std::string_view kCreated =
    "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r1\"}}\n\n";
constexpr std::string_view kDelta =
    "data: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n";
constexpr std::string_view kCompleted =
    "data: "
    "{\"type\":\"response.completed\",\"response\":{\"id\":\"r1\",\"usage\":{\"input_tokens\":"
    "10,\"output_tokens\":3}}}\n\n";

std::string gzip(std::string_view text)
{
    z_stream stream{};
    deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    std::string out(text.size() + 256, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

class UpstreamFaults : public WorkerTest {
protected:
    void serve(Upstream& upstream, int accounts)
    {
        set_upstream("codex", upstream.port());
        for (int i = 0; i < accounts; ++i)
            add_account("codex:" + std::to_string(i));
        start();
    }
};

TEST_F(UpstreamFaults, ReplacesAConnectionClosedWhileIdle)
{
    Upstream upstream([](Peer& peer, int) {
        peer.message();
        peer.send(ok("x"));
    });
    serve(upstream, 1);
    Peer peer = connect();
    for (int i = 0; i < 5; ++i) {
        peer.send(post("/v1/responses", "{}"));
        EXPECT_EQ(Peer::status(peer.message()), 200);
        EXPECT_EQ(next_record().attempts, 1);
    }
    EXPECT_EQ(upstream.connections(), 5);
    EXPECT_EQ(routing({0}).penalty_milli, 0U);
}

TEST_F(UpstreamFaults, ReplacesAConnectionClosedAsTheRequestLeaves)
{
    Upstream upstream([](Peer& peer, int number) {
        peer.message();
        peer.send(ok("x"));
        if (number > 0) return;
        peer.message(); // takes the second request and hangs up without a word
    });
    serve(upstream, 1);
    Peer peer = connect();
    for (int i = 0; i < 2; ++i) {
        peer.send(post("/v1/responses", "{}"));
        EXPECT_EQ(Peer::status(peer.message()), 200);
        EXPECT_EQ(next_record().attempts, 1);
    }
    EXPECT_EQ(routing({0}).penalty_milli, 0U);
}

TEST_F(UpstreamFaults, FailsOverFromEveryPhaseBeforeOutput)
{
    const std::array<Upstream::Script, 6> faults{
        [](Peer& peer, int) { peer.reset(); },
        [](Peer& peer, int) {
            peer.message();
            peer.reset();
        },
        [](Peer& peer, int) {
            peer.message();
            peer.send("HTTP/1.1 200 O");
        },
        [](Peer& peer, int) {
            peer.message();
            peer.send("SMTP ready\r\n\r\n");
            peer.message();
        },
        [](Peer& peer, int) {
            peer.message();
            peer.send(std::string(kStreamHead) + chunk(kCreated));
            peer.reset();
        },
        [](Peer& peer, int) {
            peer.message();
            peer.send(std::string(kStreamHead) + "this is no chunk\r\n");
            peer.message();
        },
    };
    for (std::size_t i = 0; i < faults.size(); ++i) {
        SCOPED_TRACE(i);
        stop();
        segment_.account_slots.store(0);
        Upstream upstream([&](Peer& peer, int number) {
            if (number == 0) return faults[i](peer, number);
            peer.message();
            peer.send(
                std::string(kStreamHead) + chunk(std::string(kDelta) + std::string(kCompleted)) +
                "0\r\n\r\n");
        });
        serve(upstream, 2);
        const std::string answer = ask(post("/v1/responses", kTurn));
        EXPECT_EQ(Peer::status(answer), 200);
        EXPECT_NE(answer.find("response.completed"), std::string::npos);
        const shared::UsageEntry entry = next_record();
        EXPECT_EQ(entry.attempts, 2);
        EXPECT_EQ(entry.output, 3);
    }
}

TEST_F(UpstreamFaults, TakesAnotherAccountWhenTheFirstHangs)
{
    config_.first_byte_timeout_seconds = 1;
    Upstream upstream([](Peer& peer, int number) {
        peer.message();
        if (number == 0) {
            peer.more(); // hangs until the worker gives up
            return;
        }
        peer.send(std::string(kStreamHead) + chunk(kDelta) + chunk(kCompleted) + "0\r\n\r\n");
    });
    serve(upstream, 2);
    EXPECT_EQ(Peer::status(ask(post("/v1/responses", kTurn))), 200);
    EXPECT_EQ(next_record().attempts, 2);
}

TEST_F(UpstreamFaults, SaysSoWhenNobodyAnswersInTime)
{
    config_.first_byte_timeout_seconds = 1;
    Upstream upstream([](Peer& peer, int) {
        peer.message();
        peer.more();
    });
    serve(upstream, 1);
    EXPECT_EQ(Peer::status(ask(post("/v1/responses", kTurn))), 504);
}

TEST_F(UpstreamFaults, SaysSoWhenNobodyCanBeReached)
{
    add_account("codex:a");
    start();
    EXPECT_EQ(Peer::status(ask(post("/v1/responses", kTurn))), 502);
}

TEST_F(UpstreamFaults, ReleasesWhatItHoldsBackWhenTheUpstreamThinksLong)
{
    config_.first_byte_timeout_seconds = 1;
    std::promise<void> go;
    Upstream upstream([&](Peer& peer, int) {
        peer.message();
        peer.send(std::string(kStreamHead) + chunk(kCreated));
        go.get_future().wait();
        peer.send(chunk(kDelta) + chunk(kCompleted) + "0\r\n\r\n");
        peer.message();
    });
    serve(upstream, 2);
    Peer peer = connect();
    peer.send(post("/v1/responses", kTurn));
    EXPECT_NE(peer.until("response.created").find("200"), std::string::npos);
    go.set_value();
    peer.until("0\r\n\r\n");
    EXPECT_EQ(next_record().attempts, 1);
}

TEST_F(UpstreamFaults, HoldsBackNoMoreThanItsLimit)
{
    std::promise<void> go;
    const std::string comment(worker::Exchange::kHoldBackBytesMax, 'c');
    Upstream upstream([&](Peer& peer, int) {
        peer.message();
        peer.send(std::string(kStreamHead) + chunk(":" + comment + "\n\n"));
        go.get_future().wait();
        peer.send(chunk(kCompleted) + "0\r\n\r\n");
        peer.message();
    });
    serve(upstream, 2);
    Peer peer = connect();
    peer.send(post("/v1/responses", kTurn));
    peer.until("cccc");
    go.set_value();
    peer.until("0\r\n\r\n");
}

TEST_F(UpstreamFaults, RelaysEventsAsTheyCome)
{
    std::promise<void> first;
    std::promise<void> second;
    Upstream upstream([&](Peer& peer, int) {
        peer.message();
        peer.send(std::string(kStreamHead) + chunk(kDelta));
        first.get_future().wait();
        peer.send(chunk("data: {\"type\":\"x\",\"n\":2}\n\n"));
        second.get_future().wait();
        peer.send(chunk(kCompleted) + "0\r\n\r\n");
        peer.message();
    });
    serve(upstream, 1);
    Peer peer = connect();
    peer.send(post("/v1/responses", kTurn));
    peer.until("\"hi\"}\n\n");
    EXPECT_EQ(in_flight({0}), 1U);
    first.set_value();
    peer.until("\"n\":2}\n\n");
    second.set_value();
    peer.until("0\r\n\r\n");
    EXPECT_EQ(next_record().outcome, shared::RequestOutcome::completed);
    EXPECT_EQ(in_flight({0}), 0U);
}

TEST_F(UpstreamFaults, CountsWhatACutStreamHadTold)
{
    Upstream upstream([](Peer& peer, int) {
        peer.message();
        peer.send(std::string(kStreamHead) + chunk(kDelta) + chunk(kCompleted) + "5\r\nab");
    });
    serve(upstream, 1);
    Peer peer = connect();
    peer.send(post("/v1/responses", kTurn));
    const std::string answer = peer.rest();
    EXPECT_FALSE(answer.ends_with("0\r\n\r\n"));
    const shared::UsageEntry entry = next_record();
    EXPECT_EQ(entry.outcome, shared::RequestOutcome::upstream_cut);
    EXPECT_EQ(entry.input, 10);
    EXPECT_EQ(entry.output, 3);
}

TEST_F(UpstreamFaults, CutsAnAnswerShorterThanItsLength)
{
    Upstream upstream([](Peer& peer, int) {
        peer.message();
        peer.send(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{}");
    });
    serve(upstream, 1);
    Peer peer = connect();
    peer.send(post("/v1/responses", "{}"));
    EXPECT_EQ(Peer::body(peer.rest()), "{}");
    EXPECT_EQ(next_record().outcome, shared::RequestOutcome::upstream_cut);
}

TEST_F(UpstreamFaults, NeverReusesAConnectionWithLeftOverBytes)
{
    Upstream upstream([](Peer& peer, int) {
        while (!Peer::body(peer.message()).empty())
            peer.send(ok("x") + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen");
    });
    serve(upstream, 1);
    Peer peer = connect();
    for (int i = 0; i < 3; ++i) {
        peer.send(post("/v1/responses", "{}"));
        EXPECT_EQ(Peer::body(peer.message()), "x");
    }
    EXPECT_EQ(upstream.connections(), 3);
}

TEST_F(UpstreamFaults, RelaysABodyThatEndsWithTheConnection)
{
    Upstream upstream([](Peer& peer, int) {
        peer.message();
        peer.send("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it");
    });
    serve(upstream, 1);
    Peer peer = connect();
    peer.send(post("/v1/responses", "{}"));
    EXPECT_EQ(Peer::body(peer.rest()), "all of it");
    EXPECT_EQ(next_record().outcome, shared::RequestOutcome::completed);
}

TEST_F(UpstreamFaults, HearsAnAnswerBeforeTheBodyIsSent)
{
    std::promise<void> done;
    Upstream upstream([&](Peer& peer, int) {
        peer.head();
        peer.send(status_answer(400, R"({"error":{"message":"too much"}})"));
        done.get_future().wait(); // never reads the body
    });
    serve(upstream, 1);
    Peer peer = connect();
    const std::string body(10'000'000, 'b');
    std::thread sender([&] { peer.send(post("/v1/responses", body)); });
    const std::string answer = peer.message();
    sender.join();
    done.set_value();
    EXPECT_EQ(Peer::status(answer), 400);
    EXPECT_EQ(Peer::body(answer), R"({"error":{"message":"too much"}})");
}

TEST_F(UpstreamFaults, SkipsInterimAnswers)
{
    Upstream upstream([](Peer& peer, int) {
        peer.message();
        peer.send(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok("y"));
        peer.message();
    });
    serve(upstream, 1);
    EXPECT_EQ(Peer::body(ask(post("/v1/responses", "{}"))), "y");
}

TEST_F(UpstreamFaults, SlowsTheUpstreamToASlowClient)
{
    constexpr std::size_t kChunk = 100'000;
    constexpr std::size_t kChunks = 400;
    std::atomic<std::size_t> sent{0};
    const std::string piece = chunk(std::string(kChunk, 'p'));
    Upstream upstream([&](Peer& peer, int) {
        peer.message();
        peer.send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (std::size_t i = 0; i < kChunks; ++i, ++sent)
            if (!peer.send(piece)) return;
        peer.send("0\r\n\r\n");
        peer.message();
    });
    serve(upstream, 1);
    Peer peer = connect();
    peer.send(post("/v1/responses", "{}"));
    peer.head();
    // The client reads nothing: the upstream comes to a stand when the sockets in between are full.
    std::size_t before = 1;
    for (int i = 0; i < 50 && before != sent; ++i) {
        before = sent;
        std::this_thread::sleep_for(100ms);
    }
    EXPECT_LT(sent, kChunks);
    std::string all = peer.until("0\r\n\r\n");
    EXPECT_EQ(all.size(), kChunks * piece.size() + 5);
    EXPECT_EQ(next_record().response_bytes, kChunks * kChunk);
}

TEST_F(UpstreamFaults, CountsUsageInsideACompressedStream)
{
    const std::string events = std::string(kDelta) + std::string(kCompleted);
    const std::string packed = gzip(events);
    Upstream upstream([&](Peer& peer, int) {
        peer.message();
        peer.send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: "
            "gzip\r\nContent-Length: " +
            std::to_string(packed.size()) + "\r\n\r\n");
        for (const char c : packed)
            peer.send(std::string_view(&c, 1));
        peer.message();
    });
    serve(upstream, 1);
    const std::string answer = ask(post("/v1/responses", kTurn));
    EXPECT_EQ(Peer::body(answer), packed) << "the client gets the upstream's own bytes";
    EXPECT_EQ(next_record().output, 3);
}

TEST_F(UpstreamFaults, SendsACompressedBodyOnAsItIs)
{
    const std::string packed = gzip(kTurn);
    std::string seen;
    Upstream upstream(answering([&](const std::string& request) {
        seen = request;
        return ok("{}");
    }));
    serve(upstream, 1);
    ask(post("/v1/responses", packed, "Content-Encoding: gzip\r\n"));
    EXPECT_EQ(Peer::body(seen), packed);
    EXPECT_EQ(Peer::field(seen, "content-encoding"), "gzip");
    EXPECT_EQ(next_record().model.view(), "gpt-5");
    EXPECT_EQ(shared::count_pins(segment_), 1U);
    // Junk that only claims to be compressed goes upstream too: the vendor says what is wrong with it.
    EXPECT_EQ(Peer::status(ask(post("/v1/responses", "junk", "Content-Encoding: zstd\r\n"))), 200);
    EXPECT_EQ(Peer::body(seen), "junk");
}

TEST_F(UpstreamFaults, ReplacesAnotherAccountsProject)
{
    std::string seen;
    Upstream upstream(answering([&](const std::string& request) {
        seen = request;
        return ok("{}");
    }));
    set_upstream("gemini", upstream.port());
    const auto first = add_account(
        "gemini:a", shared::ProviderId::gemini, shared::CredentialKind::oauth, "project-a");
    add_account("gemini:b", shared::ProviderId::gemini, shared::CredentialKind::oauth, "project-b");
    start();
    const auto body = [](std::string_view project) {
        return R"({"model":"g","project":")" + std::string(project) +
               R"(","request":{"session_id":"s","project":"project-b"}})";
    };
    ask(post("/v1internal:generateContent", body("project-b")));
    const shared::UsageEntry entry = next_record();
    const bool on_first = entry.account == first;
    EXPECT_EQ(Peer::body(seen), body(on_first ? "project-a" : "project-b"));
    ask(post("/v1internal:generateContent", body("project-a")));
    EXPECT_EQ(Peer::body(seen), body(on_first ? "project-a" : "project-b"));
    ask(post("/v1internal:generateContent", body("somebody-elses")));
    EXPECT_EQ(Peer::body(seen), body("somebody-elses"));
}

TEST_F(UpstreamFaults, ReachesTheAdminChildOverItsUnixSocket)
{
    const std::string name = "codex-pool-test-" + std::to_string(::getpid());
    segment_.header.admin_socket.assign(name);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(&address.sun_path[1], name.data(), name.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(
        ::bind(
            fd,
            reinterpret_cast<sockaddr*>(&address),
            static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())),
        0);
    ::listen(fd, 8);
    std::string seen;
    std::thread admin([&] {
        Peer peer(::accept(fd, nullptr, nullptr));
        seen = peer.message();
        peer.send(ok("<html>"));
    });
    start();
    EXPECT_EQ(
        Peer::body(ask(get("/status?format=json", "Authorization: Basic eA==\r\n"))), "<html>");
    admin.join();
    ::close(fd);
    EXPECT_TRUE(seen.starts_with("GET /status?format=json HTTP/1.1\r\n"));
    EXPECT_EQ(Peer::field(seen, "host"), "127.0.0.1");
    EXPECT_EQ(Peer::field(seen, "authorization"), "");
    EXPECT_EQ(Peer::status(ask(get("/status"))), 503) << "nobody listens there any more";
}

} // namespace
} // namespace worker_test
