/// HTTP/1.1 towards clients: what they may do, and what they may not.
#include "tests/worker/worker_fixture.hpp"

namespace worker_test {
namespace {

/// Echoes the request body.
std::string echo(const std::string& request)
{
    return ok(Peer::body(request));
}

class ClientHttp : public WorkerTest {
protected:
    ClientHttp() { add_account("codex:a"); }

    void serve(Upstream& upstream)
    {
        set_upstream("codex", upstream.port());
        start();
    }
};

TEST_F(ClientHttp, KeepsTheConnectionAndPipelines)
{
    Upstream upstream(answering(echo));
    serve(upstream);
    Peer peer = connect();
    std::string both = post("/v1/responses", "one") + post("/v1/responses", "two") +
                       get("/healthz") + post("/v1/responses", "three");
    peer.send(both);
    EXPECT_EQ(Peer::body(peer.message()), "one");
    EXPECT_EQ(Peer::body(peer.message()), "two");
    EXPECT_NE(Peer::body(peer.message()).find("\"ok\":true"), std::string::npos);
    EXPECT_EQ(Peer::body(peer.message()), "three");
    EXPECT_EQ(upstream.connections(), 1);
}

TEST_F(ClientHttp, TakesARequestByteByByte)
{
    Upstream upstream(answering(echo));
    serve(upstream);
    Peer peer = connect();
    for (const char c : post("/v1/responses", "slow"))
        peer.send(std::string_view(&c, 1));
    EXPECT_EQ(Peer::body(peer.message()), "slow");
}

TEST_F(ClientHttp, SendsAChunkedBodyOnWithItsLength)
{
    std::string seen;
    Upstream upstream(answering([&](const std::string& request) {
        seen = request;
        return ok("fine");
    }));
    serve(upstream);
    Peer peer = connect();
    peer.send("POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
              "4\r\nab");
    peer.send("cd\r\n3;x=y\r\nefg\r\n0\r\nTrailer: t\r\n\r\n");
    EXPECT_EQ(Peer::body(peer.message()), "fine");
    EXPECT_EQ(Peer::field(seen, "content-length"), "7");
    EXPECT_EQ(Peer::field(seen, "transfer-encoding"), "");
    EXPECT_EQ(Peer::body(seen), "abcdefg");
    peer.send(post("/v1/responses", "next"));
    EXPECT_EQ(Peer::body(peer.message()), "fine");
}

TEST_F(ClientHttp, SaysContinue)
{
    Upstream upstream(answering(echo));
    serve(upstream);
    Peer peer = connect();
    peer.send("POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: "
              "100-continue\r\n\r\n");
    EXPECT_EQ(peer.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    peer.send("later");
    EXPECT_EQ(Peer::body(peer.message()), "later");
}

TEST_F(ClientHttp, AnswersHeadWithoutABody)
{
    Upstream upstream([](Peer& peer, int) {
        while (!peer.head().empty())
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    });
    set_upstream("claude", upstream.port());
    add_account("claude:a", shared::ProviderId::claude);
    start();
    Peer peer = connect();
    for (int i = 0; i < 2; ++i) {
        peer.send("HEAD /v1/messages/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
        EXPECT_EQ(Peer::field(peer.head(), "content-length"), "1000");
    }
}

TEST_F(ClientHttp, SpeaksHttp10)
{
    Upstream upstream([](Peer& peer, int) {
        while (!Peer::body(peer.message()).empty())
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
    });
    serve(upstream);
    Peer peer = connect();
    peer.send("POST /v1/responses HTTP/1.0\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx");
    const std::string answer = peer.rest();
    EXPECT_EQ(Peer::field(answer, "transfer-encoding"), "");
    EXPECT_EQ(Peer::field(answer, "connection"), "close");
    EXPECT_EQ(Peer::body(answer), "hello world");
}

TEST_F(ClientHttp, RelaysTrailers)
{
    const std::string body = "3\r\nabc\r\n0\r\nX-Check: 1\r\n\r\n";
    Upstream upstream([&](Peer& peer, int) {
        peer.message();
        peer.send(
            "HTTP/1.1 200 OK\r\nTrailer: X-Check\r\nTransfer-Encoding: chunked\r\n\r\n" + body);
        peer.message();
    });
    serve(upstream);
    Peer peer = connect();
    peer.send(post("/v1/responses", "{}"));
    const std::string head = peer.head();
    EXPECT_EQ(Peer::field(head, "trailer"), "X-Check");
    EXPECT_EQ(peer.exactly(body.size()), body);
}

TEST_F(ClientHttp, AnswersAClientThatHasFinishedSending)
{
    Upstream upstream([](Peer& peer, int) {
        const std::string request = peer.message();
        std::this_thread::sleep_for(200ms);
        peer.send(ok("patience"));
    });
    serve(upstream);
    Peer peer = connect();
    peer.send(post("/v1/responses", "{}"));
    peer.finish_sending();
    EXPECT_EQ(Peer::body(peer.message()), "patience");
}

TEST_F(ClientHttp, AbortsTheUpstreamWhenTheClientIsReset)
{
    std::promise<void> asked;
    std::promise<bool> ended;
    Upstream upstream([&](Peer& peer, int) {
        peer.message();
        asked.set_value();
        ended.set_value(!peer.more()); // the end, nothing else
    });
    serve(upstream);
    Peer peer = connect();
    peer.send(post("/v1/responses", "{}"));
    asked.get_future().wait();
    peer.reset();
    EXPECT_TRUE(ended.get_future().get());
    EXPECT_EQ(next_record().outcome, shared::RequestOutcome::client_gone);
    EXPECT_EQ(in_flight({0}), 0U);
    EXPECT_EQ(routing({0}).penalty_milli, 0U) << "an aborting client costs nobody a penalty";
}

TEST_F(ClientHttp, AbortsTheUpstreamWhenTheClientLeavesMidStream)
{
    std::promise<void> ended;
    Upstream upstream([&](Peer& peer, int) {
        peer.message();
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: "
                  "chunked\r\n\r\n");
        while (peer.send("5\r\nhello\r\n") && !peer.hears_within(5ms)) {
        }
        ended.set_value();
    });
    serve(upstream);
    Peer peer = connect();
    peer.send(post("/v1/responses", "{}"));
    peer.until("hello");
    peer.close();
    EXPECT_EQ(ended.get_future().wait_for(10s), std::future_status::ready);
    EXPECT_EQ(next_record().outcome, shared::RequestOutcome::client_gone);
}

struct BadRequest {
    const char* bytes;
    int status;
};

TEST_F(ClientHttp, RefusesWhatAProxyMustRefuse)
{
    Upstream upstream(answering(echo));
    serve(upstream);
    const std::string huge =
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n";
    const std::array cases{
        BadRequest{"GET / HTTP/1.1\n\n", 400},
        BadRequest{
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
        BadRequest{
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
            "chunked\r\n\r\n",
            400},
        BadRequest{"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400},
        BadRequest{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        BadRequest{huge.c_str(), 431},
        BadRequest{
            "POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
            "chunked\r\n\r\nzz\r\n",
            400},
    };
    for (const BadRequest& bad : cases) {
        SCOPED_TRACE(std::string_view(bad.bytes).substr(0, 60));
        Peer peer = connect();
        peer.send(bad.bytes);
        const std::string answer = peer.rest();
        EXPECT_EQ(Peer::status(answer), bad.status);
        EXPECT_EQ(Peer::field(answer, "connection"), "close");
        EXPECT_NE(Peer::field(answer, "x-request-id"), "");
    }
    EXPECT_EQ(upstream.connections(), 0);
}

TEST_F(ClientHttp, RefusesABodyAboveTheLimit)
{
    config_.max_body_bytes = 1000;
    Upstream upstream(answering(echo));
    serve(upstream);
    Peer peer = connect();
    peer.send(post("/v1/responses", std::string(2000, 'x')));
    EXPECT_EQ(Peer::status(peer.rest()), 413);
    Peer chunked = connect();
    chunked.send(
        "POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
        "chunked\r\n\r\n7d0\r\n" +
        std::string(2000, 'x') + "\r\n0\r\n\r\n");
    EXPECT_EQ(Peer::status(chunked.rest()), 413);
    EXPECT_EQ(upstream.connections(), 0);
}

TEST_F(ClientHttp, DoesNotWaitForSlowHeadsAndBodies)
{
    config_.client_header_timeout_seconds = 1;
    config_.client_body_timeout_seconds = 1;
    Upstream upstream(answering(echo));
    serve(upstream);
    Peer head = connect();
    head.send("GET /hea");
    Peer body = connect();
    body.send("POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc");
    Peer silent = connect();
    EXPECT_EQ(Peer::status(head.rest()), 408);
    EXPECT_EQ(body.rest(), "");
    EXPECT_EQ(silent.rest(), "");
    EXPECT_EQ(upstream.connections(), 0);
}

TEST_F(ClientHttp, EndsIdleConnections)
{
    config_.client_idle_timeout_seconds = 1;
    Upstream upstream(answering(echo));
    serve(upstream);
    Peer peer = connect();
    peer.send(post("/v1/responses", "x"));
    EXPECT_EQ(Peer::body(peer.message()), "x");
    EXPECT_EQ(peer.rest(), "");
}

TEST_F(ClientHttp, StreamsAnUploadTooLongToHold)
{
    config_.max_replay_bytes = 100'000;
    const std::string body(3'000'000, 'u');
    std::string seen;
    Upstream upstream(answering([&](const std::string& request) {
        seen = request;
        return ok("got it");
    }));
    serve(upstream);
    Peer peer = connect();
    peer.send(post("/v1/responses", body));
    EXPECT_EQ(Peer::body(peer.message()), "got it");
    EXPECT_EQ(Peer::body(seen), body);

    peer.send(
        "POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 30; ++i)
        peer.send("2710\r\n" + std::string(10'000, 'c') + "\r\n");
    peer.send("0\r\n\r\n");
    EXPECT_EQ(Peer::body(peer.message()), "got it");
    EXPECT_EQ(Peer::field(seen, "transfer-encoding"), "chunked");
}

TEST_F(ClientHttp, HoldsALargeBodyWhole)
{
    const std::string body(5'000'000, 'h');
    Upstream upstream(answering(echo));
    serve(upstream);
    Peer peer = connect();
    std::thread sender([&] { peer.send(post("/v1/responses", body)); });
    const std::string answer = peer.message();
    sender.join();
    EXPECT_EQ(Peer::body(answer), body);
}

TEST_F(ClientHttp, DrainsWithoutCuttingARunningRequest)
{
    std::promise<void> go;
    std::promise<void> asked;
    Upstream upstream([&](Peer& peer, int) {
        peer.message();
        asked.set_value();
        go.get_future().wait();
        peer.send(ok("last words"));
    });
    serve(upstream);
    Peer idle = connect();
    idle.send(get("/healthz"));
    idle.message();
    Peer busy = connect();
    busy.send(post("/v1/responses", "{}"));
    asked.get_future().wait();
    std::promise<void> drained;
    on_loop([&] { server_->drain(false, [&] { drained.set_value(); }); });
    EXPECT_EQ(idle.rest(), "");
    go.set_value();
    const std::string answer = busy.rest();
    EXPECT_EQ(Peer::body(answer), "last words");
    EXPECT_EQ(Peer::field(answer, "connection"), "close");
    EXPECT_EQ(drained.get_future().wait_for(10s), std::future_status::ready);
}

} // namespace
} // namespace worker_test
