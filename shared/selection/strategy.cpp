#include "shared/selection/strategy.hpp"

namespace shared {

std::string_view to_string(Strategy strategy) noexcept
{
    switch (strategy) {
    case Strategy::balanced:
        return "balanced";
    case Strategy::reset_soonest:
        return "reset_soonest";
    case Strategy::fill_first:
        return "fill_first";
    case Strategy::round_robin:
        return "round_robin";
    case Strategy::least_used:
        return "least_used";
    }
    return "unknown";
}

std::optional<Strategy> parse_strategy(std::string_view name) noexcept
{
    for (const Strategy strategy : kStrategies) {
        if (to_string(strategy) == name) return strategy;
    }
    return std::nullopt;
}

} // namespace shared
