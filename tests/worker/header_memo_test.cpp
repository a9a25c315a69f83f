#include "worker/header_memo.hpp"

#include <gtest/gtest.h>

#include <string>

namespace worker {
namespace {

TEST(HeaderMemo, AsksTheRuleOncePerName)
{
    HeaderMemo memo;
    int asked = 0;
    const auto rule = [&asked](std::string_view name) {
        ++asked;
        return name.front() == 'x';
    };
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(memo.ask("x-one", rule));
        EXPECT_FALSE(memo.ask("one", rule));
        EXPECT_TRUE(memo.ask("x-two", rule));
    }
    EXPECT_EQ(asked, 3);
}

TEST(HeaderMemo, AnswersAreTheRulesHoweverManyNamesThereAre)
{
    HeaderMemo memo;
    const auto rule = [](std::string_view name) { return name.back() % 2 == 0; };
    for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < 5000; ++i) {
            const std::string name = "x-field-" + std::to_string(i);
            EXPECT_EQ(memo.ask(name, rule), rule(name)) << name;
        }
        const std::string longest(HeaderMemo::kNameBytesMax, 'b');
        EXPECT_EQ(memo.ask(longest, rule), rule(longest));
        const std::string longer(HeaderMemo::kNameBytesMax + 1, 'a');
        EXPECT_EQ(memo.ask(longer, rule), rule(longer));
    }
}

} // namespace
} // namespace worker
