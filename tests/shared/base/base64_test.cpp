#include "shared/base/base64.hpp"

#include <gtest/gtest.h>

namespace shared {
namespace {

TEST(Base64, EncodesTheVectorsOfTheStandard)
{
    EXPECT_EQ(base64(""), "");
    EXPECT_EQ(base64("f"), "Zg==");
    EXPECT_EQ(base64("fo"), "Zm8=");
    EXPECT_EQ(base64("foo"), "Zm9v");
    EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
    EXPECT_EQ(base64("\xfb\xff"), "+/8=");
    EXPECT_EQ(base64url("\xfb\xff"), "-_8");
}

TEST(Base64, DecodesWhatItEncodes)
{
    std::string all;
    for (int i = 0; i < 256; ++i)
        all += static_cast<char>(i);
    std::string out;
    for (std::size_t size = 0; size <= all.size(); ++size) {
        const std::string part = all.substr(0, size);
        EXPECT_TRUE(decode_base64(base64(part), out) && out == part) << size;
        EXPECT_TRUE(decode_base64url(base64url(part), out) && out == part) << size;
    }
}

TEST(Base64, RefusesWhatIsNone)
{
    std::string out;
    EXPECT_FALSE(decode_base64("Zm9v!", out));
    EXPECT_FALSE(decode_base64("Zm9vY", out)) << "five letters are no bytes";
    EXPECT_FALSE(decode_base64("-_8", out));
    EXPECT_FALSE(decode_base64url("+/8", out));
    EXPECT_TRUE(decode_base64url("-_8=", out)) << "padding is allowed";
}

} // namespace
} // namespace shared
