#include "shared/base/ip_address.hpp"

#include <gtest/gtest.h>

namespace shared {
namespace {

bool within(const char* address, const char* network)
{
    const auto parsed = IpNetwork::parse(network);
    return parsed && parsed->contains(IpAddress::parse(address));
}

TEST(IpAddress, ReadsWhatItWrites)
{
    for (const char* text : {"192.0.2.1", "2001:db8::1", "::1", "0.0.0.0"})
        EXPECT_EQ(IpAddress::parse(text).text(), text);
    EXPECT_EQ(IpAddress::parse("::ffff:192.0.2.1").text(), "192.0.2.1");
    for (const char* text : {"", "192.0.2", "192.0.2.1:80", "[::1]", "host", "1.2.3.4 "})
        EXPECT_FALSE(IpAddress::parse(text).is_set()) << text;
}

TEST(IpAddress, Loopback)
{
    for (const char* text : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"})
        EXPECT_TRUE(IpAddress::parse(text).is_loopback()) << text;
    for (const char* text : {"128.0.0.1", "::2", "1::1", ""})
        EXPECT_FALSE(IpAddress::parse(text).is_loopback()) << text;
}

TEST(IpNetwork, Contains)
{
    EXPECT_TRUE(within("10.1.2.3", "10.0.0.0/8"));
    EXPECT_FALSE(within("11.1.2.3", "10.0.0.0/8"));
    EXPECT_TRUE(within("10.255.0.1", "10.128.0.0/9"));
    EXPECT_FALSE(within("10.127.0.1", "10.128.0.0/9"));
    EXPECT_TRUE(within("fd12::1", "fd00::/8"));
    EXPECT_FALSE(within("10.1.2.3", "fd00::/8"));
    EXPECT_TRUE(within("192.0.2.1", "192.0.2.1"));
    EXPECT_FALSE(within("192.0.2.2", "192.0.2.1"));
    EXPECT_TRUE(within("1.2.3.4", "0.0.0.0/0"));
    EXPECT_FALSE(within("", "0.0.0.0/0"));
}

TEST(IpNetwork, RefusesWhatIsNone)
{
    for (const char* text : {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "10/8", "host/8"})
        EXPECT_FALSE(IpNetwork::parse(text)) << text;
}

} // namespace
} // namespace shared
