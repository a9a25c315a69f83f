/// What the choice of an account prefers. All strategies are one pure function with different terms (score.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace shared {

enum class Strategy : std::uint8_t {
    balanced,      ///< most room left over both windows by plan, sooner lost first
    reset_soonest, ///< whose window is reset first
    fill_first,    ///< one account after the other, in their order in the pool
    round_robin,   ///< in turn
    least_used,    ///< smallest used share, whatever the plan and the resets
};

inline constexpr std::array kStrategies{
    Strategy::balanced,
    Strategy::reset_soonest,
    Strategy::fill_first,
    Strategy::round_robin,
    Strategy::least_used};

[[nodiscard]] std::string_view to_string(Strategy strategy) noexcept;
[[nodiscard]] std::optional<Strategy> parse_strategy(std::string_view name) noexcept;

} // namespace shared
