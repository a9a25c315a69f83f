#include "shared/base/time_text.hpp"

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

} // namespace shared
