/// Clients that mean harm or are broken: smuggled requests, bombs, one byte a minute.
#include "shared/fake_providers/coding.hpp"
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

namespace tests {
namespace {

/// Decoded size, above every cap.
constexpr std::size_t kBombBytes = 300U << 20U;

class Hostile : public PoolTest {
protected:
    void SetUp() override { add(fake::Vendor::claude, fake::Kind::oauth, "claude_1"); }

    /// The status of the answer to these bytes; 0 = none. The connection must be closed afterwards if it was refused.
    unsigned status_of(const std::string& bytes)
    {
        fake::Client client = this->client();
        client.wire().set_timeout(std::chrono::seconds(5));
        (void)client.wire().write(bytes);
        const fake::Response response = client.read_head();
        if (response.status >= 400) {
            (void)client.read_rest();
            EXPECT_FALSE(client.wire().fill())
                << "a refused connection goes on: " << bytes.substr(0, 60);
        }
        return response.status;
    }

    [[nodiscard]] std::string host() const
    {
        return "Host: 127.0.0.1:" + std::to_string(port()) + "\r\n";
    }
};

TEST_F(Hostile, AmbiguousRequestsAreRefused)
{
    start();
    const std::string post = "POST /v1/messages HTTP/1.1\r\n" + host();
    const std::string get = "GET /healthz HTTP/1.1\r\n";
    EXPECT_EQ(status_of(get + host() + "\r\n"), 200U);
    const std::pair<const char*, std::string> refused[] = {
        {"two lengths", post + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"},
        {"a list of lengths", post + "Content-Length: 4, 5\r\n\r\nabcde"},
        {"length and chunked",
         post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {"two codings", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
        {"chunked twice",
         post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {"unknown coding", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
        {"signed length", post + "Content-Length: +4\r\n\r\nabcd"},
        {"negative length", post + "Content-Length: -1\r\n\r\n"},
        {"hexadecimal length", post + "Content-Length: 0x4\r\n\r\nabcd"},
        {"huge length", post + "Content-Length: 99999999999999999999999\r\n\r\n"},
        {"folded field", get + host() + "X-A: b\r\n c\r\n\r\n"},
        {"bare line feed", "GET /healthz HTTP/1.1\nHost: localhost\n\n"},
        {"line feed in a field", get + host() + "X-A: b\nX-B: c\r\n\r\n"},
        {"bare carriage return", get + host() + "X-A: b\rc\r\n\r\n"},
        {"space before the colon", get + host() + "X-A : b\r\n\r\n"},
        {"no colon", get + host() + "nonsense\r\n\r\n"},
        {"no host", get + "\r\n"},
        {"two hosts", get + host() + host() + "\r\n"},
        {"control character in the target", "GET /heal\x01thz HTTP/1.1\r\n" + host() + "\r\n"},
        {"absolute target", "GET http://127.0.0.1/healthz HTTP/1.1\r\n" + host() + "\r\n"},
        {"a tunnel", "CONNECT example.com:443 HTTP/1.1\r\n" + host() + "\r\n"},
        {"garbage", "\x16\x03\x01\x02garbage\r\n\r\n"},
    };
    for (const auto& [what, bytes] : refused) {
        const unsigned status = status_of(bytes);
        EXPECT_TRUE(status == 400 || status == 501 || status == 405) << what << ": " << status;
    }
    EXPECT_EQ(status_of("GET /healthz HTTP/3.0\r\n" + host() + "\r\n"), 505U);
    EXPECT_EQ(status_of(get + host() + "X-Large: " + std::string(70000, 'a') + "\r\n\r\n"), 431U);
    std::string many = get + host();
    for (int i = 0; i < 300; ++i)
        many += "X-" + std::to_string(i) + ": a\r\n";
    EXPECT_EQ(status_of(many + "\r\n"), 431U);
    EXPECT_EQ(upstream().ledger().turns().size(), 0U);
}

TEST_F(Hostile, BrokenChunksNeverReachAnUpstreamAsAWholeRequest)
{
    start();
    const std::string head =
        "POST /v1/messages HTTP/1.1\r\n" + host() + "Transfer-Encoding: chunked\r\n\r\n";
    for (const char* body :
         {"zz\r\nabc\r\n0\r\n\r\n",
          "3\r\nabcd\r\n0\r\n\r\n",
          "3\nabc\n0\n\n",
          "-3\r\nabc\r\n0\r\n\r\n",
          "fffffffffffffffff\r\nabc\r\n",
          "3 \r\nabc\r\n0\r\n\r\n",
          "\r\n\r\n"}) {
        EXPECT_EQ(status_of(head + body), 400U) << body;
    }
    for (const fake::Exchange& each : upstream().ledger().turns())
        EXPECT_FALSE(each.complete);
    expect_idle();
}

TEST_F(Hostile, ASlowHeadIsCutOff)
{
    set("client_header_timeout_seconds = 1");
    start();
    fake::Client client = this->client();
    ASSERT_TRUE(client.wire().write("GET /healthz HTTP/1.1\r\n"));
    const auto begun = std::chrono::steady_clock::now();
    // Nothing more comes: the pool ends it by itself, with 408 or without a word.
    const fake::Response response = client.read_head();
    EXPECT_TRUE(response.status == 408 || response.status == 0) << response.status;
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(8));
}

TEST_F(Hostile, ASlowBodyIsCutOff)
{
    set("client_body_timeout_seconds = 1");
    start();
    fake::Client client = this->client();
    ASSERT_TRUE(client.wire().write(
        "POST /v1/messages HTTP/1.1\r\n" + host() + "Content-Length: 100\r\n\r\n{"));
    const fake::Response response = client.read_head();
    EXPECT_TRUE(response.status == 408 || response.status == 400 || response.status == 0)
        << response.status;
    expect_idle();
    EXPECT_EQ(upstream().ledger().turns().size(), 0U);
}

TEST_F(Hostile, BombsAreOnlyRelayed)
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    start();
    const std::string zeros(kBombBytes, '0');
    for (const char* coding : {"gzip", "br", "zstd"}) {
        Turn turn = turn_of(Cli::codex, "bomb");
        turn.body = fake::encode_all(coding, zeros);
        turn.headers.emplace_back("Content-Encoding", coding);
        fake::Client client = this->client();
        const unsigned status = make(client, turn).status;
        EXPECT_TRUE(status == 200 || status == 400 || status == 413) << coding << ": " << status;
    }
    // A wrong zstd header and a cut gzip stream.
    for (const char* coding : {"zstd", "gzip", "br"}) {
        Turn turn = turn_of(Cli::codex, "wrong");
        turn.body = "this is not compressed at all";
        turn.headers.emplace_back("Content-Encoding", coding);
        fake::Client client = this->client();
        const unsigned status = make(client, turn).status;
        EXPECT_TRUE(status == 400 || status == 200) << coding << ": " << status;
    }
    EXPECT_EQ(pool().log().find("child_crashed"), std::string::npos);
    EXPECT_EQ(get("/healthz").status, 200U);
    expect_idle();
}

TEST_F(Hostile, ABombAsAnswerIsOnlyRelayed)
{
    start();
    const std::string bomb = fake::encode_all("gzip", std::string(kBombBytes, ' '));
    upstream().script(fake::answers(
        200, bomb, {{"Content-Type", "application/json"}, {"Content-Encoding", "gzip"}}));
    fake::Client client = this->client();
    const fake::Response response = make(client, unstreamed(Cli::claude, "c"));
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.body, bomb);
    expect_idle();
}

TEST_F(Hostile, BodiesThatAreNotJson)
{
    start();
    for (const std::string& body :
         {std::string("not json"),
          std::string("{\"model\":"),
          std::string(),
          std::string(100000, '['),
          std::string("\0\xff\xfe", 3)}) {
        fake::Client client = this->client();
        Turn turn = turn_of(Cli::claude, "c");
        turn.body = body;
        const fake::Response response = make(client, turn);
        EXPECT_EQ(response.status, 400U) << body.substr(0, 20);
        EXPECT_NE(response.body.find("error"), std::string::npos);
    }
    expect_idle();
}

TEST_F(Hostile, ResponseSplittingIsImpossible)
{
    start();
    fake::Behaviour split;
    split.headers = {{"X-Evil", "a\rSet-Cookie: b"}};
    split.times = 1;
    upstream().script(split);
    fake::Client client = this->client();
    const fake::Response response = make(client, unstreamed(Cli::claude, "c"));
    EXPECT_EQ(response.value("x-evil").find('\r'), std::string::npos);
    EXPECT_EQ(response.value("set-cookie"), "");
}

TEST_F(Hostile, ManyIdleConnectionsDoNoHarm)
{
    start();
    std::vector<fake::Client> idle;
    for (std::size_t i = 0; i < 400; ++i)
        idle.push_back(client());
    fake::Client client = this->client();
    EXPECT_EQ(make(client, turn_of(Cli::claude, "c")).status, 200U);
    expect_idle();
}

} // namespace
} // namespace tests
