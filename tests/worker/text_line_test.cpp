#include "worker/text_line.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace worker {
namespace {

TEST(TextLine, PutsPiecesAndNumbersTogether)
{
    TextLine<64> line;
    line.add("status=");
    line.add_number(200);
    line.add(' ');
    line.add(std::string_view("path=/v1"));
    EXPECT_EQ(line.view(), "status=200 path=/v1");
    line.at(11)[0] = 'P';
    EXPECT_EQ(line.view(), "status=200 Path=/v1");
}

TEST(TextLine, CutsOffWhatDoesNotFit)
{
    TextLine<8> line;
    line.add("12345");
    line.add("6789");
    line.add('x');
    line.add(std::string_view("y"));
    EXPECT_EQ(line.view(), "12345678");

    TextLine<8> exact;
    exact.add("12345678");
    exact.add_number(9);
    EXPECT_EQ(exact.view(), "12345678");

    TextLine<8> number;
    number.add("123456");
    number.add_number(123); // part of it would be another number
    EXPECT_EQ(number.view(), "123456");
}

TEST(TextLine, TheLargestNumber)
{
    TextLine<24> line;
    line.add_number(std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(line.view(), "18446744073709551615");
}

} // namespace
} // namespace worker
