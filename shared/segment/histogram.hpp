/// How long requests took, in fixed buckets. Part of a worker's counters: only that worker adds, anybody reads.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace shared {

inline constexpr std::size_t kHistogramBounds = 13;

/// Upper bounds of the buckets in microseconds, ascending; beyond the last is one bucket more.
using HistogramBounds = std::array<std::uint64_t, kHistogramBounds>;

/// Of whole answers and of their first byte: 50 ms to 10 min.
inline constexpr HistogramBounds kAnswerBoundsUs{
    50'000,
    100'000,
    250'000,
    500'000,
    1'000'000,
    2'500'000,
    5'000'000,
    10'000'000,
    30'000'000,
    60'000'000,
    120'000'000,
    300'000'000,
    600'000'000};

/// Of what the pool itself adds: 50 us to 1 s.
inline constexpr HistogramBounds kOwnBoundsUs{
    50, 100, 250, 500, 1'000, 2'500, 5'000, 10'000, 25'000, 50'000, 100'000, 250'000, 1'000'000};

struct Histogram {
    std::array<std::atomic<std::uint64_t>, kHistogramBounds + 1> counts{};
    std::atomic<std::uint64_t> sum_us{0};

    /// Two relaxed additions. A reader may see the one without the other.
    void observe(const HistogramBounds& bounds, std::uint64_t us) noexcept
    {
        std::size_t bucket = 0;
        while (bucket < bounds.size() && us > bounds[bucket])
            ++bucket;
        counts[bucket].fetch_add(1, std::memory_order_relaxed);
        sum_us.fetch_add(us, std::memory_order_relaxed);
    }
};

} // namespace shared
