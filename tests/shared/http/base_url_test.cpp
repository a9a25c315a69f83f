#include "shared/http/base_url.hpp"

#include <gtest/gtest.h>

#include <string>

namespace shared::http {
namespace {

BaseUrl parsed(std::string_view url)
{
    const Result<BaseUrl> result = parse_base_url(url);
    EXPECT_TRUE(result.has_value()) << url << ": " << (result ? "" : result.error().text());
    return result ? *result : BaseUrl{};
}

TEST(BaseUrl, ReadsAllParts)
{
    EXPECT_EQ(
        parsed("https://chatgpt.com/backend-api/codex"),
        (BaseUrl{true, "chatgpt.com", 443, "/backend-api/codex"}));
    EXPECT_EQ(parsed("https://API.OpenAI.com"), (BaseUrl{true, "api.openai.com", 443, ""}));
    EXPECT_EQ(parsed("HTTPS://a:8443///"), (BaseUrl{true, "a", 8443, ""}));
    EXPECT_EQ(parsed("https://a/b/c/"), (BaseUrl{true, "a", 443, "/b/c"}));
    EXPECT_EQ(parsed("http://127.0.0.1:9000/v1"), (BaseUrl{false, "127.0.0.1", 9000, "/v1"}));
    EXPECT_EQ(parsed("http://[::1]:9000"), (BaseUrl{false, "::1", 9000, ""}));
    EXPECT_EQ(parsed("https://[2001:DB8::1]/x"), (BaseUrl{true, "2001:db8::1", 443, "/x"}));
    EXPECT_EQ(parsed("http://LocalHost"), (BaseUrl{false, "localhost", 80, ""}));
    EXPECT_EQ(parsed("http://127.255.0.9"), (BaseUrl{false, "127.255.0.9", 80, ""}));
}

TEST(BaseUrl, Authority)
{
    EXPECT_EQ(parsed("https://a.b").authority(), "a.b");
    EXPECT_EQ(parsed("https://a.b:443").authority(), "a.b");
    EXPECT_EQ(parsed("https://a.b:80").authority(), "a.b:80");
    EXPECT_EQ(parsed("http://localhost:80").authority(), "localhost");
    EXPECT_EQ(parsed("http://[::1]:443").authority(), "[::1]:443");
}

TEST(BaseUrl, RefusesWhatIsNoBase)
{
    for (const std::string url :
         {"",
          "chatgpt.com",
          "//chatgpt.com",
          "ftp://a",
          "httpss://a",
          "https:/a",
          "https://",
          "https:///x",
          "https://:443",
          "https://a:",
          "https://a:0",
          "https://a:65536",
          "https://a:-1",
          "https://a:4x",
          "https://a:1:2",
          "https://a b",
          "https://a\n",
          "https://a/b c",
          "https://a/b\r\nX: y",
          "https://a?x=1",
          "https://a/b?x=1",
          "https://a#f",
          "https://a/b#f",
          "https://a\\b",
          "https://a/../b",
          "https://a/..",
          "https://a/\xC3\xA9",
          "https://\xC3\xA9.com",
          "https://a..b",
          "https://.a",
          "https://-a",
          "https://[::1",
          "https://[::1]x",
          "https://[::1]:",
          "https://[1.2.3.4]",
          "https://[]"})
        EXPECT_TRUE(parse_base_url(url).has_error()) << url;
    EXPECT_TRUE(parse_base_url("https://" + std::string(254, 'a')).has_error());
    EXPECT_TRUE(parse_base_url("https://" + std::string(253, 'a')).has_value());
}

TEST(BaseUrl, ANulHidesNothing)
{
    EXPECT_TRUE(parse_base_url(std::string("http://[::1\0.evil]/", 19)).has_error());
    EXPECT_TRUE(parse_base_url(std::string("http://127.0.0.1\0.evil", 22)).has_error());
    EXPECT_FALSE(is_loopback_host(std::string("127.0.0.1\0.evil", 15)));
}

TEST(BaseUrl, NeverRepeatsAPassword)
{
    const Result<BaseUrl> result = parse_base_url("https://me:hunter2@a.b/x");
    ASSERT_TRUE(result.has_error());
    EXPECT_EQ(result.error().text().find("hunter2"), std::string::npos);
}

TEST(BaseUrl, ClearTextOnlyForLoopback)
{
    for (const char* url :
         {"http://api.openai.com",
          "http://10.0.0.1",
          "http://128.0.0.1",
          "http://0.0.0.0",
          "http://[::]",
          "http://[2001:db8::1]",
          "http://localhost.example.com",
          "http://127.0.0.1.example.com",
          "http://127.1",
          "http://2130706433"}) {
        const Result<BaseUrl> result = parse_base_url(url);
        ASSERT_TRUE(result.has_error()) << url;
        EXPECT_EQ(result.error().remedy, "use https") << url;
        EXPECT_TRUE(parse_any_base_url(url).has_value()) << url;
    }
}

} // namespace
} // namespace shared::http
