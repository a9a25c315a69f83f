#include "shared/base/base64.hpp"
#include "shared/users/credential.hpp"
#include "shared/users/credential_memo.hpp"

#include <gtest/gtest.h>

#include <string>

namespace shared {
namespace {

constexpr UnixMillis kNow{1'800'000'000'000};
constexpr std::string_view kClaudeLike = "sk-ant-oat01-pool-";

CredentialKey key(std::string_view secret = "0123456789abcdef0123456789abcdef")
{
    return CredentialKey(Secret(std::string(secret)));
}

std::string claims(std::int64_t expires, std::string_view more = "")
{
    return R"({"sub":"pool|ab12","pool_user":"ab12","pool_generation":3,"iat":1799999999,"exp":)" +
           std::to_string(expires) + std::string(more) + "}";
}

TEST(Credential, SaysWhoseItIs)
{
    const std::string text = key().issue(kClaudeLike, "ab12", 7, kNow);
    EXPECT_TRUE(text.starts_with("sk-ant-oat01-pool-ab12.7.1800000000."));
    const auto credential = key().verify(text, kNow);
    ASSERT_TRUE(credential);
    EXPECT_EQ(credential->user.view(), "ab12");
    EXPECT_EQ(credential->generation, 7U);
    EXPECT_EQ(credential->use, CredentialUse::access);
    EXPECT_EQ(credential->issued_at.value, kNow.value);
    EXPECT_FALSE(credential->expires_at.is_set());
}

TEST(Credential, JwtSaysWhoseItIs)
{
    const std::string text = key().issue_jwt(claims(1'800'000'060));
    const auto credential = key().verify(text, kNow);
    ASSERT_TRUE(credential);
    EXPECT_EQ(credential->user.view(), "ab12");
    EXPECT_EQ(credential->generation, 3U);
    EXPECT_EQ(credential->expires_at.value, 1'800'000'060'000);
    EXPECT_FALSE(key().verify(text, {1'800'000'060'000})) << "expired";
}

TEST(Credential, NothingElseIsAccepted)
{
    const std::string text = key().issue(kClaudeLike, "ab12", 7, kNow);
    EXPECT_FALSE(key("another secret of some length…").verify(text, kNow)) << "foreign key";
    EXPECT_FALSE(CredentialKey(Secret()).verify(text, kNow)) << "no key";
    for (std::size_t size = 0; size < text.size(); ++size)
        EXPECT_FALSE(key().verify(text.substr(0, size), kNow)) << "cut to " << size;
    for (std::size_t at = 0; at < text.size(); ++at) {
        std::string changed = text;
        changed[at] = changed[at] == 'x' ? 'y' : 'x';
        EXPECT_FALSE(key().verify(changed, kNow)) << "byte " << at;
    }
    EXPECT_FALSE(key().verify(std::string(100'000, 'a') + "." + text, kNow));
    EXPECT_FALSE(key().verify("", kNow));
    EXPECT_FALSE(key().verify("...", kNow));
}

TEST(Credential, JwtOfAnotherHeaderOrUseIsRefused)
{
    const std::string good = key().issue_jwt(claims(1'800'000'060));
    const std::string body = good.substr(good.find('.'), good.rfind('.') - good.find('.'));
    const std::string none = base64url(R"({"alg":"none","typ":"JWT"})") + body;
    EXPECT_FALSE(key().verify(none + ".", kNow));
    EXPECT_FALSE(key().verify(none, kNow));
    EXPECT_FALSE(key().verify(none + good.substr(good.rfind('.')), kNow));
    const std::string id = key().issue_jwt(claims(1'800'000'060, R"(,"pool_use":"id")"));
    EXPECT_FALSE(key().verify(id, kNow)) << "an id token is no access token";
    EXPECT_FALSE(key().verify(key().issue_jwt(R"({"exp":1800000060})"), kNow));
    EXPECT_FALSE(key().verify(key().issue_jwt("no json"), kNow));
}

TEST(Credential, AHalfSignatureIsNotEnoughForAJwt)
{
    const std::string good = key().issue_jwt(claims(1'800'000'060));
    std::string bytes;
    ASSERT_TRUE(decode_base64url(good.substr(good.rfind('.') + 1), bytes));
    const std::string half =
        good.substr(0, good.rfind('.') + 1) + base64url(std::string_view(bytes).substr(0, 16));
    EXPECT_FALSE(key().verify(half, kNow));
}

TEST(Credential, UsesAreApart)
{
    const auto use = [](std::string_view prefix) {
        const auto credential = key().verify(key().issue(prefix, "ab12", 1, kNow), kNow);
        return credential ? std::optional(credential->use) : std::nullopt;
    };
    EXPECT_EQ(use(kRefreshPrefix), CredentialUse::refresh);
    EXPECT_EQ(use(kSessionPrefix), CredentialUse::session);
    EXPECT_EQ(use("ya29.pool-"), CredentialUse::access);
    EXPECT_EQ(use("other_"), std::nullopt);
    EXPECT_EQ(use(""), std::nullopt);
    const std::string refresh = key().issue(kRefreshPrefix, "ab12", 1, kNow);
    const std::string forged = std::string(kClaudeLike) + refresh.substr(kRefreshPrefix.size());
    EXPECT_FALSE(key().verify(forged, kNow)) << "the prefix is signed too";
}

TEST(Credential, ASessionEnds)
{
    const std::string text = key().issue(kSessionPrefix, "ab12", 1, kNow);
    EXPECT_TRUE(key().verify(text, kNow.plus(kSessionLasts - std::chrono::seconds(1))));
    EXPECT_FALSE(key().verify(text, kNow.plus(kSessionLasts)));
}

TEST(Credential, UserIds)
{
    EXPECT_TRUE(is_user_id("0a1b2c"));
    EXPECT_TRUE(is_user_id(std::string(40, 'a')));
    EXPECT_FALSE(is_user_id(std::string(41, 'a')));
    for (const char* bad : {"", "a.b", "a-b", "a_b", "a b", "ä", "a/b", "a\n"})
        EXPECT_FALSE(is_user_id(bad)) << bad;
}

TEST(Credential, DerivedNamesAreStableAndApart)
{
    EXPECT_EQ(key().derive("account:ab12"), key().derive("account:ab12"));
    EXPECT_NE(key().derive("account:ab12"), key().derive("account:ab13"));
    EXPECT_EQ(key().derive("x").size(), 64U);
}

TEST(Credential, AnotherPasswordEndsTheOwnersSessions)
{
    const Secret password("one");
    EXPECT_EQ(key().owner_generation(password), key().owner_generation(password));
    EXPECT_NE(key().owner_generation(password), key().owner_generation(Secret("two")));
}

TEST(CredentialMemo, AnswersAsTheKeyDoes)
{
    const CredentialKey signer = key();
    CredentialMemo memo(signer);
    const std::string good = signer.issue_jwt(claims(1'800'000'060));
    std::string bad = good;
    bad.back() = bad.back() == 'A' ? 'B' : 'A';
    for (int i = 0; i < 3; ++i) {
        const auto credential = memo.verify(good, kNow);
        ASSERT_TRUE(credential);
        EXPECT_EQ(credential->user.view(), "ab12");
        EXPECT_FALSE(memo.verify(bad, kNow));
        EXPECT_FALSE(memo.verify(good.substr(1), kNow)) << "the same end, another beginning";
        EXPECT_FALSE(memo.verify("", kNow));
    }
    EXPECT_FALSE(memo.verify(good, {1'800'000'060'000})) << "it ends also while remembered";
    for (int i = 0; i < 2000; ++i) {
        const std::string user = "u" + std::to_string(i);
        const auto credential = memo.verify(signer.issue(kClaudeLike, user, 1, kNow), kNow);
        ASSERT_TRUE(credential);
        EXPECT_EQ(credential->user.view(), user);
    }
}

} // namespace
} // namespace shared
