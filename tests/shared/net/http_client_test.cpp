/// HttpClient against servers that answer well, badly and not at all.
#include "shared/net/http_client.hpp"
#include "tests/support/tiny_http_server.hpp"
#include "tests/support/tiny_socks5_server.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace {

using shared::net::ClientRequest;
using shared::net::ClientResponse;
using tests::http_response;
using tests::TinyHttpServer;

class HttpClientTest : public testing::Test {
protected:
    static ClientRequest request_to(const TinyHttpServer& server)
    {
        ClientRequest request;
        request.base.tls = false;
        request.base.host = "127.0.0.1";
        request.base.port = server.port();
        request.base.prefix = "/prefix";
        request.path = "/path?x=1";
        return request;
    }

    shared::Result<ClientResponse> send(
        ClientRequest request,
        std::chrono::milliseconds deadline = std::chrono::seconds(20),
        std::size_t body_max = 1U << 20U)
    {
        shared::net::HttpClient client(tls_, proxy_);
        boost::asio::io_context loop;
        std::optional<shared::Result<ClientResponse>> answer;
        boost::asio::co_spawn(
            loop,
            client.send(std::move(request), deadline, body_max),
            [&answer](const std::exception_ptr& thrown, shared::Result<ClientResponse> result) {
                EXPECT_FALSE(thrown);
                answer = std::move(result);
            });
        loop.run();
        return *answer;
    }

    shared::net::TlsContext tls_{std::move(*shared::net::make_client_tls_context())};
    shared::net::ProxySettings proxy_;
};

TEST_F(HttpClientTest, SendsTheRequestAndGivesBackTheWholeAnswer)
{
    const TinyHttpServer server(
        [](const std::string&) { return http_response(404, "body", "X-One: 1\r\n"); });
    ClientRequest request = request_to(server);
    request.method = "POST";
    request.headers = {{"Authorization", "Bearer t"}};
    request.body = "hello";
    const auto answer = send(std::move(request));
    ASSERT_TRUE(answer.has_value()) << answer.error().text();
    EXPECT_EQ(answer->status, 404U);
    EXPECT_EQ(answer->body, "body");
    ASSERT_FALSE(answer->headers.empty());
    EXPECT_EQ(answer->headers[0].name, "X-One");
    EXPECT_EQ(answer->headers[0].value, "1");
    EXPECT_EQ(
        server.requests().at(0),
        "POST /prefix/path?x=1 HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) +
            "\r\nAuthorization: Bearer t\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
}

TEST_F(HttpClientTest, UnderstandsEveryFramingOfABody)
{
    const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: 1\r\n\r\n";
    const std::string until_close = "HTTP/1.1 200 OK\r\n\r\nabcdefg";
    const std::string after_interim =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" +
        http_response(200, "abcdefg");
    for (const std::string& text : {chunked, until_close, after_interim}) {
        const TinyHttpServer server([&text](const std::string&) { return text; });
        const auto answer = send(request_to(server));
        ASSERT_TRUE(answer.has_value()) << answer.error().text() << text;
        EXPECT_EQ(answer->status, 200U);
        EXPECT_EQ(answer->body, "abcdefg");
    }
}

TEST_F(HttpClientTest, AnswersWithoutABodyEndAtTheirHead)
{
    const TinyHttpServer server([](const std::string& request) {
        return request.starts_with("HEAD") ? "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
                                           : "HTTP/1.1 204 No Content\r\n\r\n";
    });
    ClientRequest head = request_to(server);
    head.method = "HEAD";
    const auto first = send(std::move(head));
    ASSERT_TRUE(first.has_value()) << first.error().text();
    EXPECT_EQ(first->body, "");
    const auto second = send(request_to(server));
    ASSERT_TRUE(second.has_value()) << second.error().text();
    EXPECT_EQ(second->status, 204U);
}

TEST_F(HttpClientTest, CutAndMalformedAnswersAreProblemsThatNameThePlace)
{
    const std::string cut = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
    const std::string cut_chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab";
    for (const std::string& text :
         {std::string(), cut, cut_chunk, std::string("SSH-2.0\r\n\r\n")}) {
        const TinyHttpServer server([&text](const std::string&) { return text; });
        const auto answer = send(request_to(server));
        ASSERT_FALSE(answer.has_value()) << text;
        EXPECT_EQ(answer.error().where, "127.0.0.1:" + std::to_string(server.port()));
    }
}

TEST_F(HttpClientTest, TheBodyIsBounded)
{
    const TinyHttpServer server(
        [](const std::string&) { return http_response(200, std::string(1001, 'x')); });
    const auto fits = send(request_to(server), std::chrono::seconds(20), 1001);
    ASSERT_TRUE(fits.has_value()) << fits.error().text();
    const auto answer = send(request_to(server), std::chrono::seconds(20), 1000);
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().what, "the answer is larger than expected");

    const TinyHttpServer endless(
        [](const std::string&) { return "HTTP/1.1 200 OK\r\n\r\n" + std::string(1U << 20U, 'x'); });
    const auto streamed = send(request_to(endless), std::chrono::seconds(20), 1000);
    ASSERT_FALSE(streamed.has_value());
    EXPECT_EQ(streamed.error().what, "the answer is larger than expected");
}

TEST_F(HttpClientTest, EndlessInterimAnswersEnd)
{
    const TinyHttpServer server([](const std::string&) {
        std::string text;
        for (int i = 0; i < 100; ++i)
            text += "HTTP/1.1 102 Processing\r\n\r\n";
        return text;
    });
    EXPECT_FALSE(send(request_to(server)).has_value());
}

TEST_F(HttpClientTest, ASilentServerIsGivenUpAtTheDeadline)
{
    const TinyHttpServer server([](const std::string&) { return TinyHttpServer::kHoldOpen; });
    const auto answer = send(request_to(server), std::chrono::milliseconds(50));
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().what, "no whole answer within 50 milliseconds");
}

TEST_F(HttpClientTest, ARefusedConnectionIsAProblem)
{
    std::uint16_t port = 0;
    {
        const TinyHttpServer closed([](const std::string&) { return std::string(); });
        port = closed.port();
    }
    ClientRequest request;
    request.base.tls = false;
    request.base.host = "127.0.0.1";
    request.base.port = port;
    request.path = "/";
    const auto answer = send(std::move(request));
    ASSERT_FALSE(answer.has_value());
    EXPECT_TRUE(answer.error().what.starts_with("cannot connect: ")) << answer.error().text();
}

TEST_F(HttpClientTest, NoFieldCanSmuggleALine)
{
    const TinyHttpServer server([](const std::string&) { return http_response(200, ""); });
    ClientRequest header = request_to(server);
    header.headers = {{"Authorization", "Bearer a\r\nX-Evil: 1"}};
    EXPECT_FALSE(send(std::move(header)).has_value());
    ClientRequest path = request_to(server);
    path.path = "/ HTTP/1.1\r\nX-Evil: 1";
    EXPECT_FALSE(send(std::move(path)).has_value());
    EXPECT_TRUE(server.requests().empty());
}

TEST_F(HttpClientTest, ATlsUpstreamThatSpeaksPlainTextIsAHandshakeProblem)
{
    const TinyHttpServer server([](const std::string&) { return http_response(200, ""); });
    ClientRequest request = request_to(server);
    request.base.tls = true;
    const auto answer = send(std::move(request), std::chrono::milliseconds(200));
    ASSERT_FALSE(answer.has_value());
}

TEST_F(HttpClientTest, ARequestWithItsOwnSocksProxyGoesThatWay)
{
    const TinyHttpServer server([](const std::string&) { return http_response(200, "hello"); });
    const tests::TinySocks5Server socks(server.port(), "me", "secret");
    ClientRequest request = request_to(server);
    request.proxy = *shared::net::ForwardProxy::parse(
        "socks5://me:secret@127.0.0.1:" + std::to_string(socks.port()));
    const auto answer = send(request);
    ASSERT_TRUE(answer.has_value()) << answer.error().text();
    EXPECT_EQ(answer->body, "hello");
    EXPECT_EQ(socks.asked().size(), 1U);

    request.proxy->password = "wrong";
    const auto refused = send(request);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().what, "the SOCKS proxy does not accept user and password");
    request.proxy = shared::net::ForwardProxy();
    EXPECT_FALSE(send(request).has_value());
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(HttpClientTest, AForwardProxyIsAskedForATunnel)
{
    const TinyHttpServer proxy(
        [](const std::string&) { return http_response(407, "who are you?"); });
    shared::http::BaseUrl base;
    base.tls = false;
    base.host = "127.0.0.1";
    base.port = proxy.port();
    proxy_.proxy = base;
    proxy_.authorization = "Basic eDp5";
    ClientRequest request;
    request.base.tls = true;
    request.base.host = "upstream.invalid";
    request.base.port = 443;
    request.path = "/";
    const auto answer = send(std::move(request));
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().what, "the proxy refused the tunnel with status 407");
    EXPECT_EQ(
        proxy.requests().at(0),
        "CONNECT upstream.invalid:443 HTTP/1.1\r\nHost: upstream.invalid:443\r\n"
        "Proxy-Authorization: Basic eDp5\r\n\r\n");
}

} // namespace
