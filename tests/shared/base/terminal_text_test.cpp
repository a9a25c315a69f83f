#include "shared/base/terminal_text.hpp"
#include "shared/base/time_text.hpp"

#include <gtest/gtest.h>

namespace shared {
namespace {

TEST(TerminalText, FitsAnyTextIntoItsColumns)
{
    EXPECT_EQ(text_width("aäé…"), 4U);
    EXPECT_EQ(fit_text("abc", 5), "abc  ");
    EXPECT_EQ(fit_text("abc", 5, true), "  abc");
    EXPECT_EQ(fit_text("äöüß", 4), "äöüß");
    EXPECT_EQ(fit_text("äöüß", 3), "äö…");
    EXPECT_EQ(fit_text("äöüß", 1), "…");
    EXPECT_EQ(fit_text("abc", 0), "");
}

TEST(TerminalText, BarsHaveEighths)
{
    EXPECT_EQ(bar_text(0, 4), "");
    EXPECT_EQ(bar_text(0.5, 4), "██");
    EXPECT_EQ(bar_text(0.625, 4), "██▌");
    EXPECT_EQ(bar_text(7, 4), "████");
    EXPECT_EQ(bar_text(-1, 4), "");
}

TEST(TerminalText, NumbersGetShort)
{
    EXPECT_EQ(short_number(9999), "9999");
    EXPECT_EQ(short_number(12'345), "12.3 k");
    EXPECT_EQ(short_number(456'000'000), "456 M");
}

TEST(TimeText, IsReadBackAsItWasWritten)
{
    const UnixMillis at{1'763'800'000'000};
    EXPECT_EQ(parse_iso_time(iso_time(at)), at);
    for (const char* text :
         {"", "now", "2025-11-22", "2025-11-22T08:26:40", "2025-11-22T08:26:40Zx"})
        EXPECT_FALSE(parse_iso_time(text).is_set()) << text;
}

} // namespace
} // namespace shared
