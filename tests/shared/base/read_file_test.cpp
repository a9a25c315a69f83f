#include "shared/base/read_file.hpp"
#include "tests/support/as_nobody.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include <sys/stat.h>
#include <unistd.h>

namespace shared {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(ReadFile, BytesAndMode)
{
    const tests::TempDir dir;
    const std::string bytes("a\0b\n\xff", 5);
    const auto text = read_file(dir.write("f", bytes, 0640), 5, "test file");
    ASSERT_TRUE(text.has_value());
    EXPECT_EQ(text->bytes, bytes);
    EXPECT_EQ(text->mode, 0640U);
    EXPECT_FALSE(text->missing);
}

TEST(ReadFile, RootMayShowItsFileToOneGroup)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file to a group";
    const tests::TempDir dir;
    const auto mode_of = [&dir](unsigned mode) {
        const auto path = dir.write("f", "x", mode);
        EXPECT_EQ(::chown(path.c_str(), 0, 4711), 0);
        EXPECT_EQ(::chmod(path.c_str(), mode), 0);
        const auto text = read_file(path, 5, "test file");
        return text.has_value() ? text->mode : 0U;
    };
    EXPECT_EQ(exposure_warning("/f", mode_of(0640)), "");
    EXPECT_NE(exposure_warning("/f", mode_of(0660)), "");
    EXPECT_NE(exposure_warning("/f", mode_of(0644)), "");
}

TEST(ReadFile, MissingIsNoProblem)
{
    const tests::TempDir dir;
    const auto text = read_file(dir.path() / "none", 5, "test file");
    ASSERT_TRUE(text.has_value());
    EXPECT_TRUE(text->missing);
}

TEST(ReadFile, SizeIsBounded)
{
    const tests::TempDir dir;
    for (const std::size_t size : {0U, 1U, 4095U, 4096U, 10000U})
        EXPECT_EQ(
            read_file(dir.write("f", std::string(size, 'x')), 10000, "f")->bytes.size(), size);
    const auto large = read_file(dir.write("f", std::string(10001, 'x')), 10000, "test file");
    ASSERT_TRUE(large.has_error());
    EXPECT_THAT(large.error().text(), HasSubstr("no test file"));
    // A file that says it is empty and is not (as those of /proc do) is still read, and still bounded.
    EXPECT_FALSE(read_file("/proc/self/status", 1U << 20U, "f")->bytes.empty());
    EXPECT_TRUE(read_file("/proc/self/status", 10, "f").has_error());
}

TEST(ReadFile, NamesWhatIsInTheWay)
{
    const tests::TempDir dir;
    dir.write("locked", "x", 0000);
    ASSERT_EQ(::mkfifo((dir.path() / "pipe").c_str(), 0600), 0);
    std::filesystem::create_symlink("nowhere", dir.path() / "dangling");
    ::chmod(dir.path().c_str(), 0755);
    const tests::AsNobody nobody;
    const auto said = [&](const char* name) {
        const auto text = read_file(dir.path() / name, 100, "test file");
        return text.has_error() ? text.error().text() : std::string("read");
    };
    EXPECT_THAT(
        said("locked"),
        AllOf(HasSubstr("/locked: "), HasSubstr("permission denied"), HasSubstr("chmod")));
    EXPECT_THAT(said("pipe"), HasSubstr("a named pipe"));
    EXPECT_THAT(said("dangling"), HasSubstr("symbolic link"));
    EXPECT_THAT(said("."), HasSubstr("a directory"));
    EXPECT_THAT(said("locked/x"), HasSubstr("Not a directory"));
}

TEST(ExposureWarning, OnlyForOthers)
{
    for (const unsigned mode : {0600U, 0400U, 0700U, 0000U, 0611U})
        EXPECT_EQ(exposure_warning("/f", mode), "");
    for (const unsigned mode : {0644U, 0604U, 0640U, 0660U, 0606U})
        EXPECT_THAT(
            exposure_warning("/f", mode), AllOf(HasSubstr("read"), HasSubstr("chmod 600 /f")));
    EXPECT_THAT(
        exposure_warning("/a b", 0622U),
        AllOf(HasSubstr("changed"), HasSubstr("chmod 600 '/a b'")));
}

TEST(Printable, LeavesTextAndReplacesControls)
{
    EXPECT_EQ(
        printable("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80~"),
        "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80~");
    EXPECT_EQ(printable("a\x1b[2J\n\x7f\xC2\x9B"), "a?[2J???");
    EXPECT_EQ(printable(std::string_view("\0", 1)), "?");
    EXPECT_EQ(printable("\xff"), "?");
}

TEST(Utf8, WellFormedOnly)
{
    for (const char* text :
         {"",
          "a",
          "\xC3\xA4",
          "\xE2\x82\xAC",
          "\xF0\x9F\x98\x80",
          "\xED\x9F\xBF",
          "\xF4\x8F\xBF\xBF"})
        EXPECT_TRUE(is_utf8(text)) << text;
    for (const char* text :
         {"\x80",
          "\xC3",
          "\xC0\xAF",
          "\xE0\x80\xAF",
          "\xED\xA0\x80",
          "\xF0\x80\x80\xAF",
          "\xF4\x90\x80\x80",
          "\xF5\x80\x80\x80",
          "\xE2\x82"})
        EXPECT_FALSE(is_utf8(text));
}

TEST(ShellQuoted, OneWord)
{
    EXPECT_EQ(shell_quoted("/a/b-c.json"), "/a/b-c.json");
    EXPECT_EQ(shell_quoted("a b"), "'a b'");
    EXPECT_EQ(shell_quoted("it's"), "'it'\\''s'");
    EXPECT_EQ(shell_quoted(""), "''");
    EXPECT_EQ(shell_quoted("$(x)\n"), "'$(x)?'");
}

} // namespace
} // namespace shared
