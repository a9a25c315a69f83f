/// Strong types for the quantities that cross process boundaries.
///
/// Each is a trivially copyable aggregate of one integer: it can live in the shared segment, cannot
/// be mixed up with its neighbours, and costs nothing.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace shared {

/// A point in time, milliseconds since the Unix epoch, UTC. Zero means "never" or "unknown".
struct UnixMillis {
    std::int64_t value = 0;

    [[nodiscard]] constexpr bool is_set() const noexcept { return value != 0; }

    [[nodiscard]] constexpr UnixMillis plus(std::chrono::milliseconds d) const noexcept
    {
        return {value + d.count()};
    }

    /// Time from `earlier` to this point; negative if it lies before.
    [[nodiscard]] constexpr std::chrono::milliseconds since(UnixMillis earlier) const noexcept
    {
        return std::chrono::milliseconds(value - earlier.value);
    }

    friend constexpr auto operator<=>(UnixMillis, UnixMillis) = default;
};

/// Share of a quota window that is used up, in basis points: 0 = unused, 10000 = exhausted.
/// Integers, because vendors send "63" and "63.4" and both must compare exactly.
struct UsedShare {
    static constexpr std::uint16_t kUnknown = 0xFFFF;
    static constexpr std::uint16_t kFull = 10000;
    std::uint16_t basis_points = kUnknown;

    [[nodiscard]] constexpr bool is_known() const noexcept { return basis_points != kUnknown; }

    [[nodiscard]] constexpr bool is_full() const noexcept
    {
        return is_known() && basis_points >= kFull;
    }

    /// 0.0 to 1.0; 0.0 when unknown.
    [[nodiscard]] constexpr double fraction() const noexcept
    {
        return is_known() ? basis_points / 10000.0 : 0.0;
    }

    /// From 0.0 to 1.0, clamped; a NaN is unknown.
    [[nodiscard]] static constexpr UsedShare from_fraction(double share) noexcept
    {
        if (share != share) return {};
        if (share <= 0.0) return {0};
        if (share >= 1.0) return {kFull};
        return {static_cast<std::uint16_t>(share * 10000.0 + 0.5)};
    }

    friend constexpr auto operator<=>(UsedShare, UsedShare) = default;
};

/// LLM tokens (not credentials; those are `Secret`).
struct TokenCount {
    std::int64_t value = 0;

    friend constexpr auto operator<=>(TokenCount, TokenCount) = default;
};

/// Index of an account in the segment. Stable while the supervisor lives and never given to another
/// account in that time, so that a stale pin cannot reach somebody else's account.
struct AccountSlot {
    static constexpr std::uint16_t kNone = 0xFFFF;
    std::uint16_t value = kNone;

    [[nodiscard]] constexpr bool is_set() const noexcept { return value != kNone; }

    friend constexpr auto operator<=>(AccountSlot, AccountSlot) = default;
};

} // namespace shared
