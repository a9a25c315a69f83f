#include "shared/segment/event_text.hpp"

#include "shared/base/read_file.hpp"
#include "shared/base/time_text.hpp"

#include <fmt/format.h>

namespace shared {
namespace {

std::string or_dash(std::string_view text)
{
    return text.empty() ? "-" : printable(text);
}

std::string time_json(UnixMillis at)
{
    return at.is_set() ? '"' + iso_time(at) + '"' : "null";
}

std::string string_or_null(std::string_view text)
{
    return text.empty() ? "null" : json_string(text);
}

} // namespace

std::string_view severity(EventType type) noexcept
{
    switch (type) {
    case EventType::needs_login:
    case EventType::pool_empty:
        return "error";
    case EventType::account_failing:
    case EventType::pool_low:
    case EventType::forecast_empty_before_reset:
        return "warn";
    case EventType::none:
    case EventType::recovered:
        break;
    }
    return "info";
}

std::string event_log_line(const Event& event)
{
    std::string line = fmt::format(
        "event={} provider={} account={}",
        to_string(event.type),
        or_dash(event.provider.view()),
        or_dash(event.account.view()));
    if (event.was != EventType::none) line += fmt::format(" was={}", to_string(event.was));
    if (!event.reason.empty()) line += " reason=" + printable(event.reason.view());
    if (event.until.is_set()) line += " until=" + iso_time(event.until);
    return line + " text=\"" + printable(event.text.view()) + '"';
}

std::string event_line(const Event& event)
{
    return fmt::format(
        "{} {} {}: {}",
        iso_time(event.at),
        severity(event.type),
        to_string(event.type),
        printable(event.text.view()));
}

std::string json_string(std::string_view text)
{
    std::string out = "\"";
    // printable() leaves neither control characters nor bytes that are no UTF-8.
    for (const char c : printable(text)) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

std::string event_json(const Event& event)
{
    return fmt::format(
        R"({{"sequence":{},"at":{},"event":"{}","severity":"{}","provider":{},"account":{},)"
        R"("was":{},"reason":{},"until":{},"text":{}}})",
        event.sequence,
        time_json(event.at),
        to_string(event.type),
        severity(event.type),
        string_or_null(event.provider.view()),
        string_or_null(event.account.view()),
        event.was == EventType::none ? "null" : json_string(to_string(event.was)),
        string_or_null(event.reason.view()),
        time_json(event.until),
        json_string(event.text.view()));
}

} // namespace shared
