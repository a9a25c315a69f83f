#include "shared/providers/reset_time.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace shared::providers {
namespace {

using std::chrono::milliseconds;

constexpr UnixMillis kNow{1'763'805'600'000}; // 2025-11-22T10:00:00Z

TEST(Rfc3339, AllForms)
{
    EXPECT_EQ(parse_rfc3339("2025-11-22T10:00:00Z"), kNow);
    EXPECT_EQ(parse_rfc3339("2025-11-22t10:00:00z"), kNow);
    EXPECT_EQ(parse_rfc3339(" 2025-11-22 10:00:00.000Z "), kNow);
    EXPECT_EQ(parse_rfc3339("2025-11-22T11:30:00+01:30"), kNow);
    EXPECT_EQ(parse_rfc3339("2025-11-22T02:00:00.25-08:00"), kNow.plus(milliseconds(250)));
    EXPECT_EQ(parse_rfc3339("2025-11-22T10:00:00.123456789Z"), kNow.plus(milliseconds(123)));
}

TEST(Rfc3339, RefusesWhatIsNoTime)
{
    for (const char* text :
         {"",
          "2025",
          "2025-11-22",
          "2025-11-22T10:00:00",
          "2025-13-22T10:00:00Z",
          "2025-02-29T10:00:00Z",
          "2025-11-22T24:00:00Z",
          "2025-11-22T10:00:00.Z",
          "2025-11-22T10:00:00+1:00",
          "2025-11-22T10:00:00Zx",
          "soon"})
        EXPECT_FALSE(parse_rfc3339(text)) << text;
}

TEST(HttpDate, ThreeForms)
{
    constexpr UnixMillis kExample{784'111'777'000};
    EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), kExample);
    EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), kExample);
    EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), kExample);
    EXPECT_FALSE(parse_http_date("Sun, 06 Foo 1994 08:49:37 GMT"));
    EXPECT_FALSE(parse_http_date("Sun, 06 Nov 1994 08:49:37 CET"));
    EXPECT_FALSE(parse_http_date(""));
    EXPECT_FALSE(parse_http_date(","));
}

TEST(Duration, Units)
{
    EXPECT_EQ(parse_duration("12.5s"), milliseconds(12'500));
    EXPECT_EQ(parse_duration("1h2m"), milliseconds(3'720'000));
    EXPECT_EQ(parse_duration("250ms"), milliseconds(250));
    EXPECT_EQ(parse_duration("34.074824224s"), milliseconds(34'075));
    EXPECT_EQ(parse_duration("1d"), milliseconds(86'400'000));
    EXPECT_EQ(parse_duration("13h46m52.123s"), milliseconds(49'612'123));
    EXPECT_EQ(parse_duration("500us"), milliseconds(1));
    for (const char* text : {"", "s", "12", "1x", "-5s", "1h2", "99999999999999999999s", "1e3s"})
        EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(ResetPoint, TellsSecondsFromMilliseconds)
{
    EXPECT_EQ(parse_reset_point("1763805600"), kNow);
    EXPECT_EQ(parse_reset_point("1763805600000"), kNow);
    EXPECT_EQ(parse_reset_point("1763805600.5"), kNow.plus(milliseconds(500)));
    EXPECT_EQ(parse_reset_point("2025-11-22T10:00:00Z"), kNow);
    EXPECT_FALSE(parse_reset_point("0"));
    EXPECT_FALSE(parse_reset_point("-1"));
    EXPECT_FALSE(parse_reset_point("99999999999999999"));
    EXPECT_FALSE(parse_reset_point("null"));
}

TEST(ResetPoint, FutureOnlyAndWithinTheHorizon)
{
    EXPECT_TRUE(parse_future_reset("1763805601", kNow));
    EXPECT_FALSE(parse_future_reset("1763805600", kNow));
    EXPECT_FALSE(parse_future_reset("1763805599", kNow));
    const std::int64_t edge = kNow.value + kResetHorizonMax.count();
    EXPECT_TRUE(parse_future_reset(std::to_string(edge), kNow));
    EXPECT_FALSE(parse_future_reset(std::to_string(edge + 1), kNow));
}

TEST(RetryAfter, SecondsAndDates)
{
    EXPECT_EQ(parse_retry_after("2", kNow), kNow.plus(milliseconds(2000)));
    EXPECT_EQ(parse_retry_after(" 0.5 ", kNow), kNow.plus(milliseconds(500)));
    EXPECT_EQ(parse_retry_after("0", kNow), kNow);
    EXPECT_EQ(
        parse_retry_after("Sat, 22 Nov 2025 10:00:30 GMT", kNow), kNow.plus(milliseconds(30'000)));
    EXPECT_EQ(parse_retry_after("Sat, 22 Nov 2025 09:00:00 GMT", kNow), kNow);
    for (const char* text : {"", "-1", "soon", "999999999", "99999999999999999999"})
        EXPECT_FALSE(parse_retry_after(text, kNow)) << text;
}

TEST(PacificMidnight, StandardAndDaylightTime)
{
    const auto next = [](const char* now) { return next_midnight_pacific(*parse_rfc3339(now)); };
    const auto at = [](const char* text) { return *parse_rfc3339(text); };
    EXPECT_EQ(next("2025-11-22T10:00:00Z"), at("2025-11-23T08:00:00Z"));
    EXPECT_EQ(next("2025-11-22T07:59:59.999Z"), at("2025-11-22T08:00:00Z"));
    EXPECT_EQ(next("2025-11-22T08:00:00Z"), at("2025-11-23T08:00:00Z"));
    EXPECT_EQ(next("2025-07-04T12:00:00Z"), at("2025-07-05T07:00:00Z"));
    // Spring forward on 2025-03-09: that day has 23 hours.
    EXPECT_EQ(next("2025-03-09T07:30:00Z"), at("2025-03-09T08:00:00Z"));
    EXPECT_EQ(next("2025-03-09T08:30:00Z"), at("2025-03-10T07:00:00Z"));
    EXPECT_EQ(next("2025-03-09T11:00:00Z"), at("2025-03-10T07:00:00Z"));
    // Fall back on 2025-11-02: that day has 25 hours.
    EXPECT_EQ(next("2025-11-02T06:59:00Z"), at("2025-11-02T07:00:00Z"));
    EXPECT_EQ(next("2025-11-02T07:30:00Z"), at("2025-11-03T08:00:00Z"));
    EXPECT_EQ(next("2025-11-02T09:30:00Z"), at("2025-11-03T08:00:00Z"));
    // Turn of the year.
    EXPECT_EQ(next("2026-01-01T07:00:00Z"), at("2026-01-01T08:00:00Z"));
    EXPECT_EQ(next("2026-01-01T08:00:00Z"), at("2026-01-02T08:00:00Z"));
}

} // namespace
} // namespace shared::providers
