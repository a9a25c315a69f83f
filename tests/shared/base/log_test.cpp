#include "shared/base/log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace shared::log {
namespace {

/// What one call of `write` puts on stderr.
template <class Write>
std::string captured(Write&& write)
{
    testing::internal::CaptureStderr();
    write();
    return testing::internal::GetCapturedStderr();
}

class Log : public testing::Test {
protected:
    void SetUp() override { unsetenv("JOURNAL_STREAM"); }

    void TearDown() override { unsetenv("JOURNAL_STREAM"); }
};

TEST_F(Log, OneLineWithLevelRoleAndText)
{
    const std::string out = captured([] {
        start("worker-2", false);
        info("event=started port={}", 8989);
    });
    EXPECT_TRUE(out.ends_with(" info role=worker-2 event=started port=8989\n")) << out;
}

TEST_F(Log, NoInputCanForgeALine)
{
    const std::string out = captured([] {
        start("worker", false);
        info("user={} path={}", "a\n<3>error\r\nforged", "\x1B[2J\x7F\tx");
        write(Level::warn, std::string_view("nul \0 end", 9));
    });
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 2) << out;
    for (const char c : out)
        EXPECT_TRUE(c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F));
    EXPECT_NE(out.find("user=a?<3>error??forged path=?[2J??x"), std::string::npos) << out;
    EXPECT_NE(out.find("nul ? end"), std::string::npos) << out;
}

TEST_F(Log, BracesInTheTextAreNoFormat)
{
    const std::string out = captured([] {
        start("worker", false);
        write(Level::info, "{} {0} %v %n");
    });
    EXPECT_TRUE(out.ends_with("{} {0} %v %n\n")) << out;
}

TEST_F(Log, JournalLinesBeginWithTheirPriority)
{
    setenv("JOURNAL_STREAM", "8:1", 1);
    const std::string out = captured([] {
        start("supervisor", true);
        debug("a");
        info("b\n<0>forged");
        warn("c");
        error("d");
    });
    EXPECT_EQ(
        out,
        "<7>role=supervisor a\n<6>role=supervisor b?<0>forged\n"
        "<4>role=supervisor c\n<3>role=supervisor d\n");
}

TEST_F(Log, DebugIsOffUnlessAskedFor)
{
    const std::string out = captured([] {
        start("worker", false);
        debug("decision={}", 1);
    });
    EXPECT_EQ(out, "");
    EXPECT_FALSE(is_on(Level::debug));
    start("worker", true);
    EXPECT_TRUE(is_on(Level::debug));
    EXPECT_TRUE(is_on(Level::error));
}

/// The lines without their time stamps.
std::string without_time(const std::string& lines)
{
    std::string out;
    std::size_t begin = 0;
    while (begin < lines.size()) {
        const std::size_t end = lines.find('\n', begin);
        out += lines.substr(begin, end + 1 - begin).substr(lines.find(' ', begin) - begin);
        begin = end + 1;
    }
    return out;
}

// Last: a process that collects does so to its end.
TEST_F(Log, ZCollectedLinesLookLikeOthersAndKeepTheirOrder)
{
    const std::string single = captured([] {
        start("worker", false);
        info("a={} forged\n<3>x", 1);
    });
    collect_lines();
    info("a={} forged\n<3>x", 1); // what was due is out: the rest waits
    flush();
    const std::string collected = captured([] {
        info("a={} forged\n<3>x", 1);
        flush();
    });
    EXPECT_EQ(without_time(collected), without_time(single));
    EXPECT_EQ(collected.find(' '), single.find(' ')) << "the time stamp's width";
    const std::string mixed = captured([] {
        info("first");
        warn("second");
        info("third");
        flush();
    });
    const std::string shown = without_time(mixed);
    EXPECT_LT(shown.find("first"), shown.find("second"));
    EXPECT_LT(shown.find("second"), shown.find("third"));
}

} // namespace
} // namespace shared::log
