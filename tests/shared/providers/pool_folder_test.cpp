#include "shared/providers/pool_folder.hpp"
#include "tests/support/as_nobody.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

namespace shared {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

std::string codex(std::string_view name)
{
    const std::string n(name);
    return R"({"tokens":{"access_token":"at-)" + n + R"(","refresh_token":"rt-)" + n +
           R"(","account_id":"acct-)" + n + R"("}})";
}

std::string claude_key(std::string_view name)
{
    return R"({"api_key":"sk-ant-api-)" + std::string(name) + R"("})";
}

std::string gemini(std::string_view name)
{
    const std::string n(name);
    return R"({"access_token":"ya29.)" + n + R"(","refresh_token":"1//)" + n +
           R"(","expiry_date":1893456000000})";
}

class PoolFolderTest : public ::testing::Test {
protected:
    PoolLoad load() { return load_pool(registry_, dir_.path()); }

    std::vector<std::string> ids()
    {
        std::vector<std::string> out;
        for (const LoadedAccount& account : load().accounts)
            out.push_back(account.id);
        return out;
    }

    std::vector<std::string> problems()
    {
        std::vector<std::string> out;
        for (const Problem& problem : load().problems)
            out.push_back(problem.text());
        return out;
    }

    tests::TempDir dir_;
    ProviderRegistry registry_;
};

TEST_F(PoolFolderTest, FlatFolderGoesByPrefix)
{
    dir_.write("personal.json", codex("a"));
    dir_.write("claude_work.json", claude_key("b"));
    dir_.write("gemini_main.json", gemini("c"));
    EXPECT_THAT(ids(), ElementsAre("claude:work", "codex:personal", "gemini:main"));
    EXPECT_THAT(problems(), IsEmpty());
    const PoolLoad loaded = load();
    EXPECT_EQ(loaded.accounts[1].file, dir_.path() / "personal.json");
    EXPECT_EQ(loaded.accounts[1].credential.account_id, "acct-a");
    EXPECT_EQ(loaded.accounts[1].provider, registry_.find("codex")->id());
    EXPECT_EQ(loaded.accounts[0].credential.kind, CredentialKind::api_key);
    EXPECT_TRUE(loaded.broken.empty());
}

TEST_F(PoolFolderTest, SubFoldersGoByName)
{
    dir_.write("codex/work.json", codex("a"));
    dir_.write("claude/work.json", claude_key("b"));
    dir_.write("gemini/work.json", gemini("c"));
    dir_.write("kimi/work.json", "{}");
    dir_.write("personal.json", codex("d"));
    EXPECT_THAT(ids(), ElementsAre("claude:work", "codex:personal", "codex:work", "gemini:work"));
    EXPECT_THAT(problems(), IsEmpty());
}

TEST_F(PoolFolderTest, PassesOverWhatIsNoCredentialFile)
{
    dir_.write("README.md", "hello");
    dir_.write(".hidden.json", "junk");
    dir_.write("personal.json.tmp", "junk");
    dir_.write("personal.tmp", "junk");
    dir_.write("personal.json~", "junk");
    dir_.write("codex/.personal.json.swp", "junk");
    dir_.write("codex/deeper/work.json", codex("a"));
    EXPECT_THAT(ids(), IsEmpty());
    EXPECT_THAT(problems(), IsEmpty());
    EXPECT_FALSE(load().fatal);
}

TEST_F(PoolFolderTest, OneIdTwice)
{
    dir_.write("claude_work.json", claude_key("a"));
    dir_.write("claude/work.json", claude_key("b"));
    EXPECT_THAT(ids(), ElementsAre("claude:work"));
    EXPECT_THAT(
        problems(),
        ElementsAre(AllOf(
            HasSubstr("/claude/work.json"),
            HasSubstr("/claude_work.json"),
            HasSubstr("claude:work"))));
    EXPECT_TRUE(load().broken.empty());

    // The broken one does not stand in the way of the other.
    dir_.write("claude_work.json", "junk");
    EXPECT_THAT(ids(), ElementsAre("claude:work"));
    EXPECT_THAT(problems(), ElementsAre(HasSubstr("/claude_work.json")));
    EXPECT_TRUE(load().broken.empty());
}

TEST_F(PoolFolderTest, OneLoginTwice)
{
    dir_.write("b.json", codex("same"));
    dir_.write("a.json", codex("same"));
    dir_.write("claude_x.json", claude_key("k"));
    dir_.write("claude/y.json", claude_key("k"));
    dir_.write("gemini_1.json", gemini("g"));
    dir_.write("gemini_2.json", R"({"access_token":"ya29.other","refresh_token":"1//g"})");
    EXPECT_THAT(ids(), ElementsAre("claude:x", "codex:a", "gemini:1"));
    EXPECT_THAT(
        problems(),
        UnorderedElementsAre(
            AllOf(HasSubstr("/b.json"), HasSubstr("/a.json")),
            AllOf(HasSubstr("/y.json"), HasSubstr("/claude_x.json")),
            AllOf(HasSubstr("/gemini_2.json"), HasSubstr("/gemini_1.json"))));
    EXPECT_TRUE(load().broken.empty());
}

TEST_F(PoolFolderTest, TheSameIdAtTwoVendorsIsNoDuplicate)
{
    dir_.write("codex/a.json", codex("a"));
    dir_.write("codex/b.json", R"({"OPENAI_API_KEY":"sk-1"})");
    dir_.write("claude/a.json", claude_key("a"));
    EXPECT_THAT(ids(), ElementsAre("claude:a", "codex:a", "codex:b"));
    EXPECT_THAT(problems(), IsEmpty());
}

struct BadFile {
    const char* name;
    std::string text;
    const char* expected;
};

class BadCredential : public PoolFolderTest, public ::testing::WithParamInterface<BadFile> {};

TEST_P(BadCredential, IsNamedAndHidesNoOther)
{
    dir_.write("good.json", codex("good"));
    for (const char* file : {"bad.json", "claude_bad.json", "gemini_bad.json"})
        dir_.write(file, GetParam().text);
    EXPECT_THAT(ids(), ElementsAre("codex:good"));
    const auto found = problems();
    ASSERT_THAT(found, SizeIs(3));
    for (const std::string& text : found) {
        EXPECT_THAT(text, AllOf(HasSubstr("bad.json: "), HasSubstr(GetParam().expected)));
        EXPECT_THAT(text, Not(HasSubstr("hunter")));
    }
    EXPECT_THAT(
        load().broken,
        UnorderedElementsAre(Key("codex:bad"), Key("claude:bad"), Key("gemini:bad")));
}

INSTANTIATE_TEST_SUITE_P(
    All,
    BadCredential,
    ::testing::Values(
        BadFile{"Empty", "", "empty"},
        BadFile{"Blank", " \r\n\t\n", "empty"},
        BadFile{"Truncated", R"({"tokens":{"access_token":"hunter2", "claudeAiOauth":{"acc)", ""},
        BadFile{"NoJson", "access_token = hunter2", ""},
        BadFile{"Binary", std::string("\0\1\2\xff", 4), ""},
        BadFile{"Array", "[]", ""},
        BadFile{"Text", "\"hunter2\"", ""},
        BadFile{"Null", "null", ""},
        BadFile{"NoToken", "{}", ""},
        BadFile{
            "WrongTypes",
            R"({"tokens":5,"access_token":[],"api_key":{},"claudeAiOauth":"hunter2"})",
            ""},
        BadFile{"Nested", std::string(500000, '['), ""},
        BadFile{
            "NestedObjects",
            [] {
                std::string text;
                for (int i = 0; i < 100000; ++i)
                    text += "{\"a\":";
                return text;
            }(),
            ""},
        BadFile{"TooLarge", std::string(kCredentialBytesMax + 1, ' '), "larger than 1024 KiB"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_F(PoolFolderTest, SizeIsLookedAtBeforeReading)
{
    // Sparse: reading a terabyte would not come back.
    const auto file = dir_.write("huge.json", codex("a"));
    ASSERT_EQ(::truncate(file.c_str(), static_cast<off_t>(1) << 40U), 0);
    EXPECT_THAT(problems(), ElementsAre(HasSubstr("larger than")));
    std::string largest = codex("a");
    largest.resize(kCredentialBytesMax, ' ');
    dir_.write("huge.json", largest);
    EXPECT_THAT(ids(), ElementsAre("codex:huge"));
}

TEST_F(PoolFolderTest, OnlyRegularFilesAreOpened)
{
    ASSERT_EQ(::mkfifo((dir_.path() / "pipe.json").c_str(), 0600), 0);
    std::filesystem::create_directory(dir_.path() / "folder.json");
    std::filesystem::create_symlink("/dev/zero", dir_.path() / "device.json");
    std::filesystem::create_symlink("nowhere", dir_.path() / "dangling.json");
    std::filesystem::create_symlink("circle.json", dir_.path() / "circle.json");
    EXPECT_THAT(
        problems(),
        UnorderedElementsAre(
            AllOf(HasSubstr("pipe.json"), HasSubstr("named pipe")),
            AllOf(HasSubstr("folder.json"), HasSubstr("a directory")),
            AllOf(HasSubstr("device.json"), HasSubstr("a device")),
            AllOf(HasSubstr("dangling.json"), HasSubstr("symbolic link")),
            AllOf(HasSubstr("circle.json"), HasSubstr("circle"))));
    EXPECT_THAT(load().broken, SizeIs(5));
}

TEST_F(PoolFolderTest, SymbolicLinksAreFollowed)
{
    const tests::TempDir elsewhere;
    elsewhere.write("auth.json", codex("a"));
    elsewhere.write("claude/b.json", claude_key("b"));
    std::filesystem::create_symlink(elsewhere.path() / "auth.json", dir_.path() / "mine.json");
    std::filesystem::create_symlink(elsewhere.path() / "claude", dir_.path() / "claude");
    EXPECT_THAT(ids(), ElementsAre("claude:b", "codex:mine"));
}

TEST_F(PoolFolderTest, UnreadableFile)
{
    dir_.write("locked.json", codex("a"), 0000);
    ::chmod(dir_.path().c_str(), 0755);
    const tests::AsNobody nobody;
    EXPECT_THAT(
        problems(), ElementsAre(AllOf(HasSubstr("locked.json"), HasSubstr("permission denied"))));
    EXPECT_THAT(load().broken, SizeIs(1));
}

TEST_F(PoolFolderTest, NamesThatMakeNoId)
{
    dir_.write("claude_.json", claude_key("a"));
    dir_.write(std::string(80, 'x') + ".json", codex("b"));
    dir_.write("a\x1b[2J.json", codex("c"));
    dir_.write("\xff.json", codex("d"));
    EXPECT_THAT(ids(), IsEmpty());
    const auto found = problems();
    EXPECT_THAT(found, SizeIs(4));
    for (const std::string& text : found)
        EXPECT_THAT(text, AllOf(HasSubstr("rename it"), Not(HasSubstr("\x1b"))));
    dir_.write("\xC3\xA4 b.json", codex("e"));
    EXPECT_THAT(ids(), ElementsAre("codex:\xC3\xA4 b"));
}

TEST_F(PoolFolderTest, WarnsOfFilesOthersCanRead)
{
    dir_.write("a.json", codex("a"), 0644);
    dir_.write("it's.json", codex("b"), 0622);
    dir_.write("c.json", codex("c"), 0400);
    const PoolLoad loaded = load();
    ASSERT_THAT(loaded.accounts, SizeIs(3));
    EXPECT_THAT(
        loaded.accounts[0].warnings,
        Contains(AllOf(HasSubstr("0644"), HasSubstr("chmod 600 "), HasSubstr("/a.json"))));
    EXPECT_THAT(loaded.accounts[1].warnings, Not(Contains(HasSubstr("chmod"))));
    EXPECT_THAT(
        loaded.accounts[2].warnings,
        Contains(AllOf(HasSubstr("changed"), HasSubstr("it'\\''s.json'"))));
}

TEST_F(PoolFolderTest, FolderMissingOrAFile)
{
    const PoolLoad missing = load_pool(registry_, dir_.path() / "none");
    ASSERT_TRUE(missing.fatal);
    EXPECT_THAT(
        missing.fatal->text(),
        AllOf(HasSubstr("/none"), HasSubstr("does not exist"), HasSubstr("mkdir")));
    const PoolLoad file = load_pool(registry_, dir_.write("file", ""));
    ASSERT_TRUE(file.fatal);
    EXPECT_THAT(file.fatal->text(), AllOf(HasSubstr("/file"), HasSubstr("is a file")));
    EXPECT_FALSE(load().fatal);
}

TEST_F(PoolFolderTest, FolderNotReadable)
{
    dir_.write("locked/a.json", codex("a"));
    ::chmod((dir_.path() / "locked").c_str(), 0000);
    ::chmod(dir_.path().c_str(), 0755);
    const PoolLoad locked = [&] {
        const tests::AsNobody nobody;
        return load_pool(registry_, dir_.path() / "locked");
    }();
    ::chmod((dir_.path() / "locked").c_str(), 0700);
    ASSERT_TRUE(locked.fatal);
    EXPECT_THAT(locked.fatal->text(), AllOf(HasSubstr("cannot be read"), HasSubstr("chmod")));
}

TEST_F(PoolFolderTest, BoundedNumberOfFiles)
{
    for (std::size_t i = 0; i <= kPoolFilesMax; ++i)
        dir_.write(std::to_string(10000 + i) + ".json", "");
    EXPECT_THAT(problems(), AllOf(SizeIs(kPoolFilesMax + 1), Contains(HasSubstr("holds 4097"))));
}

} // namespace
} // namespace shared
