#include "shared/providers/codex.hpp"
#include "shared/providers/reset_time.hpp"
#include "shared/providers/verdicts.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>

namespace shared::providers::codex {
namespace {

constexpr std::uint32_t kFiveHours = 18'000;
constexpr std::uint32_t kWeek = 604'800;
constexpr std::int64_t kDaySeconds = 86'400;

/// Lengths are stated with some slack; the two known ones get one number each.
std::uint32_t identify(std::int64_t seconds) noexcept
{
    if (seconds >= 240 * 60 && seconds <= 360 * 60) return kFiveHours;
    if (seconds >= 6 * kDaySeconds && seconds <= 8 * kDaySeconds) return kWeek;
    constexpr std::int64_t kLongest = 400 * kDaySeconds;
    return seconds > 0 && seconds <= kLongest ? static_cast<std::uint32_t>(seconds) : 0;
}

void add_window(const SentWindow& sent, std::uint32_t seconds, QuotaUpdate& update)
{
    if (seconds == 0 || !sent.percent || !std::isfinite(*sent.percent)) return;
    if (*sent.percent < 0) return; // no share of anything
    update.add(
        {.seconds = seconds,
         .used = UsedShare::from_fraction(*sent.percent / 100.0),
         .resets_at = sent.resets_at});
}

std::optional<double> to_double(std::string_view text) noexcept
{
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value))
        return std::nullopt; // from_chars reads "nan" and "inf" too
    return value;
}

std::optional<bool> to_bool(std::string_view text) noexcept
{
    if (http::iequals(text, "true") || text == "1") return true;
    if (http::iequals(text, "false") || text == "0") return false;
    return std::nullopt;
}

SentWindow window_in_head(const http::Fields& fields, std::string_view slot, UnixMillis now)
{
    const auto field = [&fields, slot](std::string_view what) {
        std::string name = "x-codex-";
        name += slot;
        name += what;
        return fields.find(name);
    };
    SentWindow window;
    window.percent = to_double(field("-used-percent"));
    if (!window.percent) return window;
    if (const auto minutes = to_double(field("-window-minutes")))
        window.seconds = seconds_of_minutes(*minutes);
    if (const auto point = parse_reset_point(field("-reset-at")))
        window.resets_at = *point;
    else
        window.resets_at = after_seconds(field("-reset-after-seconds"), now);
    return window;
}

} // namespace

std::int64_t seconds_of_minutes(double minutes) noexcept
{
    constexpr double kLargest = 1e9;
    return std::isfinite(minutes)
               ? static_cast<std::int64_t>(std::clamp(minutes, 0.0, kLargest) * 60)
               : 0;
}

// Windows are known by their length, never by slot: the weekly one has been seen in the primary slot. Without any
// length two windows are taken by position and a single one is not believed.
void add_windows(const SentWindow& primary, const SentWindow& secondary, QuotaUpdate& update)
{
    if (!primary.seconds && !secondary.seconds) {
        if (!primary.percent || !secondary.percent) return;
        add_window(primary, kFiveHours, update);
        add_window(secondary, kWeek, update);
        return;
    }
    if (primary.seconds) add_window(primary, identify(*primary.seconds), update);
    if (secondary.seconds) add_window(secondary, identify(*secondary.seconds), update);
}

UnixMillis after_seconds(std::string_view text, UnixMillis now) noexcept
{
    const auto wait = parse_seconds(text);
    return wait ? after(now, *wait).value_or(UnixMillis{}) : UnixMillis{};
}

// Source: openai/codex codex-rs/codex-api/src/rate_limits.rs and measured answers; reset-after-seconds was sent by
// earlier servers.
QuotaUpdate
CodexProvider::quota_from_headers(const http::ResponseHead& response, UnixMillis now) const
{
    QuotaUpdate update;
    const bool any =
        std::any_of(response.fields.list.begin(), response.fields.list.end(), [](const auto& f) {
            return starts_with_any_case(f.name, "x-codex-");
        });
    if (!any) return update;
    add_windows(
        window_in_head(response.fields, "primary", now),
        window_in_head(response.fields, "secondary", now),
        update);
    update.has_credits = to_bool(response.fields.find("x-codex-credits-has-credits"));
    update.unlimited = to_bool(response.fields.find("x-codex-credits-unlimited"));
    update.credits_balance = to_double(response.fields.find("x-codex-credits-balance"));
    return update;
}

bool CodexProvider::is_quota_header(std::string_view name) const noexcept
{
    constexpr std::string_view kCodex = "x-codex-";
    if (starts_with_any_case(name, "x-ratelimit-")) return true;
    if (!starts_with_any_case(name, kCodex)) return false;
    // "x-codex-primary-…", also of further limits: "x-codex-other-primary-…". Not x-codex-turn-state.
    const std::string_view rest = name.substr(kCodex.size() - 1);
    return contains_any_case(rest, "-primary-") || contains_any_case(rest, "-secondary-") ||
           starts_with_any_case(rest, "-credits-") || contains_any_case(rest, "-limit-name") ||
           http::iequals(rest, "-active-limit") || http::iequals(rest, "-plan-type") ||
           http::iequals(rest, "-rate-limit-reached-type");
}

void CodexProvider::append_pool_quota(
    const PoolSummary& pool, UnixMillis /*now*/, std::string& head) const
{
    const auto append = [&head](std::string_view slot, const PoolSummary::Window& window) {
        if (!window.used.is_known()) return;
        const std::string prefix = "X-Codex-" + std::string(slot);
        const unsigned hundredths = window.used.basis_points;
        const unsigned fraction = hundredths % 100;
        head += prefix + "-Used-Percent: " + std::to_string(hundredths / 100);
        if (fraction != 0) {
            head += fraction < 10 ? ".0" : ".";
            head += std::to_string(fraction);
        }
        head +=
            "\r\n" + prefix + "-Window-Minutes: " + std::to_string(window.seconds / 60) + "\r\n";
        if (window.resets_at.is_set())
            head += prefix + "-Reset-At: " + std::to_string(window.resets_at.value / 1000) + "\r\n";
    };
    append("Primary", pool.short_window);
    append("Secondary", pool.long_window);
}

} // namespace shared::providers::codex
