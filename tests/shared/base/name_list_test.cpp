#include "shared/base/name_list.hpp"

#include <gtest/gtest.h>

namespace shared {
namespace {

TEST(NameList, NamesWhatItSays)
{
    EXPECT_TRUE(list_names("gpt-5*, o3", "gpt-5.1-codex"));
    EXPECT_TRUE(list_names("gpt-5*, o3", "o3"));
    EXPECT_FALSE(list_names("gpt-5*, o3", "o3-mini"));
    EXPECT_FALSE(list_names("gpt-5*, o3", "gpt-4"));
    EXPECT_TRUE(list_names("*", "anything"));
    EXPECT_FALSE(list_names("", "anything"));
    EXPECT_FALSE(list_names(" , ,", ""));
    EXPECT_TRUE(list_names("  a  ,b ", "a") && list_names("  a  ,b ", "b"));
}

} // namespace
} // namespace shared
