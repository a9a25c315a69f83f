#include "worker/client_address.hpp"

#include <gtest/gtest.h>

namespace worker {
namespace {

using shared::IpAddress;
using shared::http::RequestHead;

std::string client(
    const char* peer,
    std::vector<shared::http::Field> fields,
    const char* trusted = "127.0.0.0/8, 10.0.0.1")
{
    RequestHead head;
    head.fields.list = std::move(fields);
    return client_address(IpAddress::parse(peer), head, networks_of(trusted)).text();
}

TEST(ClientAddress, IsThePeerUnlessAProxyIsTrusted)
{
    EXPECT_EQ(client("192.0.2.1", {}), "192.0.2.1");
    EXPECT_EQ(client("192.0.2.1", {{"X-Forwarded-For", "203.0.113.9"}}), "192.0.2.1");
    EXPECT_EQ(client("127.0.0.1", {{"X-Forwarded-For", "203.0.113.9"}}), "203.0.113.9");
    EXPECT_EQ(client("127.0.0.1", {{"X-Forwarded-For", "203.0.113.9"}}, ""), "127.0.0.1");
    EXPECT_EQ(client("127.0.0.1", {}), "127.0.0.1");
}

TEST(ClientAddress, IsTheLastThatNoTrustedProxyAddedItself)
{
    EXPECT_EQ(
        client("127.0.0.1", {{"X-Forwarded-For", "8.8.8.8, 203.0.113.9, 10.0.0.1"}}), "203.0.113.9")
        << "what stands before was the client's own claim";
    EXPECT_EQ(
        client("127.0.0.1", {{"X-Forwarded-For", "8.8.8.8"}, {"X-Forwarded-For", "203.0.113.9"}}),
        "203.0.113.9");
    EXPECT_EQ(client("127.0.0.1", {{"X-Forwarded-For", "unknown, 10.0.0.1"}}), "10.0.0.1");
    EXPECT_EQ(client("127.0.0.1", {{"X-Forwarded-For", "junk"}}), "127.0.0.1");
    std::string many;
    for (int i = 0; i < 100; ++i)
        many += "10.0.0.1, ";
    EXPECT_EQ(client("127.0.0.1", {{"X-Forwarded-For", many + "203.0.113.9"}}), "127.0.0.1");
}

TEST(ClientAddress, ForwardedSaysTheSame)
{
    EXPECT_EQ(
        client("127.0.0.1", {{"Forwarded", "for=203.0.113.9;proto=https, for=10.0.0.1"}}),
        "203.0.113.9");
    EXPECT_EQ(client("127.0.0.1", {{"Forwarded", R"(For="[2001:db8::7]:4711")"}}), "2001:db8::7");
    EXPECT_EQ(client("127.0.0.1", {{"X-Forwarded-For", "203.0.113.9:4711"}}), "203.0.113.9");
}

TEST(ClientAddress, HttpsIsATrustedProxysWord)
{
    RequestHead head;
    head.fields.list = {{"X-Forwarded-Proto", "https"}};
    const auto trusted = networks_of("127.0.0.1");
    EXPECT_TRUE(came_by_https(IpAddress::parse("127.0.0.1"), head, trusted));
    EXPECT_FALSE(came_by_https(IpAddress::parse("192.0.2.1"), head, trusted));
    head.fields.list = {{"Forwarded", "for=1.2.3.4;proto=HTTPS"}};
    EXPECT_TRUE(came_by_https(IpAddress::parse("127.0.0.1"), head, trusted));
    head.fields.list = {{"X-Forwarded-Proto", "http"}};
    EXPECT_FALSE(came_by_https(IpAddress::parse("127.0.0.1"), head, trusted));
}

} // namespace
} // namespace worker
