#include "shared/base/fixed_string.hpp"

#include <gtest/gtest.h>

namespace shared {
namespace {

TEST(FixedString, KeepsWhatFits)
{
    EXPECT_EQ(FixedString<8>("abc").view(), "abc");
}

TEST(FixedString, CutsBetweenCharactersNeverInsideOne)
{
    EXPECT_EQ(FixedString<4>("abcdef").view(), "abcd");
    EXPECT_EQ(FixedString<4>("abc\xC3\xA9").view(), "abc");
}

TEST(FixedString, SurvivesATornSize)
{
    FixedString<4> text("ab");
    text.size = 999;
    EXPECT_EQ(text.view().size(), 4U);
}

} // namespace
} // namespace shared
