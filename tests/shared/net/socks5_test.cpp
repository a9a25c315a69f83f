#include "shared/net/socks5.hpp"

#include <gtest/gtest.h>

#include <string>

namespace shared::net {
namespace {

using namespace std::string_literals;

ForwardProxy proxy(std::string user = "", std::string password = "")
{
    ForwardProxy proxy;
    proxy.protocol = ForwardProxy::Protocol::socks5;
    proxy.user = std::move(user);
    proxy.password = std::move(password);
    return proxy;
}

TEST(Socks5, ConnectsByNameWithoutLogin)
{
    Socks5 talk(proxy(), "upstream.test", 443);
    EXPECT_EQ(talk.outgoing(), "\5\1\0"s);
    ASSERT_EQ(talk.expects(), 2U);
    talk.take("\5\0"s);
    EXPECT_EQ(talk.outgoing(), "\5\1\0\3\15upstream.test\1\xBB"s);
    ASSERT_EQ(talk.expects(), 4U);
    talk.take("\5\0\0\1"s);
    ASSERT_EQ(talk.expects(), 6U);
    EXPECT_EQ(talk.outgoing(), "") << "nothing is said twice";
    EXPECT_FALSE(talk.done());
    talk.take("\x7F\0\0\1\x1F\x90"s);
    EXPECT_TRUE(talk.done());
    EXPECT_EQ(talk.problem(), "");
}

TEST(Socks5, LogsInWhereTheProxyWantsIt)
{
    Socks5 talk(proxy("me", "secret"), "127.0.0.1", 80);
    EXPECT_EQ(talk.outgoing(), "\5\2\0\2"s);
    talk.take("\5\2"s);
    EXPECT_EQ(talk.outgoing(), "\1\2me\6secret"s);
    talk.take("\1\0"s);
    EXPECT_EQ(talk.outgoing(), "\5\1\0\1\x7F\0\0\1\0\x50"s) << "a numeric address as such";
    talk.take("\5\0\0\3"s);
    ASSERT_EQ(talk.expects(), 1U);
    talk.take("\4"s);
    ASSERT_EQ(talk.expects(), 6U);
    talk.take("here\0\1"s);
    EXPECT_TRUE(talk.done());
}

TEST(Socks5, ANumericIpv6Address)
{
    Socks5 talk(proxy(), "::1", 443);
    talk.take("\5\0"s);
    EXPECT_EQ(talk.outgoing(), "\5\1\0\4"s + std::string(15, '\0') + "\1\1\xBB"s);
    talk.take("\5\0\0\4"s);
    EXPECT_EQ(talk.expects(), 18U);
}

TEST(Socks5, WhatGoesWrongIsSaidWithoutThePassword)
{
    const auto fails = [](std::vector<std::string> answers, const char* problem) {
        Socks5 talk(proxy("me", "hunter2"), "upstream.test", 443);
        for (const std::string& answer : answers)
            talk.take(answer);
        EXPECT_TRUE(talk.done()) << problem;
        EXPECT_EQ(talk.problem(), problem);
        EXPECT_EQ(talk.problem().find("hunter2"), std::string::npos);
    };
    fails({"HT"s}, "the proxy does not speak SOCKS5");
    fails({"\5\xFF"s}, "the SOCKS proxy wants another kind of login");
    fails({"\5\2"s, "\1\1"s}, "the SOCKS proxy does not accept user and password");
    fails({"\5\0"s, "\5\5\0\1"s}, "the SOCKS proxy's connection was refused");
    fails({"\5\0"s, "\5\x63\0\1"s}, "the SOCKS proxy refused");
    fails({"\5\0"s, "\5\0\0\7"s}, "the SOCKS proxy's answer cannot be understood");
    fails({"\5"s}, "the SOCKS proxy hung up");

    Socks5 without(proxy(), "upstream.test", 443);
    without.take("\5\2"s);
    EXPECT_EQ(without.problem(), "the SOCKS proxy wants another kind of login");
    const Socks5 long_name(proxy(), std::string(256, 'a'), 443);
    EXPECT_TRUE(long_name.done());
}

TEST(ForwardProxy, ReadsBothProtocols)
{
    const auto http = ForwardProxy::parse("http://us%40er:p%3Aw@proxy.test:3128/");
    ASSERT_TRUE(http);
    EXPECT_EQ(http->protocol, ForwardProxy::Protocol::http);
    EXPECT_EQ(http->address.authority(), "proxy.test:3128");
    EXPECT_EQ(http->authorization, "Basic dXNAZXI6cDp3");
    const auto tls = ForwardProxy::parse("https://proxy.test");
    ASSERT_TRUE(tls);
    EXPECT_TRUE(tls->address.tls);

    const auto socks = ForwardProxy::parse("socks5://me:p%40ss@[::1]:9050");
    ASSERT_TRUE(socks);
    EXPECT_EQ(socks->protocol, ForwardProxy::Protocol::socks5);
    EXPECT_EQ(socks->address.host, "::1");
    EXPECT_EQ(socks->address.port, 9050);
    EXPECT_EQ(socks->user, "me");
    EXPECT_EQ(socks->password, "p@ss");
    EXPECT_EQ(socks->authorization, "");
    for (const char* url : {"socks5://proxy.test", "socks5h://proxy.test/", "socks5://u:p@[::1]"}) {
        const auto standard = ForwardProxy::parse(url);
        ASSERT_TRUE(standard) << url;
        EXPECT_EQ(standard->address.port, 1080) << url;
        EXPECT_FALSE(standard->address.tls) << url;
    }
}

TEST(ForwardProxy, WhatCannotBeUsedIsSaidWithoutTheAddress)
{
    for (const std::string url :
         {"socks4://me:hunter2@proxy.test",
          "socks5://me:hunter2@proxy.test/path",
          "socks5://me:hunter2@",
          "http://me:hunter2@proxy.test:99999",
          "socks5://"}) {
        const auto parsed = ForwardProxy::parse(url);
        ASSERT_FALSE(parsed) << url;
        EXPECT_EQ(parsed.error().text().find("hunter2"), std::string::npos);
    }
    EXPECT_FALSE(ForwardProxy::parse("socks5://me:" + std::string(256, 'x') + "@proxy.test"));
}

} // namespace
} // namespace shared::net
