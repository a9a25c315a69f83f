#include "shared/http/scan.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cctype>
#include <cstddef>
#include <string>

namespace shared::http::scan {
namespace {

TEST(Scan, FindsABlankLineWhereverItStands)
{
    for (std::size_t before = 0; before < 70; ++before) {
        for (std::size_t after = 0; after < 40; ++after) {
            // The bytes around it are what a search in blocks could take for it.
            for (const char* each : {"x", "\r", "\n", "\r\n", "\r\r\n"}) {
                std::string text;
                while (text.size() < before)
                    text += each;
                text += "x\r\n\r\n";
                text.append(after, 'y');
                const char* const end = text.data() + text.size();
                const char* const found = find_blank_line(text.data(), end);
                ASSERT_EQ(static_cast<std::size_t>(found - text.data()), text.find("\r\n\r\n"));
            }
        }
    }
}

TEST(Scan, FindsNoBlankLineWhereNoneIs)
{
    for (const char* each : {"x", "\r", "\n", "\r\nx", "\r\n\r", "\n\r\n", "\r\nx\r\n"}) {
        std::string text;
        for (int i = 0; i < 60; ++i) {
            const bool one = text.find("\r\n\r\n") != std::string::npos;
            const char* const end = text.data() + text.size();
            EXPECT_EQ(find_blank_line(text.data(), end) == end, !one) << each << i;
            text += each;
        }
    }
}

TEST(Scan, KnowsLettersDigitsAndDashes)
{
    for (int c = 0; c < 256; ++c) {
        std::array<char, 16> bytes{};
        bytes.fill('.');
        bytes[7] = static_cast<char>(c);
        const bool plain = c < 128 && (std::isalnum(c) != 0 || c == '-');
        EXPECT_EQ(mask16(letters_digits_dashes16(load16(bytes.data()))), plain ? 1U << 7U : 0U)
            << c;
    }
}

} // namespace
} // namespace shared::http::scan
