#include "shared/providers/jwt.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace shared::providers {
namespace {

// {"exp":1795000000,"email":"a@b.c","https://api.openai.com/auth":{"chatgpt_account_id":"acct"}}
constexpr const char* kToken =
    "eyJhbGciOiJub25lIn0."
    "eyJleHAiOjE3OTUwMDAwMDAsImVtYWlsIjoiYUBiLmMiLCJodHRwczovL2FwaS5vcGVuYWkuY29tL2F1dGgiOnsiY2hhdG"
    "dwdF9hY2NvdW50X2lkIjoiYWNjdCJ9fQ."
    "c2ln";

TEST(Jwt, ReadsClaimsWithoutCheckingTheSignature)
{
    const auto claims = JwtClaims::read(kToken);
    ASSERT_TRUE(claims.has_value()) << claims.error().text();
    EXPECT_EQ(claims->expires_at(), UnixMillis{1'795'000'000'000});
    EXPECT_EQ(claims->text({"email"}), "a@b.c");
    EXPECT_EQ(claims->text({"https://api.openai.com/auth", "chatgpt_account_id"}), "acct");
    EXPECT_EQ(claims->text({"exp"}), "") << "no string";
    EXPECT_EQ(claims->text({"email", "deeper"}), "");
    EXPECT_EQ(claims->text({"missing"}), "");
}

TEST(Jwt, SaysWhatIsWrongAndQuotesNothing)
{
    const auto what = [](std::string_view token) {
        const auto claims = JwtClaims::read(token);
        EXPECT_FALSE(claims.has_value()) << token.substr(0, 40);
        return claims.has_value() ? std::string() : claims.error().what;
    };
    EXPECT_EQ(what(""), "is not a JWT: it is empty");
    EXPECT_EQ(what("secret"), "is not a JWT: it has 1 part, not three");
    EXPECT_EQ(what("a.b"), "is not a JWT: it has 2 parts, not three");
    EXPECT_EQ(what("a.b.c.d"), "is not a JWT: it has 4 parts, not three");
    EXPECT_EQ(what("a..c"), "is not a JWT: its second part is empty");
    EXPECT_EQ(what("a.$$$$.c"), "is not a JWT: its second part is not base64url");
    EXPECT_EQ(what("a.abcde.c"), "is not a JWT: its second part is not base64url");
    EXPECT_EQ(what("a.bm8gSlNPTg.c"), "is not a JWT: its second part holds no JSON");
    EXPECT_EQ(what("a.WzFd.c"), "is not a JWT: its second part holds no JSON object");
    EXPECT_EQ(what("a.eyJhIjo.c"), "is not a JWT: its second part holds no JSON");
    EXPECT_EQ(
        what(std::string(kJwtBytesMax + 1, 'a')), "is not a JWT: it is longer than 16384 bytes");
}

TEST(Jwt, DeepNestingAndOddExpiriesAreHarmless)
{
    // "[[[…" as claims, at the size limit; base64 of "[[[" is "W1tb".
    std::string deep = "a.";
    while (deep.size() + 6 <= kJwtBytesMax)
        deep += "W1tb";
    EXPECT_FALSE(JwtClaims::read(deep + ".c").has_value());

    for (const char* payload : {"eyJleHAiOiJ4In0", "eyJleHAiOi0xfQ", "eyJleHAiOjFlOTl9", "e30"}) {
        const auto claims = JwtClaims::read(std::string("a.") + payload + ".c");
        ASSERT_TRUE(claims.has_value()) << payload;
        EXPECT_FALSE(claims->expires_at().is_set()) << payload; // "x", -1, 1e99, absent
    }
}

} // namespace
} // namespace shared::providers
