/// Points in time as text.
#pragma once

#include "shared/base/units.hpp"

#include <string>

namespace shared {

/// "2026-11-22T10:00:00Z"; empty if unset.
[[nodiscard]] std::string iso_time(UnixMillis at);

} // namespace shared
