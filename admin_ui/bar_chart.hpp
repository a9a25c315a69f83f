/// Stacked bars over time as inline SVG: drawn here, so that it is there without scripts and nothing moves when they
/// come. Colours are classes s0 to s7 of the style sheet.
#pragma once

#include "admin_ui/html.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace admin_ui {

/// More are drawn in the colour of the last.
inline constexpr std::size_t kChartColours = 8;

struct ChartColumn {
    std::string time;           ///< what the axis says below it
    std::vector<double> values; ///< per series, from the bottom up
};

struct Chart {
    std::string what; ///< for those who cannot see it: "Tokens per day"
    std::vector<std::string> series;
    std::vector<ChartColumn> columns;
    std::function<std::string(double)> format; ///< a value in words
};

[[nodiscard]] Html chart_part(const Chart& chart);

/// The next number with a short name (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15 …) that is not below `value`.
[[nodiscard]] double round_up(double value);

} // namespace admin_ui
