#include "shared/http/spare_pickers.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace shared::http {
namespace {

constexpr std::array<std::string_view, 2> kNames{"a", "b"};

TEST(SparePickers, AreUsedAgainAndThenAsNew)
{
    const JsonPaths paths(kNames);
    auto picker = take_picker(paths, JsonMatch::last);
    picker->feed(R"({"a":"one","b":)"); // left in the middle
    const JsonPicker* const same = picker.get();
    give_back(paths, JsonMatch::last, std::move(picker));

    const auto other = take_picker(paths, JsonMatch::first);
    EXPECT_NE(other.get(), same);
    picker = take_picker(paths, JsonMatch::last);
    ASSERT_EQ(picker.get(), same);
    EXPECT_EQ((*picker)[0].kind, JsonKind::absent);
    picker->feed(R"({"b":2})");
    EXPECT_TRUE(picker->complete());
    EXPECT_EQ((*picker)[0].kind, JsonKind::absent);
    EXPECT_EQ((*picker)[1].text, "2");
}

TEST(SparePickers, TheNewestIsKeptHoweverManyThereAre)
{
    const JsonPaths paths(kNames);
    std::vector<std::unique_ptr<JsonPicker>> many;
    for (int i = 0; i < 40; ++i)
        many.push_back(take_picker(paths, JsonMatch::last));
    for (auto& each : many)
        give_back(paths, JsonMatch::last, std::move(each));
    const JsonPaths others(kNames);
    auto picker = take_picker(others, JsonMatch::last);
    const JsonPicker* const same = picker.get();
    give_back(others, JsonMatch::last, std::move(picker));
    EXPECT_EQ(take_picker(others, JsonMatch::last).get(), same);
}

} // namespace
} // namespace shared::http
