#include "shared/base/time_text.hpp"

#include <algorithm>
#include <array>
#include <ctime>

namespace shared {

std::string iso_time(UnixMillis at)
{
    if (!at.is_set()) return {};
    const std::time_t seconds = at.value / 1000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return {text.data(), size};
}

UnixMillis parse_iso_time(std::string_view text)
{
    std::tm parts{};
    const std::string copy(text);
    const char* end = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (end == nullptr || *end != '\0') return {};
    return {std::int64_t{::timegm(&parts)} * 1000};
}

std::string duration_text(std::int64_t seconds)
{
    if (seconds < 60) return std::to_string(std::max<std::int64_t>(0, seconds)) + " s";
    const std::int64_t minutes = seconds / 60;
    if (minutes < 60) return std::to_string(minutes) + " min";
    const std::int64_t hours = minutes / 60;
    if (hours < 24) {
        std::string text = std::to_string(hours) + " h";
        if (minutes % 60 != 0) text += ' ' + std::to_string(minutes % 60) + " min";
        return text;
    }
    std::string text = std::to_string(hours / 24) + " d";
    if (hours % 24 != 0) text += ' ' + std::to_string(hours % 24) + " h";
    return text;
}

std::string relative_time(UnixMillis at, UnixMillis now)
{
    if (!at.is_set()) return "never";
    const std::int64_t seconds = (at.value - now.value) / 1000;
    if (seconds > 0) return "in " + duration_text(seconds);
    if (seconds == 0) return "now";
    return duration_text(-seconds) + " ago";
}

} // namespace shared
