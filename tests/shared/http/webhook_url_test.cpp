#include "shared/http/webhook_url.hpp"

#include <gtest/gtest.h>

namespace shared::http {
namespace {

TEST(WebhookUrl, KeepsPathAndQueryAsTheyAre)
{
    struct Case {
        const char* url;
        const char* authority;
        const char* path;
    };

    for (const Case& each :
         {Case{"https://ntfy.sh/my-topic", "ntfy.sh", "/my-topic"},
          Case{"https://hooks.example/a/b/", "hooks.example", "/a/b/"},
          Case{"https://hooks.example", "hooks.example", "/"},
          Case{"https://hooks.example/", "hooks.example", "/"},
          Case{"https://hooks.example?x=1", "hooks.example", "/?x=1"},
          Case{"http://127.0.0.1:9000/h?a=%20&b", "127.0.0.1:9000", "/h?a=%20&b"},
          Case{
              "https://t.example/bot1:AB-c_d/sendMessage?chat_id=-42",
              "t.example",
              "/bot1:AB-c_d/sendMessage?chat_id=-42"}}) {
        const auto url = parse_webhook_url(each.url);
        ASSERT_TRUE(url.has_value()) << each.url;
        EXPECT_EQ(url->base.authority(), each.authority);
        EXPECT_EQ(url->base.prefix, "");
        EXPECT_EQ(url->path, each.path);
    }
}

TEST(WebhookUrl, RefusesWhatIsNotSafeAndNeverRepeatsIt)
{
    for (const char* url :
         {"http://hooks.example/secret",
          "ftp://hooks.example/secret",
          "hooks.example/secret",
          "https://user:secret@hooks.example/",
          "https://hooks.example/?secret=a b",
          "https://hooks.example/?secret#x",
          "https://hooks.example/secret#x",
          "https:///secret",
          "https://hooks.example/?secret=\r\nHost: x"}) {
        const auto parsed = parse_webhook_url(url);
        ASSERT_FALSE(parsed.has_value()) << url;
        EXPECT_EQ(parsed.error().text().find("secret"), std::string::npos);
    }
}

TEST(WebhookUrl, FindsAParameter)
{
    const auto url = parse_webhook_url("https://h.example/p?a=1&chat_id=-42&chat=9&empty=");
    ASSERT_TRUE(url.has_value());
    EXPECT_EQ(url->parameter("chat_id"), "-42");
    EXPECT_EQ(url->parameter("a"), "1");
    EXPECT_EQ(url->parameter("chat"), "9");
    EXPECT_EQ(url->parameter("empty"), "");
    EXPECT_EQ(url->parameter("none"), "");
}

} // namespace
} // namespace shared::http
