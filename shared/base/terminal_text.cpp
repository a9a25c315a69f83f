#include "shared/base/terminal_text.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace shared {
namespace {

bool begins_character(char c)
{
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
}

/// The bytes of the first `count` characters.
std::size_t bytes_of(std::string_view text, std::size_t count)
{
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (begins_character(text[i]) && count-- == 0) return i;
    }
    return text.size();
}

} // namespace

std::size_t text_width(std::string_view text)
{
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

std::string fit_text(std::string_view text, std::size_t width, bool right)
{
    if (width == 0) return {};
    const std::size_t columns = text_width(text);
    if (columns > width) return std::string(text.substr(0, bytes_of(text, width - 1))) + "…";
    const std::string blanks(width - columns, ' ');
    return right ? blanks + std::string(text) : std::string(text) + blanks;
}

std::string bar_text(double share, std::size_t width)
{
    constexpr std::array<const char*, 8> kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const auto eighths =
        static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(width) * 8);
    std::string text;
    for (std::size_t i = 0; i < eighths / 8; ++i)
        text += "█";
    return text + kEighths[eighths % 8];
}

std::string short_number(std::int64_t value)
{
    constexpr std::array<std::pair<double, const char*>, 3> kSteps{
        {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}}};
    if (value < 10'000) return std::to_string(value);
    for (const auto& [size, unit] : kSteps) {
        const double scaled = static_cast<double>(value) / size;
        if (scaled >= 1) return fmt::format("{:.{}f} {}", scaled, scaled < 100 ? 1 : 0, unit);
    }
    return std::to_string(value);
}

} // namespace shared
