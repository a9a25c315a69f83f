#include "shared/http/sse_splitter.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace shared::http {
namespace {

using Events = std::vector<std::string>;

/// The events of a stream; the last entry is data whose event did not end, marked by "...".
class Collector {
public:
    void feed(std::string_view bytes)
    {
        splitter_.feed(
            bytes,
            [this](std::string_view data) {
                EXPECT_FALSE(data.empty());
                open_ += data;
            },
            [this] {
                events_.push_back(open_);
                open_.clear();
            });
    }

    [[nodiscard]] Events events() const
    {
        Events out = events_;
        if (!open_.empty()) out.push_back(open_ + "...");
        return out;
    }

private:
    SseSplitter splitter_;
    Events events_;
    std::string open_;
};

/// Splits `stream`; checks that every split in two and single bytes give the same.
Events split(std::string_view stream)
{
    Collector whole;
    whole.feed(stream);
    for (std::size_t at = 0; at <= stream.size(); ++at) {
        Collector parts;
        parts.feed(stream.substr(0, at));
        parts.feed(stream.substr(at));
        EXPECT_EQ(parts.events(), whole.events()) << "split at " << at << " of " << stream;
    }
    Collector bytes;
    for (const char c : stream)
        bytes.feed({&c, 1});
    EXPECT_EQ(bytes.events(), whole.events()) << stream;
    return whole.events();
}

TEST(SseSplitter, AllThreeLineEnds)
{
    for (const std::string end : {"\n", "\r", "\r\n"}) {
        std::string stream = "event: a" + end + "data: one" + end + end + "data: two" + end + end;
        EXPECT_EQ(split(stream), (Events{"one", "two"}));
    }
    EXPECT_EQ(split("data: a\r\n\ndata: b\n\rdata: c\r\r"), (Events{"a", "b", "c"}));
}

TEST(SseSplitter, TheSpaceIsOptionalAndOnlyOneIsTaken)
{
    EXPECT_EQ(split("data:a\n\ndata:  b \n\ndata:\tc\n\n"), (Events{"a", " b ", "\tc"}));
}

TEST(SseSplitter, SeveralDataLinesAreJoined)
{
    EXPECT_EQ(split("data: {\ndata:\nevent: x\ndata: }\n\n"), (Events{"{\n\n}"}));
}

TEST(SseSplitter, AnEventWithoutDataIsNone)
{
    EXPECT_EQ(
        split("\n\nevent: ping\n\n: heartbeat\n\nid: 7\nretry: 5\n\ndata: x\n\n"), (Events{"x"}));
}

TEST(SseSplitter, EmptyDataIsAnEvent)
{
    EXPECT_EQ(split("data:\n\ndata\n\ndata: \n\n"), (Events{"", "", ""}));
}

TEST(SseSplitter, OnlyTheFieldDataCounts)
{
    EXPECT_EQ(
        split("dat: 1\ndatax: 2\ndata2\n data: 3\nData: 4\n:data: 5\ndata: 6\nda\nxdata: 7\n\n"),
        (Events{"6"}));
}

TEST(SseSplitter, AByteOrderMarkIsSkippedOnceOnly)
{
    EXPECT_EQ(
        split("\xEF\xBB\xBF"
              "data: x\n\n\xEF\xBB\xBF"
              "data: y\n\n"),
        (Events{"x"}));
    EXPECT_EQ(
        split("\xEF\xBB"
              "data: x\ndata: y\n\n"),
        (Events{"y"}));
    EXPECT_EQ(split("\xEF\n\ndata: y\n\n"), (Events{"y"}));
}

TEST(SseSplitter, AnEventCutShortNeverEnds)
{
    EXPECT_EQ(split("data: one\n\ndata: two\n"), (Events{"one", "two..."}));
    EXPECT_EQ(split("data: one\n\ndata: tw"), (Events{"one", "tw..."}));
}

TEST(SseSplitter, DataIsHandedOnBeforeTheEventEnds)
{
    Collector collector;
    collector.feed("data: the beg");
    EXPECT_EQ(collector.events(), (Events{"the beg..."}));
    collector.feed("inning");
    EXPECT_EQ(collector.events(), (Events{"the beginning..."}));
    // The blank line is known with its first byte: nobody waits for the LF of a last CR LF.
    collector.feed("\r\n\r");
    EXPECT_EQ(collector.events(), (Events{"the beginning"}));
}

TEST(SseSplitter, HugeEventsTakeNoMemory)
{
    static_assert(sizeof(SseSplitter) <= 8);
    SseSplitter splitter;
    std::size_t bytes = 0;
    int ends = 0;
    const std::string piece(64 * 1024, 'x');
    const auto on_data = [&bytes](std::string_view data) { bytes += data.size(); };
    const auto on_end = [&ends] { ++ends; };
    splitter.feed("data: ", on_data, on_end);
    for (int i = 0; i < 128; ++i)
        splitter.feed(piece, on_data, on_end);
    splitter.feed("\n\n", on_data, on_end);
    EXPECT_EQ(bytes, 128 * piece.size());
    EXPECT_EQ(ends, 1);
}

} // namespace
} // namespace shared::http
