/// Options of an account, from its file and from an owner's wish: every one, its bounds, and errors that name the key.
#include "shared/providers/account_options.hpp"
#include "shared/providers/provider.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace shared {
namespace {

std::string file_with(const std::string& options)
{
    return R"({"api_key":"sk-ant-api-1","codex_pool":)" + options + "}";
}

class AccountOptionsTest : public ::testing::Test {
protected:
    Result<Credential> parse(const std::string& options)
    {
        return registry_.find("claude")->parse_credential(file_with(options));
    }

    ProviderRegistry registry_;
};

TEST_F(AccountOptionsTest, EveryOptionIsRead)
{
    const auto credential = parse(
        R"({"disabled":true,"priority":-5,"weight":1.5,"max_concurrency":3,"reserve_percent":20,
            "models":{"allow":["gpt-5*","o3"],"deny":["gpt-5-pro"]},
            "proxy_url":"socks5://127.0.0.1:1080","owner":"alice"})");
    ASSERT_TRUE(credential.has_value());
    const AccountOptions& options = credential->options;
    EXPECT_EQ(options.disabled, true);
    EXPECT_EQ(options.priority, -5);
    EXPECT_EQ(options.weight_percent, 150);
    EXPECT_EQ(options.max_concurrency, 3);
    EXPECT_EQ(options.reserve_percent, 20);
    EXPECT_EQ(options.models_allowed, "gpt-5*,o3");
    EXPECT_EQ(options.models_denied, "gpt-5-pro");
    EXPECT_EQ(options.proxy_url, "socks5://127.0.0.1:1080");
    EXPECT_EQ(options.owner, "alice");
    EXPECT_TRUE(credential->warnings.empty());
}

TEST_F(AccountOptionsTest, EveryProviderReadsThem)
{
    const std::string options = R"("codex_pool":{"priority":9}})";
    for (const auto& [provider, text] : std::vector<std::pair<std::string, std::string>>{
             {"codex", R"({"OPENAI_API_KEY":"sk-1",)"},
             {"codex", R"({"tokens":{"access_token":"a.b.c","refresh_token":"r"},)"},
             {"claude", R"({"claudeAiOauth":{"accessToken":"sk-ant-oat-1"},)"},
             {"gemini", R"({"access_token":"ya29.1",)"}}) {
        const auto credential = registry_.find(provider)->parse_credential(text + options);
        ASSERT_TRUE(credential.has_value()) << text;
        EXPECT_EQ(credential->options.priority, 9) << text;
    }
}

TEST_F(AccountOptionsTest, AbsentAndNullSayNothing)
{
    for (const char* options : {"null", "{}", R"({"priority":null,"models":null,"owner":null})"}) {
        const auto credential = parse(options);
        ASSERT_TRUE(credential.has_value()) << options;
        EXPECT_EQ(credential->options, AccountOptions{});
    }
}

TEST_F(AccountOptionsTest, FaultsNameTheKeyAndNeverTheValue)
{
    for (const auto& [options, key] : std::vector<std::pair<std::string, std::string>>{
             {R"("SECRETVALUE")", "codex_pool"},
             {R"({"disabled":"SECRETVALUE"})", "codex_pool.disabled"},
             {R"({"priority":1001})", "codex_pool.priority"},
             {R"({"priority":1.5})", "codex_pool.priority"},
             {R"({"priority":"1"})", "codex_pool.priority"},
             {R"({"priority":18446744073709551615})", "codex_pool.priority"},
             {R"({"weight":0})", "codex_pool.weight"},
             {R"({"weight":-1})", "codex_pool.weight"},
             {R"({"weight":1e300})", "codex_pool.weight"},
             {R"({"max_concurrency":-1})", "codex_pool.max_concurrency"},
             {R"({"reserve_percent":101})", "codex_pool.reserve_percent"},
             {R"({"models":["SECRETVALUE"]})", "codex_pool.models"},
             {R"({"models":{"allow":"SECRETVALUE"}})", "codex_pool.models.allow"},
             {R"({"models":{"deny":["a,b"]}})", "codex_pool.models.deny"},
             {R"({"models":{"deny":[""]}})", "codex_pool.models.deny"},
             {R"({"proxy_url":"ftp://SECRETVALUE"})", "codex_pool.proxy_url"},
             {R"({"proxy_url":"http://"})", "codex_pool.proxy_url"},
             {R"({"owner":"a\nb"})", "codex_pool.owner"},
             {R"({"owner":")" + std::string(41, 'x') + R"("})", "codex_pool.owner"}}) {
        const auto credential = parse(options);
        ASSERT_FALSE(credential.has_value()) << options;
        const std::string text = credential.error().text();
        EXPECT_NE(text.find("'" + key + "'"), std::string::npos) << text;
        EXPECT_EQ(text.find("SECRETVALUE"), std::string::npos) << text;
        EXPECT_FALSE(credential.error().remedy.empty());
    }
}

TEST_F(AccountOptionsTest, AnUnknownKeyIsAWarningInAFileAndAFaultInAWish)
{
    const auto credential = parse(R"({"priorty":1})");
    ASSERT_TRUE(credential.has_value()) << "the account serves all the same";
    ASSERT_EQ(credential->warnings.size(), 1U);
    EXPECT_NE(credential->warnings[0].find("codex_pool.priorty"), std::string::npos);
    EXPECT_FALSE(parse_options_text(R"({"priorty":1})").has_value());
}

TEST_F(AccountOptionsTest, WishesAreObjects)
{
    ASSERT_TRUE(parse_options_text(R"({"priority":1,"weight":null})").has_value());
    EXPECT_EQ(parse_options_text(R"({"priority":1})")->priority, 1);
    for (const char* text : {"", "1", "[]", "{", R"({"priority":)", "\xff"})
        EXPECT_FALSE(parse_options_text(text).has_value()) << text;
}

TEST_F(AccountOptionsTest, TheFirstSpeakerWins)
{
    AccountOptions owner;
    owner.priority = 7;
    owner.disabled = false;
    AccountOptions file;
    file.priority = 1;
    file.disabled = true;
    file.owner = "bob";
    const AccountOptions both = merged(owner, file);
    EXPECT_EQ(both.priority, 7);
    EXPECT_EQ(both.disabled, false);
    EXPECT_EQ(both.owner, "bob");
    EXPECT_FALSE(both.max_concurrency.has_value());
}

} // namespace
} // namespace shared
