/// Points in time and lengths of time as text.
#pragma once

#include "shared/base/units.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace shared {

/// "2026-11-22T10:00:00Z"; empty if unset.
[[nodiscard]] std::string iso_time(UnixMillis at);
/// What iso_time() wrote; unset if it is anything else.
[[nodiscard]] UnixMillis parse_iso_time(std::string_view text);

/// "1 d 4 h", "12 min", "8 s"
[[nodiscard]] std::string duration_text(std::int64_t seconds);
/// "in 2 h 5 min", "3 min ago", "never".
[[nodiscard]] std::string relative_time(UnixMillis at, UnixMillis now);

} // namespace shared
