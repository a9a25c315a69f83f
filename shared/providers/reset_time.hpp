/// The many spellings of "when" in vendors' answers, turned into points in time.
///
/// Every function is pure, takes text from the network, and answers nothing rather than something invented: garbage,
/// overflow and points further away than kResetHorizonMax are absent.
#pragma once

#include "shared/base/units.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace shared::providers {

/// A reset further away than this is an error of the sender (the longest real window is a month).
inline constexpr std::chrono::milliseconds kResetHorizonMax = std::chrono::hours(24 * 32);

/// "2026-01-02T03:04:05Z", with fraction and offset ("…05.123+02:00"), 't', 'z' and a space for 'T' accepted.
[[nodiscard]] std::optional<UnixMillis> parse_rfc3339(std::string_view text) noexcept;

/// "Sun, 06 Nov 1994 08:49:37 GMT", and the two obsolete forms of RFC 9110 5.6.7.
[[nodiscard]] std::optional<UnixMillis> parse_http_date(std::string_view text) noexcept;

/// "12.5s", "1h2m", "250ms", "1d2h", "34.074824224s"; a bare number is not a duration.
[[nodiscard]] std::optional<std::chrono::milliseconds>
parse_duration(std::string_view text) noexcept;

/// Digits in seconds ("12", "0.5"), nothing else; rounded up to the millisecond.
[[nodiscard]] std::optional<std::chrono::milliseconds>
parse_seconds(std::string_view text) noexcept;

/// A point in time as unix seconds, unix milliseconds (by magnitude) or RFC 3339. Not checked against any clock.
[[nodiscard]] std::optional<UnixMillis> parse_reset_point(std::string_view text) noexcept;

/// parse_reset_point(), if that point lies after `now` and within the horizon.
[[nodiscard]] std::optional<UnixMillis>
parse_future_reset(std::string_view text, UnixMillis now) noexcept;

/// Retry-After: seconds (fractions accepted) or an HTTP date; `now` for 0 and dates in the past.
[[nodiscard]] std::optional<UnixMillis>
parse_retry_after(std::string_view text, UnixMillis now) noexcept;

/// `now` + `wait`, unless that is negative or beyond the horizon.
[[nodiscard]] std::optional<UnixMillis>
after(UnixMillis now, std::chrono::milliseconds wait) noexcept;

/// The next midnight in Los Angeles (Pacific time, daylight saving by the rules in force since 2007). Computed
/// here because a bare machine has no time zone database.
[[nodiscard]] UnixMillis next_midnight_pacific(UnixMillis now) noexcept;

/// "2026-01-02T03:04:05Z" (fractions of a second are cut).
[[nodiscard]] std::string format_rfc3339(UnixMillis point);

} // namespace shared::providers
