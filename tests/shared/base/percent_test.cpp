#include "shared/base/percent.hpp"

#include <gtest/gtest.h>

namespace shared {
namespace {

TEST(Percent, EncodesAllButWhatIsKept)
{
    EXPECT_EQ(percent_encoded("codex:a-b_c.d~e@f"), "codex:a-b_c.d~e@f");
    EXPECT_EQ(percent_encoded("codex:a", "-._~"), "codex%3Aa");
    EXPECT_EQ(percent_encoded("a b/c?d&e=ä"), "a%20b%2Fc%3Fd%26e%3D%C3%A4");
    EXPECT_EQ(percent_encoded(""), "");
}

TEST(Percent, DecodesWhatItEncodes)
{
    std::string all;
    for (int i = 0; i < 256; ++i)
        all += static_cast<char>(i);
    EXPECT_EQ(percent_decoded(percent_encoded(all)), all);
    EXPECT_EQ(percent_decoded("%c3%A4"), "ä") << "either case";
}

TEST(Percent, WhatIsNoEscapeStays)
{
    for (const char* text : {"%", "%4", "%zz", "100%", "a+b", "%%"})
        EXPECT_EQ(percent_decoded(text), text);
}

} // namespace
} // namespace shared
