#include "shared/net/proxy_settings.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace shared::net {
namespace {

using Environment = std::map<std::string, std::string>;

Result<ProxySettings> read(const Environment& environment)
{
    return ProxySettings::from_environment([&environment](const char* name) -> const char* {
        const auto found = environment.find(name);
        return found == environment.end() ? nullptr : found->second.c_str();
    });
}

bool proxied(const Environment& environment, std::string_view upstream)
{
    const Result<ProxySettings> settings = read(environment);
    EXPECT_TRUE(settings.has_value());
    const Result<http::BaseUrl> base = http::parse_base_url(upstream);
    EXPECT_TRUE(base.has_value()) << upstream;
    return settings && base && settings->proxy_for(*base) != nullptr;
}

Environment except(std::string list)
{
    return {{"HTTPS_PROXY", "http://proxy:3128"}, {"NO_PROXY", std::move(list)}};
}

TEST(ProxySettings, NoneByDefault)
{
    EXPECT_FALSE(proxied({}, "https://api.openai.com"));
    EXPECT_FALSE(proxied({{"HTTPS_PROXY", ""}}, "https://api.openai.com"));
    EXPECT_FALSE(proxied({{"HTTP_PROXY", "http://proxy:1"}}, "https://api.openai.com"));
}

TEST(ProxySettings, LowerCaseComesFirstAndAllProxyLast)
{
    const auto host = [](const Environment& environment) {
        const Result<ProxySettings> settings = read(environment);
        return settings && settings->proxy ? settings->proxy->host : std::string();
    };
    EXPECT_EQ(host({{"https_proxy", "http://a"}, {"HTTPS_PROXY", "http://b"}}), "a");
    EXPECT_EQ(host({{"HTTPS_PROXY", "http://b"}, {"all_proxy", "http://c"}}), "b");
    EXPECT_EQ(host({{"ALL_PROXY", "http://d"}}), "d");
    EXPECT_EQ(host({{"https_proxy", ""}, {"HTTPS_PROXY", "http://b"}}), "b");
}

TEST(ProxySettings, ReadsAddressAndCredentials)
{
    const Result<ProxySettings> plain = read({{"HTTPS_PROXY", "proxy.example:3128/"}});
    ASSERT_TRUE(plain.has_value());
    EXPECT_EQ(*plain->proxy, (http::BaseUrl{false, "proxy.example", 3128, ""}));
    EXPECT_EQ(plain->authorization, "");

    const Result<ProxySettings> full = read({{"HTTPS_PROXY", "https://us%40er:p%3Aw@[::1]:8443"}});
    ASSERT_TRUE(full.has_value());
    EXPECT_EQ(*full->proxy, (http::BaseUrl{true, "::1", 8443, ""}));
    EXPECT_EQ(full->authorization, "Basic dXNAZXI6cDp3"); // us@er:p:w

    const Result<ProxySettings> name_only = read({{"HTTPS_PROXY", "http://user@proxy"}});
    ASSERT_TRUE(name_only.has_value());
    EXPECT_EQ(name_only->authorization, "Basic dXNlcjo="); // user:

    const Result<ProxySettings> odd = read({{"HTTPS_PROXY", "http://a:%zz%4@b@proxy"}});
    ASSERT_TRUE(odd.has_value());
    EXPECT_EQ(odd->authorization, "Basic YTolenolNEBi"); // a:%zz%4@b
}

TEST(ProxySettings, AnAddressThatCannotBeUsedIsNamedWithoutItsPassword)
{
    for (const char* url :
         {"socks5://me:hunter2@proxy:1080",
          "http://me:hunter2@",
          "http://me:hunter2@proxy:99999",
          "http://me:hunter2@proxy/path",
          "http://me:hunter2@proxy?x"}) {
        const Result<ProxySettings> settings = read({{"https_proxy", url}});
        ASSERT_TRUE(settings.has_error()) << url;
        EXPECT_EQ(settings.error().where, "https_proxy");
        EXPECT_EQ(settings.error().text().find("hunter2"), std::string::npos);
    }
}

TEST(ProxySettings, LoopbackIsNeverProxied)
{
    const Environment environment = {{"HTTPS_PROXY", "http://proxy:3128"}};
    EXPECT_TRUE(proxied(environment, "https://api.openai.com"));
    for (const char* upstream :
         {"https://localhost", "https://127.0.0.1:8443", "http://127.3.2.1", "https://[::1]"})
        EXPECT_FALSE(proxied(environment, upstream)) << upstream;
}

TEST(ProxySettings, ExceptionsByName)
{
    for (const char* list :
         {"openai.com",
          ".openai.com",
          "*.openai.com",
          "api.openai.com",
          "API.OpenAI.com",
          "x, openai.com ,y",
          "x openai.com",
          "*",
          "api.openai.com:443"})
        EXPECT_FALSE(proxied(except(list), "https://api.openai.com")) << list;
    for (const char* list :
         {"",
          ",",
          ".",
          "penai.com",
          "openai.co",
          "api.openai.com.",
          "x.api.openai.com",
          "api.openai.com:8443"})
        EXPECT_TRUE(proxied(except(list), "https://api.openai.com")) << list;
    EXPECT_FALSE(proxied(except("openai.com"), "https://openai.com"));
}

TEST(ProxySettings, ExceptionsByAddress)
{
    EXPECT_FALSE(proxied(except("10.1.2.3"), "https://10.1.2.3"));
    EXPECT_FALSE(proxied(except("10.0.0.0/8"), "https://10.1.2.3"));
    EXPECT_FALSE(proxied(except("10.1.2.2/31"), "https://10.1.2.3"));
    EXPECT_FALSE(proxied(except("0.0.0.0/0"), "https://10.1.2.3"));
    EXPECT_FALSE(proxied(except("fd00::/8"), "https://[fd12::1]"));
    EXPECT_FALSE(proxied(except("fd12::1"), "https://[fd12::1]"));
    EXPECT_FALSE(proxied(except("[fd12::1]:443"), "https://[fd12::1]"));
    for (const char* list :
         {"11.0.0.0/8", "10.1.2.0/31", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "2.3", "fd00::/8"})
        EXPECT_TRUE(proxied(except(list), "https://10.1.2.3")) << list;
    EXPECT_TRUE(proxied(except("[fd12::1]:80"), "https://[fd12::1]"));
}

} // namespace
} // namespace shared::net
