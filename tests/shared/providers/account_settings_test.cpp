/// The file of what owner actions said: it survives, it is whole or old, and a broken one is never written over.
#include "shared/providers/account_settings.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

namespace {

using shared::AccountSettings;

class AccountSettingsTest : public testing::Test {
protected:
    std::string text() const
    {
        std::stringstream out;
        out << std::ifstream(file_).rdbuf();
        return out.str();
    }

    void write(const std::string& text) const { std::ofstream(file_) << text; }

    tests::TempDir folder_;
    std::filesystem::path file_ = folder_.path() / "account_settings.json";
    AccountSettings settings_{file_};
};

TEST_F(AccountSettingsTest, NoFileIsNoSettings)
{
    ASSERT_TRUE(settings_.load().has_value());
    EXPECT_TRUE(settings_.all().empty());
}

TEST_F(AccountSettingsTest, ChangesAreMergedAndSurvive)
{
    ASSERT_TRUE(settings_.load().has_value());
    ASSERT_TRUE(settings_.change("codex:a", R"({"disabled":true,"priority":5})").has_value());
    ASSERT_TRUE(settings_.change("codex:b", R"({"weight":2})").has_value());
    const auto changed = settings_.change("codex:a", R"({"priority":null,"max_concurrency":3})");
    ASSERT_TRUE(changed.has_value());
    EXPECT_EQ(changed->disabled, true);
    EXPECT_FALSE(changed->priority.has_value());

    AccountSettings next(file_);
    ASSERT_TRUE(next.load().has_value());
    ASSERT_EQ(next.all().size(), 2U);
    EXPECT_EQ(next.all().at("codex:a").max_concurrency, 3);
    EXPECT_EQ(next.all().at("codex:a").disabled, true);
    EXPECT_EQ(next.all().at("codex:b").weight_percent, 200);

    struct stat status {};

    ASSERT_EQ(::stat(file_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_FALSE(std::filesystem::exists(file_.string() + ".tmp"));
}

TEST_F(AccountSettingsTest, WhatSaysNothingLeavesTheFile)
{
    ASSERT_TRUE(settings_.load().has_value());
    ASSERT_TRUE(settings_.change("codex:a", R"({"disabled":true})").has_value());
    ASSERT_TRUE(settings_.change("codex:a", R"({"disabled":null})").has_value());
    EXPECT_EQ(text().find("codex:a"), std::string::npos);
}

TEST_F(AccountSettingsTest, ABadWishChangesNothing)
{
    ASSERT_TRUE(settings_.load().has_value());
    ASSERT_TRUE(settings_.change("codex:a", R"({"priority":5})").has_value());
    const std::string before = text();
    for (const char* wish : {"", "[]", R"({"priority":"x"})", R"({"nothing":1})"})
        EXPECT_FALSE(settings_.change("codex:a", wish).has_value()) << wish;
    EXPECT_EQ(text(), before);
    EXPECT_EQ(settings_.all().at("codex:a").priority, 5);
}

TEST_F(AccountSettingsTest, ABrokenFileIsNamedAndNeverWrittenOver)
{
    for (const char* broken :
         {"",
          "{",
          "[]",
          R"({"version":2,"accounts":{}})",
          R"({"version":1})",
          R"({"version":1,"accounts":{"codex:a":{"priority":"SECRET"}}})"}) {
        write(broken);
        const auto loaded = settings_.load();
        ASSERT_FALSE(loaded.has_value()) << broken;
        EXPECT_NE(loaded.error().text().find(file_.string()), std::string::npos);
        EXPECT_EQ(loaded.error().text().find("SECRET"), std::string::npos);
        EXPECT_TRUE(settings_.all().empty());
        EXPECT_FALSE(settings_.change("codex:a", R"({"priority":1})").has_value());
        EXPECT_EQ(text(), broken);
    }
    std::filesystem::remove(file_);
    ASSERT_TRUE(settings_.load().has_value()) << "mended";
    EXPECT_TRUE(settings_.change("codex:a", R"({"priority":1})").has_value());
}

TEST_F(AccountSettingsTest, WhatCannotBeWrittenIsNotTakenOver)
{
    if (::geteuid() == 0) {
        // Root may write anywhere: a folder in the temporary file's place stands in for a full disk.
        std::filesystem::create_directory(file_.string() + ".tmp");
    } else {
        std::filesystem::permissions(folder_.path(), std::filesystem::perms::owner_read);
    }
    ASSERT_TRUE(settings_.load().has_value() || ::geteuid() != 0);
    EXPECT_FALSE(settings_.change("codex:a", R"({"priority":1})").has_value());
    EXPECT_TRUE(settings_.all().empty());
    std::filesystem::permissions(folder_.path(), std::filesystem::perms::owner_all);
}

} // namespace
