#include "admin_ui/multipart.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using admin_ui::parse_multipart;

constexpr std::string_view kType = "multipart/form-data; charset=utf-8; boundary=\"--x 1\"";

std::string part(const std::string& head, const std::string& content)
{
    return "----x 1\r\n" + head + "\r\n\r\n" + content + "\r\n";
}

TEST(Multipart, PartsAreTakenAsTheyAre)
{
    const std::string file("{\r\n--x\0\"}\r\n", 11);
    const std::string body =
        part("content-disposition: form-data; name=\"csrf\"", "abc") +
        part(
            "Content-Type: application/json\r\n"
            "Content-Disposition: form-data; filename=\"a;name=b.json\"; name=file",
            file) +
        part("Content-Disposition: form-data; name=\"empty\"", "") + "----x 1--\r\n";
    const auto parts = parse_multipart(kType, body);
    ASSERT_TRUE(parts.has_value()) << parts.error().text();
    ASSERT_EQ(parts->size(), 3U);
    EXPECT_EQ((*parts)[0].name, "csrf");
    EXPECT_EQ((*parts)[0].content, "abc");
    EXPECT_EQ((*parts)[1].name, "file");
    EXPECT_EQ((*parts)[1].content, file);
    EXPECT_EQ((*parts)[2].content, "");
}

TEST(Multipart, WhatIsBrokenIsSaid)
{
    const std::string good = part("Content-Disposition: form-data; name=\"a\"", "b");
    EXPECT_TRUE(parse_multipart(kType, good + "----x 1--").has_value());
    for (const std::string& body :
         {std::string(),
          std::string("x") + good + "----x 1--",
          good,
          good.substr(0, good.size() - 3),
          good + "----x 1 --",
          part("Content-Disposition: form-data", "b") + "----x 1--",
          part("Content-Disposition: form-data; filename=\"name=a\"", "b") + "----x 1--",
          std::string("----x 1\r\nContent-Disposition: form-data; name=\"a\"\r\n")})
        EXPECT_FALSE(parse_multipart(kType, body).has_value()) << body;
    EXPECT_FALSE(parse_multipart("multipart/form-data", good + "----x 1--").has_value());
    EXPECT_FALSE(
        parse_multipart("multipart/form-data; boundary=" + std::string(71, 'b'), good).has_value());
}

TEST(Multipart, NoMoreThanAForm)
{
    std::string body;
    for (std::size_t i = 0; i < admin_ui::kFormPartsMax; ++i)
        body += part("Content-Disposition: form-data; name=\"a\"", "b");
    EXPECT_TRUE(parse_multipart(kType, body + "----x 1--").has_value());
    body += part("Content-Disposition: form-data; name=\"a\"", "b");
    EXPECT_FALSE(parse_multipart(kType, body + "----x 1--").has_value());
}

} // namespace
