#include "shared/base/hash.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace shared {
namespace {

std::string sha256_hex(std::string_view bytes)
{
    const Sha256Digest digest = sha256(bytes);
    return to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

// Source: FIPS 180-2, appendix B.
TEST(Sha256, KnownAnswers)
{
    EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(
        sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(
        sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_NE(sha256_hex(std::string(1, '\0')), sha256_hex(""));
}

TEST(HmacSha256, KnowsTheVectorsOfRfc4231)
{
    const auto hex = [](std::string_view key, std::string_view text) {
        const Sha256Digest digest = hmac_sha256(key, text);
        return to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
    };
    EXPECT_EQ(
        hex("Jefe", "what do ya want for nothing?"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(
        hex(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(ToHex, EveryByte)
{
    EXPECT_EQ(to_hex(""), "");
    EXPECT_EQ(to_hex(std::string("\x00\x0F\xF0\xFF", 4)), "000ff0ff");
}

TEST(RandomHex, HasTheLengthAskedForAndIsNeverTheSame)
{
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) {
        const std::string id = random_hex(16);
        EXPECT_EQ(id.size(), 32U);
        EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
        EXPECT_TRUE(seen.insert(id).second);
    }
    EXPECT_EQ(random_hex(0), "");
}

} // namespace
} // namespace shared
