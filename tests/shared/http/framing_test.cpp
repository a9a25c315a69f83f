#include "shared/http/framing.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace shared::http {
namespace {

struct Trace {
    std::string payload;
    std::size_t consumed = 0;
    bool finished = false;
    bool failed = false;

    friend bool operator==(const Trace&, const Trace&) = default;
};

std::ostream& operator<<(std::ostream& out, const Trace& run)
{
    return out << '"' << run.payload << "\" consumed " << run.consumed
               << (run.finished ? " finished" : "") << (run.failed ? " failed" : "");
}

void feed(BodyTracker& tracker, std::string_view bytes, Trace& run)
{
    run.consumed += tracker.consume(bytes, [&run](std::string_view data) {
        EXPECT_FALSE(data.empty());
        run.payload += data;
    });
}

/// Follows a body; checks that every split in two gives the same.
Trace follow(BodyKind kind, std::uint64_t length, std::string_view bytes)
{
    Trace whole;
    for (std::size_t split = 0; split <= bytes.size(); ++split) {
        BodyTracker tracker(kind, length);
        Trace run;
        feed(tracker, bytes.substr(0, split), run);
        if (run.consumed == split) feed(tracker, bytes.substr(split), run);
        run.finished = tracker.finished();
        run.failed = tracker.failed();
        EXPECT_EQ(tracker.payload_bytes(), run.payload.size());
        EXPECT_FALSE(run.finished && run.failed);
        if (split == 0)
            whole = run;
        else
            EXPECT_EQ(run, whole) << "split at " << split << " of " << bytes;
    }
    return whole;
}

Trace chunked(std::string_view bytes)
{
    return follow(BodyKind::chunked, 0, bytes);
}

TEST(BodyTracker, NoBody)
{
    EXPECT_EQ(follow(BodyKind::none, 0, "GET"), (Trace{"", 0, true, false}));
    EXPECT_EQ(follow(BodyKind::length, 0, "GET"), (Trace{"", 0, true, false}));
    EXPECT_TRUE(BodyTracker().finished());
}

TEST(BodyTracker, Length)
{
    EXPECT_EQ(follow(BodyKind::length, 5, "helloGET /"), (Trace{"hello", 5, true, false}));
    EXPECT_EQ(follow(BodyKind::length, 6, "hello"), (Trace{"hello", 5, false, false}));
    EXPECT_FALSE(BodyTracker(BodyKind::length, 5).may_end_by_close());
}

TEST(BodyTracker, UntilClose)
{
    EXPECT_EQ(follow(BodyKind::until_close, 0, "hello\r\n"), (Trace{"hello\r\n", 7, false, false}));
    EXPECT_TRUE(BodyTracker(BodyKind::until_close, 0).may_end_by_close());
    EXPECT_FALSE(BodyTracker(BodyKind::chunked, 0).may_end_by_close());
}

TEST(BodyTracker, Chunks)
{
    EXPECT_EQ(chunked("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\nGET"), (Trace{"hello!", 21, true, false}));
    EXPECT_EQ(chunked("0\r\n\r\n"), (Trace{"", 5, true, false}));
    EXPECT_EQ(chunked("000A\r\n0123456789\r\n00\r\n\r\n"), (Trace{"0123456789", 24, true, false}));
    EXPECT_EQ(chunked("a\r\n0123456789\r\n"), (Trace{"0123456789", 15, false, false}));
    EXPECT_EQ(chunked("2\r\n\r\n\r\n0\r\n\r\n"), (Trace{"\r\n", 12, true, false}));
}

TEST(BodyTracker, ExtensionsAndTrailers)
{
    EXPECT_EQ(
        chunked("1;a=b;c=\"d e\"\r\nx\r\n0;last\r\nX-Sum: 1\r\nY:\tz\r\n\r\nGET"),
        (Trace{"x", 44, true, false}));
}

TEST(BodyTracker, RefusesWhatCouldBeReadInTwoWays)
{
    const std::string digits(BodyTracker::kChunkSizeDigitsMax, '0');
    for (const std::string& bytes : std::vector<std::string>{
             "\r\n",
             "\r\n5\r\nhello\r\n",
             "5\nhello\r\n",
             "5\r\nhello\n",
             "5\r\nhello\r0",
             "5\r\nhelloX",
             "5\r\nhello\r\n0\n",
             "5\r\nhello\r\n0\r\n\n",
             "5 \r\n",
             "5\t\r\n",
             " 5\r\n",
             "5 ;a\r\n",
             "+5\r\n",
             "-1\r\n",
             "-5\r\nhello\r\n",
             "0x5\r\n",
             "5h\r\n",
             "g\r\n",
             ";a\r\n",
             "5\r\r\n",
             "5;a\nhello\r\n",
             "5;a\rb",
             std::string("5;\0\r\n", 5),
             "5;\x7F\r\n",
             "FFFFFFFFFFFFFFFF\r\n",
             "10000000000000000\r\n",
             "100000000000000005\r\nhello",
             "8000000000000000\r\n",
             "20000000000\r\n",
             digits + "5\r\n",
             "0\r\n\n",
             "0\r\nX\r\n",
             "0\r\nX :y\r\n",
             "0\r\n folded: x\r\n",
             "0\r\nX: y\r\n z\r\n",
             "0\r\n: y\r\n",
             "0\r\nX: y\n",
             "0\r\nX: y\rz",
             std::string("0\r\nX: \0\r\n", 9),
             "0\r\n\rX"}) {
        const Trace run = chunked(bytes);
        EXPECT_TRUE(run.failed) << bytes;
        EXPECT_FALSE(run.finished) << bytes;
    }
}

TEST(BodyTracker, NothingIsConsumedAfterAFault)
{
    BodyTracker tracker(BodyKind::chunked, 0);
    Trace run;
    feed(tracker, "x5\r\nhello\r\n", run);
    EXPECT_EQ(run.consumed, 1U);
    feed(tracker, "5\r\nhello\r\n", run);
    EXPECT_EQ(run.consumed, 1U);
    EXPECT_TRUE(run.payload.empty());
    EXPECT_FALSE(tracker.may_end_by_close());
}

TEST(BodyTracker, SizesUpToTheLimit)
{
    BodyTracker tracker(BodyKind::chunked, 0);
    Trace run;
    feed(tracker, "10000000000\r\nx", run); // exactly kChunkBytesMax
    static_assert(BodyTracker::kChunkBytesMax == 0x10000000000);
    EXPECT_FALSE(tracker.failed());
    EXPECT_EQ(run.payload, "x");
    const std::string padded(BodyTracker::kChunkSizeDigitsMax - 1U, '0');
    EXPECT_FALSE(chunked(padded + "1\r\nx\r\n").failed);
}

TEST(BodyTracker, LimitsExtensionsPerChunk)
{
    const std::string most(BodyTracker::kChunkExtensionBytesMax, 'e');
    const std::string chunk = "1;" + most + "\r\nx\r\n";
    EXPECT_FALSE(chunked(chunk + chunk).failed);
    EXPECT_TRUE(chunked("1;" + most + "e").failed);
}

TEST(BodyTracker, LimitsTrailers)
{
    const std::string line =
        "X: " + std::string(95, 'y') + "\r\n"; // 99 bytes count, the LF does not
    std::string trailers;
    while (trailers.size() / 100 < BodyTracker::kTrailerBytesMax / 99)
        trailers += line;
    EXPECT_EQ(trailers.size() / 100, 82U);
    BodyTracker fits(BodyKind::chunked, 0);
    Trace run;
    feed(fits, "0\r\n" + trailers + "\r\n", run);
    EXPECT_TRUE(fits.finished());
    BodyTracker too_many(BodyKind::chunked, 0);
    feed(too_many, "0\r\n" + trailers + line, run);
    EXPECT_TRUE(too_many.failed());
}

} // namespace
} // namespace shared::http
