#include "shared/http/head.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace shared::http {
namespace {

std::string request(std::string_view fields, std::string_view line = "POST /v1/x HTTP/1.1")
{
    return std::string(line) + "\r\n" + std::string(fields) + "\r\n";
}

constexpr std::string_view kHost = "Host: pool\r\n";

ParseStatus status_of(const std::string& bytes)
{
    RequestHead head;
    const char* error = nullptr;
    const ParseStatus status = parse_request(bytes, head, &error);
    const bool fault = status != ParseStatus::complete && status != ParseStatus::incomplete;
    EXPECT_EQ(error != nullptr, fault) << bytes;
    return status;
}

/// Parses a request that must be good; `bytes` must outlive the result.
RequestHead parsed(const std::string& bytes)
{
    RequestHead head;
    const char* error = nullptr;
    EXPECT_EQ(parse_request(bytes, head, &error), ParseStatus::complete)
        << bytes << (error != nullptr ? error : "");
    return head;
}

TEST(RequestHead, ReadsLineAndFields)
{
    const std::string bytes =
        "POST /v1/messages?beta=true&x HTTP/1.1\r\nHost: a.b:80\r\nX-Empty:\r\n"
        "X-Spaces: \t two words \t\r\nx-utf8: \xC3\xA9\r\nX-Tab: a\tb\r\n\r\nBODY";
    const RequestHead head = parsed(bytes);
    EXPECT_EQ(head.method, "POST");
    EXPECT_EQ(head.target, "/v1/messages?beta=true&x");
    EXPECT_EQ(head.path, "/v1/messages");
    EXPECT_EQ(head.query, "beta=true&x");
    EXPECT_EQ(head.minor_version, 1);
    EXPECT_EQ(head.head_bytes, bytes.size() - 4);
    EXPECT_EQ(head.fields.list.size(), 5U);
    EXPECT_EQ(head.fields.find("host"), "a.b:80");
    EXPECT_EQ(head.fields.find("x-spaces"), "two words");
    EXPECT_EQ(head.fields.find("X-UTF8"), "\xC3\xA9");
    EXPECT_EQ(head.fields.find("x-tab"), "a\tb");
    EXPECT_TRUE(head.fields.has("x-empty"));
    EXPECT_EQ(head.fields.find("x-empty"), "");
    EXPECT_FALSE(head.fields.has("x-emp"));
    EXPECT_EQ(head.body, BodyKind::none);
    EXPECT_TRUE(head.keep_alive);
}

TEST(RequestHead, IsIncompleteAtEveryCutAndNeverWrong)
{
    const std::string bytes = request("Host: pool\r\nContent-Length: 5\r\nX-A: b\r\n");
    for (std::size_t length = 0; length < bytes.size(); ++length)
        EXPECT_EQ(status_of(bytes.substr(0, length)), ParseStatus::incomplete) << length;
    EXPECT_EQ(status_of(bytes), ParseStatus::complete);
}

TEST(RequestHead, QueryParameters)
{
    const std::string bytes =
        request(kHost, "GET /p?a=1&bb=x%20y&empty=&flag&a=2&=odd&c=d=e HTTP/1.1");
    const RequestHead head = parsed(bytes);
    EXPECT_EQ(head.query_parameter("a"), "1");
    EXPECT_EQ(head.query_parameter("bb"), "x%20y");
    EXPECT_EQ(head.query_parameter("c"), "d=e");
    EXPECT_EQ(head.query_parameter("empty"), "");
    EXPECT_NE(head.query_parameter("empty").data(), nullptr);
    EXPECT_EQ(head.query_parameter("flag"), "");
    EXPECT_NE(head.query_parameter("flag").data(), nullptr);
    EXPECT_EQ(head.query_parameter("b").data(), nullptr);
    const std::string plain = request(kHost, "GET /p? HTTP/1.1");
    EXPECT_EQ(parsed(plain).path, "/p");
    EXPECT_EQ(parsed(plain).query_parameter("a").data(), nullptr);
}

// ---- what would be read differently by somebody else --------------------------------------------------

struct Case {
    const char* what;
    std::string bytes;
};

std::vector<Case> refused_requests()
{
    const std::string host(kHost);
    return {
        {"equal lengths twice", request(host + "Content-Length: 5\r\nContent-Length: 5\r\n")},
        {"differing lengths", request(host + "Content-Length: 5\r\nContent-Length: 6\r\n")},
        {"differing case", request(host + "Content-Length: 5\r\ncontent-length: 6\r\n")},
        {"length list", request(host + "Content-Length: 5, 5\r\n")},
        {"signed length", request(host + "Content-Length: +5\r\n")},
        {"negative length", request(host + "Content-Length: -5\r\n")},
        {"hexadecimal length", request(host + "Content-Length: 0x5\r\n")},
        {"spaced length", request(host + "Content-Length: 1 0\r\n")},
        {"empty length", request(host + "Content-Length:\r\n")},
        {"fractional length", request(host + "Content-Length: 5.0\r\n")},
        {"length overflow", request(host + "Content-Length: 18446744073709551621\r\n")},
        {"length and chunked",
         request(host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
        {"chunked and length",
         request(host + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
        {"length 0 and chunked",
         request(host + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n")},
        {"gzip, chunked", request(host + "Transfer-Encoding: gzip, chunked\r\n")},
        {"chunked, gzip", request(host + "Transfer-Encoding: chunked, gzip\r\n")},
        {"chunked twice", request(host + "Transfer-Encoding: chunked, chunked\r\n")},
        {"two codings",
         request(host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
        {"identity", request(host + "Transfer-Encoding: identity\r\n")},
        {"empty coding", request(host + "Transfer-Encoding:\r\n")},
        {"quoted coding", request(host + "Transfer-Encoding: \"chunked\"\r\n")},
        {"coding with parameter", request(host + "Transfer-Encoding: chunked;x=1\r\n")},
        {"trailing comma", request(host + "Transfer-Encoding: chunked,\r\n")},
        {"xchunked", request(host + "Transfer-Encoding: xchunked\r\n")},
        {"vertical tab in coding",
         request(
             host + "Transfer-Encoding: \x0B"
                    "chunked\r\n")},
        {"chunked in 1.0", request("Transfer-Encoding: chunked\r\n", "POST / HTTP/1.0")},
        {"space before colon", request(host + "Content-Length : 5\r\n")},
        {"tab before colon", request(host + "Transfer-Encoding\t: chunked\r\n")},
        {"space in name", request(host + "X Y: 1\r\n")},
        {"empty name", request(host + ": 1\r\n")},
        {"no colon", request(host + "Content-Length\r\n")},
        {"obs-fold, space", request(host + "X-A: b\r\n c\r\n")},
        {"obs-fold, tab", request(host + "X-A: b\r\n\tContent-Length: 5\r\n")},
        {"obs-fold first", request(" Host: pool\r\n")},
        {"bare LF in a field", request(host + "X-A: b\nContent-Length: 5\r\n")},
        {"bare LF everywhere", "POST / HTTP/1.1\nHost: pool\n\n"},
        {"bare LF ends the head", "POST / HTTP/1.1\r\nHost: pool\r\n\n"},
        {"bare CR in a value", request(host + "X-A: b\rContent-Length: 5\r\n")},
        {"CR CR LF", request(host + "X-A: b\r\r\n")},
        {"NUL in a value", request(host + std::string("X-A: b\0c\r\n", 10))},
        {"NUL in a name", request(host + std::string("X\0A: b\r\n", 8))},
        {"DEL in a value", request(host + "X-A: b\x7F\r\n")},
        {"escape in a value", request(host + "X-A: \x1B[2J\r\n")},
        {"non-ASCII name", request(host + "X-\xC3\xA9: b\r\n")},
        {"no Host", request("X-A: b\r\n")},
        {"two Hosts", request(host + host)},
        {"two differing Hosts", request(host + "host: other\r\n")},
        {"two Hosts in 1.0", request(host + host, "GET / HTTP/1.0")},
        {"Host with path", request("Host: pool/x\r\n")},
        {"Host with user", request("Host: a@pool\r\n")},
        {"Host list", request("Host: a, b\r\n")},
        {"Host with space", request("Host: a b\r\n")},
        {"absolute form", request(host, "GET http://pool/ HTTP/1.1")},
        {"authority form", request(host, "CONNECT pool:443 HTTP/1.1")},
        {"asterisk form", request(host, "OPTIONS * HTTP/1.1")},
        {"relative target", request(host, "GET x HTTP/1.1")},
        {"empty target", request(host, "GET  HTTP/1.1")},
        {"fragment", request(host, "GET /a#b HTTP/1.1")},
        {"tab in target", request(host, "GET /a\tb HTTP/1.1")},
        {"NUL in target", request(host, std::string("GET /a\0b HTTP/1.1", 17))},
        {"CR in target", request(host, "GET /a\rb HTTP/1.1")},
        {"raw UTF-8 target", request(host, "GET /\xC3\xA9 HTTP/1.1")},
        {"space in target", request(host, "GET /a b HTTP/1.1")},
        {"two spaces", request(host, "GET /  HTTP/1.1")},
        {"tab for space", request(host, "GET\t/ HTTP/1.1")},
        {"space first", request(host, " GET / HTTP/1.1")},
        {"space last", request(host, "GET / HTTP/1.1 ")},
        {"no version", request(host, "GET /")},
        {"lower-case version", request(host, "GET / http/1.1")},
        {"version 1.10", request(host, "GET / HTTP/1.10")},
        {"version 01.1", request(host, "GET / HTTP/01.1")},
        {"version 1", request(host, "GET / HTTP/1")},
        {"empty line first", "\r\n" + request(host)},
        {"a quoted method", request(host, "G\"T / HTTP/1.1")},
        {"a long method", request(host, std::string(33, 'A') + " / HTTP/1.1")},
        {"TLS", "\x16\x03\x01\x02\x01\x01"},
        {"HTTP/2 preface, method only", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    };
}

TEST(RequestHead, RefusesWhatCouldBeReadInTwoWays)
{
    for (const Case& item : refused_requests())
        EXPECT_EQ(status_of(item.bytes), ParseStatus::bad_request) << item.what;
}

TEST(RequestHead, RefusalDoesNotDependOnHowMuchHasArrived)
{
    for (const Case& item : refused_requests()) {
        bool refused = false;
        for (std::size_t length = 0; length <= item.bytes.size(); ++length) {
            const ParseStatus status = status_of(item.bytes.substr(0, length));
            EXPECT_NE(status, ParseStatus::complete) << item.what << " at " << length;
            // Once refused, more bytes never mend it.
            if (refused) {
                EXPECT_EQ(status, ParseStatus::bad_request) << item.what << " at " << length;
            }
            refused = status == ParseStatus::bad_request;
        }
        EXPECT_TRUE(refused) << item.what;
    }
}

TEST(RequestHead, OtherVersionsAreNamedAsSuch)
{
    for (const char* version : {"HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/3.0"})
        EXPECT_EQ(
            status_of(request(kHost, std::string("GET / ") + version)), ParseStatus::bad_version);
}

TEST(RequestHead, AcceptsWhatIsCorrectThoughUnusual)
{
    const std::string long_name(200, 'x');
    for (const std::string& bytes :
         {request("HOST:pool\r\nContent-Length:5\r\n"),
          request("Host: [::1]:8989\r\n"),
          request("Host:\r\n"),
          request(std::string(kHost) + "Transfer-Encoding: Chunked\r\n"),
          request(std::string(kHost) + "Content-Length: 005\r\n"),
          request(std::string(kHost) + long_name + ": " + long_name + "\r\n"),
          request("", "GET / HTTP/1.0"),
          request(kHost, "M-SEARCH! / HTTP/1.1"),
          request(kHost, "GET //a/../b;c=%00?x?y HTTP/1.1")})
        EXPECT_EQ(status_of(bytes), ParseStatus::complete) << bytes;
}

// ---- limits --------------------------------------------------------------------------------------------

TEST(RequestHead, LimitsTheNumberOfFields)
{
    std::string fields(kHost);
    for (std::size_t i = 1; i < kFieldsMax; ++i)
        fields += "X-A: b\r\n";
    EXPECT_EQ(status_of(request(fields)), ParseStatus::complete);
    EXPECT_EQ(status_of(request(fields + "X-A: b\r\n")), ParseStatus::too_large);
}

TEST(RequestHead, LimitsTheSize)
{
    const std::string empty = request(std::string(kHost) + "X-A: \r\n");
    const auto of_size = [&](std::size_t size) {
        return request(
            std::string(kHost) + "X-A: " + std::string(size - empty.size(), 'a') + "\r\n");
    };
    EXPECT_EQ(status_of(of_size(kHeadBytesMax)), ParseStatus::complete);
    EXPECT_EQ(status_of(of_size(kHeadBytesMax) + "body"), ParseStatus::complete);
    EXPECT_EQ(status_of(of_size(kHeadBytesMax + 1)), ParseStatus::too_large);
    EXPECT_EQ(
        status_of(of_size(kHeadBytesMax + 1).substr(0, kHeadBytesMax - 1)),
        ParseStatus::incomplete);
    EXPECT_EQ(status_of("GET /" + std::string(kHeadBytesMax, 'a')), ParseStatus::too_large);
}

// ---- body and connection ---------------------------------------------------------------------------------

TEST(RequestHead, KnowsItsBody)
{
    const std::string sized = request(std::string(kHost) + "Content-Length: 42\r\n");
    EXPECT_EQ(parsed(sized).body, BodyKind::length);
    EXPECT_EQ(parsed(sized).content_length, 42U);
    EXPECT_EQ(parsed(request(std::string(kHost) + "Content-Length: 0\r\n")).body, BodyKind::none);
    EXPECT_EQ(
        parsed(request(std::string(kHost) + "Transfer-Encoding: chunked\r\n")).body,
        BodyKind::chunked);
    EXPECT_EQ(
        parsed(request(std::string(kHost) + "Content-Length: 999999999999999999\r\n"))
            .content_length,
        999999999999999999U);
}

TEST(RequestHead, KnowsWhetherTheConnectionStaysOpen)
{
    const std::string host(kHost);
    EXPECT_TRUE(parsed(request(host)).keep_alive);
    EXPECT_FALSE(parsed(request(host + "Connection: Close\r\n")).keep_alive);
    EXPECT_FALSE(parsed(request(host + "Connection: x, close\r\nConnection: y\r\n")).keep_alive);
    EXPECT_FALSE(parsed(request(host + "Connection: y\r\nConnection: close\r\n")).keep_alive);
    EXPECT_TRUE(parsed(request(host + "Connection: not-close\r\n")).keep_alive);
    EXPECT_FALSE(parsed(request("", "GET / HTTP/1.0")).keep_alive);
    EXPECT_TRUE(parsed(request("Connection: keep-alive\r\n", "GET / HTTP/1.0")).keep_alive);
    EXPECT_FALSE(parsed(request("Connection: keep-alive, close\r\n", "GET / HTTP/1.0")).keep_alive);
}

TEST(RequestHead, ExpectationsAndUpgrades)
{
    const std::string host(kHost);
    EXPECT_TRUE(parsed(request(host + "Expect: 100-Continue\r\n")).expects_continue);
    EXPECT_FALSE(parsed(request("Expect: 100-continue\r\n", "PUT / HTTP/1.0")).expects_continue);
    EXPECT_FALSE(parsed(request(host + "Expect: cake\r\n")).expects_continue);

    const std::string upgrade = host + "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";
    const std::string get = "GET / HTTP/1.1";
    EXPECT_TRUE(parsed(request(upgrade, get)).upgrades_to_websocket);
    EXPECT_FALSE(parsed(request(upgrade)).upgrades_to_websocket);
    EXPECT_FALSE(parsed(request(upgrade, "GET / HTTP/1.0")).upgrades_to_websocket);
    EXPECT_FALSE(parsed(request(upgrade + "Content-Length: 1\r\n", get)).upgrades_to_websocket);
    EXPECT_FALSE(parsed(request(host + "Upgrade: websocket\r\n", get)).upgrades_to_websocket);
    EXPECT_FALSE(parsed(request(host + "Connection: upgrade\r\nUpgrade: h2c\r\n", get))
                     .upgrades_to_websocket);
}

TEST(RequestHead, CanBeUsedAgain)
{
    const std::string first = request(
        "Host: a\r\nConnection: close, x\r\nConnection: y\r\nContent-Length: 5\r\n",
        "GET /?q HTTP/1.1");
    const std::string second = request("Host: b\r\n", "GET /p HTTP/1.1");
    RequestHead head;
    ASSERT_EQ(parse_request(first, head), ParseStatus::complete);
    ASSERT_EQ(parse_request(second, head), ParseStatus::complete);
    EXPECT_EQ(head.fields.list.size(), 1U);
    EXPECT_EQ(head.query, "");
    EXPECT_EQ(head.body, BodyKind::none);
    EXPECT_EQ(head.content_length, 0U);
    EXPECT_TRUE(head.keep_alive);
    EXPECT_EQ(head.fields.connection.data(), nullptr);
    EXPECT_FALSE(head.fields.connection_repeated);
}

// ---- responses -------------------------------------------------------------------------------------------

struct Response {
    ParseStatus status;
    ResponseHead head;
};

Response response(const std::string& bytes, std::string_view method = "POST")
{
    Response out{};
    out.status = parse_response(bytes, method, out.head);
    return out;
}

TEST(ResponseHead, ReadsLineAndFields)
{
    const std::string bytes = "HTTP/1.1 429 Too Many\tRequests\r\nRetry-After: 5\r\n\r\n";
    const Response r = response(bytes);
    EXPECT_EQ(r.status, ParseStatus::complete);
    EXPECT_EQ(r.head.status, 429U);
    EXPECT_EQ(r.head.reason, "Too Many\tRequests");
    EXPECT_EQ(r.head.fields.find("retry-after"), "5");
    EXPECT_EQ(r.head.body, BodyKind::until_close);
    EXPECT_FALSE(r.head.keep_alive);
    EXPECT_EQ(r.head.head_bytes, bytes.size());
    for (std::size_t length = 0; length < bytes.size(); ++length)
        EXPECT_EQ(response(bytes.substr(0, length)).status, ParseStatus::incomplete);
}

TEST(ResponseHead, TheReasonMayBeMissing)
{
    EXPECT_EQ(response("HTTP/1.1 200 \r\n\r\n").status, ParseStatus::complete);
    EXPECT_EQ(response("HTTP/1.1 200\r\n\r\n").status, ParseStatus::complete);
}

TEST(ResponseHead, KnowsItsBody)
{
    const std::string sized = "Content-Length: 7\r\n\r\n";
    const std::string chunked = "Transfer-Encoding: chunked\r\n\r\n";
    EXPECT_EQ(response("HTTP/1.1 200 OK\r\n" + sized).head.body, BodyKind::length);
    EXPECT_EQ(response("HTTP/1.1 200 OK\r\n" + sized).head.content_length, 7U);
    EXPECT_TRUE(response("HTTP/1.1 200 OK\r\n" + sized).head.keep_alive);
    EXPECT_EQ(response("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").head.body, BodyKind::none);
    EXPECT_EQ(response("HTTP/1.1 200 OK\r\n" + chunked).head.body, BodyKind::chunked);
    for (const char* status : {"100", "101", "103", "204", "304"}) {
        const std::string line = std::string("HTTP/1.1 ") + status + " X\r\n";
        EXPECT_EQ(response(line + "\r\n").head.body, BodyKind::none) << status;
        EXPECT_TRUE(response(line + "\r\n").head.keep_alive) << status;
        EXPECT_EQ(response(line + sized).head.body, BodyKind::none) << status;
        EXPECT_EQ(response(line + chunked).head.body, BodyKind::none) << status;
    }
    EXPECT_EQ(response("HTTP/1.1 200 OK\r\n" + sized, "HEAD").head.body, BodyKind::none);
    EXPECT_TRUE(response("HTTP/1.1 200 OK\r\n" + sized, "HEAD").head.keep_alive);
    EXPECT_EQ(response("HTTP/1.1 200 OK\r\n" + chunked, "CONNECT").head.body, BodyKind::none);
    EXPECT_EQ(response("HTTP/1.1 407 No\r\n" + sized, "CONNECT").head.body, BodyKind::length);
}

TEST(ResponseHead, ABodyWhereNoneMayBeSpoilsTheConnection)
{
    EXPECT_FALSE(response("HTTP/1.1 204 X\r\nContent-Length: 7\r\n\r\n").head.keep_alive);
    EXPECT_TRUE(response("HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n").head.keep_alive);
    EXPECT_FALSE(response("HTTP/1.1 100 X\r\nTransfer-Encoding: chunked\r\n\r\n").head.keep_alive);
    EXPECT_TRUE(response("HTTP/1.1 304 X\r\nContent-Length: 7\r\n\r\n").head.keep_alive);
}

TEST(ResponseHead, RefusesWhatCouldBeReadInTwoWays)
{
    for (const std::string& bytes : std::vector<std::string>{
             "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
             "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
             "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
             "HTTP/1.1 200 OK\r\nX-A: b\r\n folded\r\n\r\n",
             "HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n",
             "HTTP/1.1 200 OK\nX-A: b\n\n",
             "HTTP/1.1 200 OK\r\nX-A: b\rSet-Cookie: c\r\n\r\n",
             std::string("HTTP/1.1 200 OK\r\nX-A: \0\r\n\r\n", 27),
             "HTTP/1.1 200 O\x01K\r\n\r\n",
             "HTTP/1.1 20 OK\r\n\r\n",
             "HTTP/1.1 2000 OK\r\n\r\n",
             "HTTP/1.1 099 OK\r\n\r\n",
             "HTTP/1.1 600 OK\r\n\r\n",
             "HTTP/1.1 +20 OK\r\n\r\n",
             "HTTP/1.1  200 OK\r\n\r\n",
             "HTTP/1.1\t200 OK\r\n\r\n",
             "ICY 200 OK\r\n\r\n",
             "<html>",
             "\r\nHTTP/1.1 200 OK\r\n\r\n"})
        EXPECT_EQ(response(bytes).status, ParseStatus::bad_request) << bytes;
    EXPECT_EQ(response("HTTP/2.0 200 OK\r\n\r\n").status, ParseStatus::bad_version);
    EXPECT_EQ(
        response("HTTP/1.1 200 OK\r\nX: " + std::string(kHeadBytesMax, 'a')).status,
        ParseStatus::too_large);
}

// ---- helpers -----------------------------------------------------------------------------------------------

TEST(Fields, ListsAndCounts)
{
    const std::string bytes = request(std::string(kHost) + "Via: a\r\nvia: b , C\r\nAccept: x\r\n");
    const RequestHead head = parsed(bytes);
    EXPECT_EQ(head.fields.count("VIA"), 2U);
    EXPECT_EQ(head.fields.find("via"), "a");
    EXPECT_TRUE(head.fields.lists("via", "c"));
    EXPECT_FALSE(head.fields.lists("via", "x"));
}

TEST(ListContains, FindsWholeTokens)
{
    EXPECT_TRUE(list_contains("a,b, C ", "c"));
    EXPECT_TRUE(list_contains(",,a,,", "a"));
    EXPECT_FALSE(list_contains("ab", "a"));
    EXPECT_FALSE(list_contains("", "a"));
    EXPECT_TRUE(iequals("X-[Y]", "x-[y]"));
    EXPECT_FALSE(iequals("[", "{")); // differ in the bit that folds letters
}

TEST(HopByHop, TheUsualNames)
{
    for (const char* name :
         {"Connection",
          "keep-alive",
          "Proxy-Connection",
          "Proxy-Authenticate",
          "PROXY-AUTHORIZATION",
          "TE",
          "Trailer",
          "Transfer-Encoding",
          "Upgrade"})
        EXPECT_TRUE(is_hop_by_hop(name, "")) << name;
    for (const char* name :
         {"", "Content-Length", "Host", "Cookie", "Trailers", "Upgrade-Insecure-Requests"})
        EXPECT_FALSE(is_hop_by_hop(name, "")) << name;
}

TEST(HopByHop, WhatConnectionNames)
{
    EXPECT_TRUE(is_hop_by_hop("X-Foo", "close, x-foo"));
    EXPECT_FALSE(is_hop_by_hop("X-Foo", "close, x-foobar"));
    const std::string bytes =
        request(std::string(kHost) + "Connection: x-a\r\nX-A: 1\r\nConnection: x-b\r\nX-B: 2\r\n");
    const RequestHead head = parsed(bytes);
    EXPECT_TRUE(is_hop_by_hop("x-a", head.fields));
    EXPECT_TRUE(is_hop_by_hop("x-b", head.fields));
    EXPECT_FALSE(is_hop_by_hop("x-c", head.fields));
}

TEST(HopByHop, ConnectionCannotTakeTheFramingAway)
{
    for (const char* name : {"Content-Length", "Host", "Content-Type", "Content-Encoding"})
        EXPECT_FALSE(is_hop_by_hop(name, "content-length, host, content-type, content-encoding"))
            << name;
}

} // namespace
} // namespace shared::http
