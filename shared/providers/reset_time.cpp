#include "shared/providers/reset_time.hpp"

#include "shared/base/trim.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>

namespace shared::providers {

namespace {

using std::chrono::milliseconds;
using std::chrono::sys_days;
using std::chrono::year_month_day;

constexpr std::int64_t kSecondMs = 1000;
constexpr std::int64_t kMinuteMs = 60 * kSecondMs;
constexpr std::int64_t kHourMs = 60 * kMinuteMs;
constexpr std::int64_t kDayMs = 24 * kHourMs;
/// Start of the year 10000: no vendor means that.
constexpr std::int64_t kLatestMs = 253402300800000;
/// A number below this is in seconds, from here on in milliseconds (1973 as milliseconds, 5138 as seconds).
constexpr double kMillisecondsFrom = 1e11;

/// A cursor over text; every step says whether it found what it wanted.
struct Cursor {
    std::string_view rest;

    bool take(char c)
    {
        if (rest.empty() || rest.front() != c) return false;
        rest.remove_prefix(1);
        return true;
    }

    bool take(std::string_view word)
    {
        if (rest.substr(0, word.size()) != word) return false;
        rest.remove_prefix(word.size());
        return true;
    }

    /// Exactly `digits` decimal digits.
    bool number(int digits, int& out)
    {
        if (rest.size() < static_cast<std::size_t>(digits)) return false;
        int value = 0;
        for (int i = 0; i < digits; ++i) {
            const char c = rest[static_cast<std::size_t>(i)];
            if (c < '0' || c > '9') return false;
            value = value * 10 + (c - '0');
        }
        rest.remove_prefix(static_cast<std::size_t>(digits));
        out = value;
        return true;
    }
};

struct CivilTime {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

std::optional<std::int64_t> to_millis(const CivilTime& t)
{
    const year_month_day date{
        std::chrono::year(t.year),
        std::chrono::month(static_cast<unsigned>(t.month)),
        std::chrono::day(static_cast<unsigned>(t.day))};
    if (!date.ok() || t.hour > 23 || t.minute > 59 || t.second > 60) return std::nullopt;
    const std::int64_t days = sys_days(date).time_since_epoch().count();
    return days * kDayMs + t.hour * kHourMs + t.minute * kMinuteMs + t.second * kSecondMs;
}

std::optional<UnixMillis> positive(std::int64_t millis)
{
    if (millis <= 0 || millis >= kLatestMs) return std::nullopt;
    return UnixMillis{millis};
}

/// "08:49:37"
bool clock_time(Cursor& at, CivilTime& t)
{
    return at.number(2, t.hour) && at.take(':') && at.number(2, t.minute) && at.take(':') &&
           at.number(2, t.second);
}

bool month_name(Cursor& at, int& month)
{
    static constexpr std::array<std::string_view, 12> kMonths = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    for (std::size_t i = 0; i < kMonths.size(); ++i) {
        if (!at.take(kMonths[i])) continue;
        month = static_cast<int>(i) + 1;
        return true;
    }
    return false;
}

/// An unsigned decimal with an optional fraction, as it begins `at`; at most 15 digits before the point.
std::optional<double> decimal(Cursor& at)
{
    double value = 0;
    int digits = 0;
    while (!at.rest.empty() && at.rest.front() >= '0' && at.rest.front() <= '9') {
        if (++digits > 15) return std::nullopt;
        value = value * 10 + (at.rest.front() - '0');
        at.rest.remove_prefix(1);
    }
    if (at.take('.')) {
        double scale = 0.1;
        while (!at.rest.empty() && at.rest.front() >= '0' && at.rest.front() <= '9') {
            value += scale * (at.rest.front() - '0');
            scale /= 10;
            ++digits;
            at.rest.remove_prefix(1);
        }
    }
    if (digits == 0) return std::nullopt;
    return value;
}

/// Up to the millisecond: a wait that is cut short would be refused again.
milliseconds round_up(double millis)
{
    return milliseconds(static_cast<std::int64_t>(std::ceil(millis - 1e-6)));
}

/// 2 a.m. local on the n-th Sunday of a month, as UTC, given the offset in force before.
std::int64_t sunday_switch(std::chrono::year year, unsigned month, unsigned nth, int offset_hours)
{
    const sys_days sunday(
        year / std::chrono::month(month) / std::chrono::weekday_indexed(std::chrono::Sunday, nth));
    return sunday.time_since_epoch().count() * kDayMs + 2 * kHourMs - offset_hours * kHourMs;
}

/// Pacific time's offset from UTC at a point, in milliseconds.
std::int64_t pacific_offset(std::int64_t millis)
{
    constexpr int kStandardHours = -8;
    constexpr int kDaylightHours = -7;
    const auto days = std::chrono::floor<std::chrono::days>(
        std::chrono::sys_time<milliseconds>(milliseconds(millis + kStandardHours * kHourMs)));
    const std::chrono::year year = year_month_day(days).year();
    // Second Sunday of March to first Sunday of November (Energy Policy Act of 2005).
    const std::int64_t begin = sunday_switch(year, 3, 2, kStandardHours);
    const std::int64_t end = sunday_switch(year, 11, 1, kDaylightHours);
    return (millis >= begin && millis < end ? kDaylightHours : kStandardHours) * kHourMs;
}

} // namespace

std::optional<UnixMillis> parse_rfc3339(std::string_view text) noexcept
{
    Cursor at{trimmed(text)};
    CivilTime t;
    if (!at.number(4, t.year) || !at.take('-') || !at.number(2, t.month) || !at.take('-') ||
        !at.number(2, t.day))
        return std::nullopt;
    if (!at.take('T') && !at.take('t') && !at.take(' ')) return std::nullopt;
    if (!clock_time(at, t)) return std::nullopt;

    std::int64_t fraction_ms = 0;
    if (at.take('.')) {
        std::int64_t scale = 100;
        if (at.rest.empty() || at.rest.front() < '0' || at.rest.front() > '9') return std::nullopt;
        while (!at.rest.empty() && at.rest.front() >= '0' && at.rest.front() <= '9') {
            fraction_ms += scale * (at.rest.front() - '0');
            scale /= 10;
            at.rest.remove_prefix(1);
        }
    }
    std::int64_t offset_ms = 0;
    if (!at.take('Z') && !at.take('z')) {
        const bool west = at.take('-');
        if (!west && !at.take('+')) return std::nullopt;
        int hours = 0;
        int minutes = 0;
        if (!at.number(2, hours) || !at.take(':') || !at.number(2, minutes)) return std::nullopt;
        if (hours > 23 || minutes > 59) return std::nullopt;
        offset_ms = (west ? -1 : 1) * (hours * kHourMs + minutes * kMinuteMs);
    }
    if (!at.rest.empty()) return std::nullopt;
    const auto millis = to_millis(t);
    if (!millis) return std::nullopt;
    return positive(*millis + fraction_ms - offset_ms);
}

std::optional<UnixMillis> parse_http_date(std::string_view text) noexcept
{
    Cursor at{trimmed(text)};
    CivilTime t;
    const std::size_t comma = at.rest.find(',');
    if (comma != std::string_view::npos) {
        at.rest.remove_prefix(comma + 1);
        if (!at.take(' ') || !at.number(2, t.day)) return std::nullopt;
        const bool rfc850 = at.take('-');
        if (!rfc850 && !at.take(' ')) return std::nullopt;
        if (!month_name(at, t.month)) return std::nullopt;
        if (rfc850) {
            if (!at.take('-') || !at.number(2, t.year)) return std::nullopt;
            t.year += t.year < 70 ? 2000 : 1900;
        } else if (!at.take(' ') || !at.number(4, t.year)) {
            return std::nullopt;
        }
        if (!at.take(' ') || !clock_time(at, t) || !at.take(" GMT")) return std::nullopt;
    } else {
        // asctime: "Sun Nov  6 08:49:37 1994"
        if (at.rest.size() < 4) return std::nullopt;
        at.rest.remove_prefix(4);
        if (!month_name(at, t.month) || !at.take(' ')) return std::nullopt;
        if (at.take(' ') ? !at.number(1, t.day) : !at.number(2, t.day)) return std::nullopt;
        if (!at.take(' ') || !clock_time(at, t) || !at.take(' ') || !at.number(4, t.year))
            return std::nullopt;
    }
    if (!at.rest.empty()) return std::nullopt;
    const auto millis = to_millis(t);
    if (!millis) return std::nullopt;
    return positive(*millis);
}

std::optional<milliseconds> parse_duration(std::string_view text) noexcept
{
    Cursor at{trimmed(text)};
    if (at.rest.empty()) return std::nullopt;
    double total = 0;
    while (!at.rest.empty()) {
        const auto number = decimal(at);
        if (!number) return std::nullopt;
        if (at.take("ms"))
            total += *number;
        else if (at.take('d'))
            total += *number * kDayMs;
        else if (at.take('h'))
            total += *number * kHourMs;
        else if (at.take('m'))
            total += *number * kMinuteMs;
        else if (at.take('s'))
            total += *number * kSecondMs;
        else if (at.take("us") || at.take("\xC2\xB5s"))
            total += *number / 1e3;
        else if (at.take("ns"))
            total += *number / 1e6;
        else
            return std::nullopt;
        if (total >= static_cast<double>(kLatestMs)) return std::nullopt;
    }
    return round_up(total);
}

std::optional<milliseconds> parse_seconds(std::string_view text) noexcept
{
    Cursor at{trimmed(text)};
    const auto number = decimal(at);
    if (!number || !at.rest.empty() || *number * kSecondMs >= static_cast<double>(kLatestMs))
        return std::nullopt;
    return round_up(*number * kSecondMs);
}

std::optional<UnixMillis> parse_reset_point(std::string_view text) noexcept
{
    Cursor at{trimmed(text)};
    const auto number = decimal(at);
    if (!number || !at.rest.empty()) return parse_rfc3339(text);
    const double millis = *number < kMillisecondsFrom ? *number * kSecondMs : *number;
    if (millis >= static_cast<double>(kLatestMs)) return std::nullopt;
    return positive(static_cast<std::int64_t>(millis));
}

std::optional<UnixMillis> parse_future_reset(std::string_view text, UnixMillis now) noexcept
{
    const auto point = parse_reset_point(text);
    if (!point || *point <= now || point->since(now) > kResetHorizonMax) return std::nullopt;
    return point;
}

std::optional<UnixMillis> parse_retry_after(std::string_view text, UnixMillis now) noexcept
{
    if (const auto wait = parse_seconds(text)) return after(now, *wait);
    const auto date = parse_http_date(text);
    if (!date) return std::nullopt;
    if (*date <= now) return now;
    return after(now, date->since(now));
}

std::optional<UnixMillis> after(UnixMillis now, milliseconds wait) noexcept
{
    if (wait < milliseconds(0) || wait > kResetHorizonMax) return std::nullopt;
    return now.plus(wait);
}

UnixMillis next_midnight_pacific(UnixMillis now) noexcept
{
    const std::int64_t local = now.value + pacific_offset(now.value);
    const std::int64_t next_local_midnight = (local / kDayMs + 1) * kDayMs;
    // The switches are at 2 a.m., so midnight has the offset of the standard-time guess or one hour less;
    // asking at the guess and once more at the result settles which.
    const std::int64_t guess = next_local_midnight + 8 * kHourMs;
    const std::int64_t first = next_local_midnight - pacific_offset(guess);
    return {next_local_midnight - pacific_offset(first)};
}

std::string format_rfc3339(UnixMillis point)
{
    const std::chrono::sys_time<milliseconds> time{milliseconds(point.value)};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const year_month_day date{day};
    const std::chrono::hh_mm_ss clock{time - day};
    std::array<char, 32> text{};
    const int length = std::snprintf(
        text.data(),
        text.size(),
        "%04d-%02u-%02uT%02d:%02d:%02dZ",
        static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()),
        static_cast<unsigned>(date.day()),
        static_cast<int>(clock.hours().count()),
        static_cast<int>(clock.minutes().count()),
        static_cast<int>(clock.seconds().count()));
    return {text.data(), static_cast<std::size_t>(std::max(length, 0))};
}

} // namespace shared::providers
