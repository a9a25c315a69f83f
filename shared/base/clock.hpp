/// The one place that reads the clocks. Everything else takes the time as an argument.
#pragma once

#include "shared/base/units.hpp"

#include <chrono>
#include <cstdint>
#include <ctime>

namespace shared {

/// Wall-clock time.
[[nodiscard]] inline UnixMillis now_unix() noexcept
{
    timespec t{};
    clock_gettime(CLOCK_REALTIME, &t);
    return {std::int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000};
}

/// Monotonic time in microseconds; comparable between the processes of one machine.
[[nodiscard]] inline std::int64_t now_monotonic_us() noexcept
{
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return std::int64_t{t.tv_sec} * 1'000'000 + t.tv_nsec / 1000;
}

} // namespace shared
