#include "admin_ui/page_parts.hpp"

#include "admin_ui/pool_view.hpp"

#include <array>
#include <chrono>
#include <utility>

#include <fmt/format.h>

namespace admin_ui {

using shared::UnixMillis;

Html time_element(UnixMillis at, UnixMillis now)
{
    Html html;
    if (!at.is_set()) return html.raw("–");
    html.raw("<time datetime=\"").text(iso_time(at)).raw("\" title=\"").text(iso_time(at));
    return html.raw("\">").text(relative_time(at, now)).raw("</time>");
}

std::string short_time(UnixMillis at, bool with_clock)
{
    constexpr std::array kMonths{
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::chrono::sys_time<std::chrono::milliseconds> point{
        std::chrono::milliseconds(at.value)};
    const auto day = std::chrono::floor<std::chrono::days>(point);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{std::chrono::floor<std::chrono::seconds>(point - day)};
    std::string text = fmt::format(
        "{} {}",
        static_cast<unsigned>(date.day()),
        kMonths[(static_cast<unsigned>(date.month()) + 11) % 12]);
    if (with_clock)
        text += fmt::format(" {:02}:{:02}", clock.hours().count(), clock.minutes().count());
    return text;
}

Html clock_time(UnixMillis at)
{
    constexpr std::int64_t kMinute = 60'000;
    constexpr std::int64_t kSecond = 1000;
    Html html;
    if (!at.is_set()) return html.raw("–");
    html.raw("<time datetime=\"").text(iso_time(at)).raw("\">").text(short_time(at, true));
    html.text(fmt::format(":{:02}", at.value % kMinute / kSecond));
    return html.raw("</time>");
}

Html tile(std::string_view label, std::string_view value, std::string_view note)
{
    Html html;
    html.raw("<div><dt>").text(label).raw("</dt><dd>").text(value);
    if (!note.empty()) html.raw(" <small>").text(note).raw("</small>");
    return html.raw("</dd></div>\n");
}

Html choice_link(std::string_view href, std::string_view label, bool chosen)
{
    Html html;
    html.raw("<a href=\"").text(href);
    if (chosen) {
        html.raw("\" aria-current=\"true\">");
    } else {
        html.raw("\">");
    }
    return html.text(label).raw("</a>");
}

Html hidden_field(std::string_view name, std::string_view value)
{
    Html html;
    if (value.empty()) return html;
    html.raw("<input type=\"hidden\" name=\"").text(name).raw("\" value=\"");
    return html.text(value).raw("\">");
}

std::string grouped_number(std::int64_t value)
{
    constexpr const char* kNarrowSpace = "\u202F";
    std::string digits = std::to_string(value < 0 ? -value : value);
    for (std::size_t at = digits.size(); at > 3;) {
        at -= 3;
        digits.insert(at, kNarrowSpace);
    }
    return value < 0 ? "-" + digits : digits;
}

std::string milliseconds_text(std::int64_t ms)
{
    constexpr std::int64_t kSecond = 1000;
    constexpr std::int64_t kMinute = 60 * kSecond;
    if (ms < kSecond) return fmt::format("{} ms", ms);
    if (ms < kMinute) return fmt::format("{:.1f} s", static_cast<double>(ms) / kSecond);
    return fmt::format("{} min {} s", ms / kMinute, ms % kMinute / kSecond);
}

std::string money_text(double amount, std::string_view currency)
{
    const int digits = amount == 0 || amount >= 0.095 ? 2 : 4;
    if (currency == "USD") return fmt::format("${:.{}f}", amount, digits);
    return fmt::format("{:.{}f} {}", amount, digits, currency);
}

std::string percent_text(std::int64_t part, std::int64_t whole)
{
    if (whole <= 0) return "–";
    return fmt::format("{:.0f} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

} // namespace admin_ui
