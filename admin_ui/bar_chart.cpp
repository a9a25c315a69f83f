#include "admin_ui/bar_chart.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

namespace admin_ui {
namespace {

constexpr double kHeight = 100;
constexpr double kColumnWidth = 10;
constexpr double kGap = 1.5;
constexpr std::size_t kTimesMax = 8;

double sum_of(const ChartColumn& column)
{
    return std::accumulate(column.values.begin(), column.values.end(), 0.0);
}

std::string colour(std::size_t series)
{
    return fmt::format("s{}", std::min(series, kChartColours - 1));
}

/// "14 May: 1.2 M (codex 1.1 M, claude 0.1 M)"
std::string column_words(const Chart& chart, const ChartColumn& column)
{
    std::string text = column.time + ": " + chart.format(sum_of(column));
    std::string parts;
    for (std::size_t i = 0; i < column.values.size() && i < chart.series.size(); ++i) {
        if (column.values[i] <= 0) continue;
        parts +=
            (parts.empty() ? "" : ", ") + chart.series[i] + " " + chart.format(column.values[i]);
    }
    return parts.empty() ? text : text + " (" + parts + ")";
}

Html legend(const Chart& chart)
{
    Html html;
    html.raw("<ul class=\"legend\">");
    for (std::size_t i = 0; i < chart.series.size(); ++i) {
        html.raw("<li><span class=\"swatch ")
            .text(colour(i))
            .raw("\" aria-hidden=\"true\"></span>");
        html.text(chart.series[i]).raw("</li>");
    }
    return html.raw("</ul>\n");
}

Html columns(const Chart& chart, double top)
{
    Html html;
    for (std::size_t i = 0; i < chart.columns.size(); ++i) {
        const ChartColumn& column = chart.columns[i];
        const double x = static_cast<double>(i) * kColumnWidth;
        html.raw("<g><title>")
            .text(column_words(chart, column))
            .raw("</title><rect class=\"hit\" x=\"");
        html.text(fmt::format("{:.0f}", x)).raw("\" width=\"10\" height=\"100\"/>");
        double y = kHeight;
        for (std::size_t s = 0; s < column.values.size(); ++s) {
            const double size = column.values[s] / top * kHeight;
            if (size <= 0) continue;
            y -= size;
            html.raw("<rect class=\"").text(colour(s)).raw("\" x=\"");
            html.text(fmt::format("{:.2f}", x + kGap)).raw("\" width=\"");
            html.text(fmt::format("{:.2f}", kColumnWidth - 2 * kGap)).raw("\" y=\"");
            html.text(fmt::format("{:.2f}", y)).raw("\" height=\"");
            html.text(fmt::format("{:.2f}", size)).raw("\"/>");
        }
        html.raw("</g>");
    }
    return html;
}

/// A cell below each column; a few of them say the time, and of those narrow windows show every other one.
Html times(const Chart& chart)
{
    Html html;
    html.raw("<div class=\"times\" aria-hidden=\"true\">");
    const std::size_t count = chart.columns.size();
    const std::size_t every = (count + kTimesMax - 1) / kTimesMax;
    for (std::size_t i = 0; i < count; ++i) {
        if (i % every != 0) {
            html.raw("<i></i>");
        } else {
            html.raw("<i><span");
            if (i / every % 2 == 1) html.raw(" class=\"more\"");
            html.raw(">").text(chart.columns[i].time).raw("</span></i>");
        }
    }
    return html.raw("</div>\n");
}

} // namespace

double round_up(double value)
{
    if (!(value > 0) || !std::isfinite(value)) return 1;
    const double power = std::pow(10.0, std::floor(std::log10(value)));
    for (const double step : {1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0}) {
        if (value <= step * power * (1 + 1e-9)) return step * power;
    }
    return 10 * power;
}

Html chart_part(const Chart& chart)
{
    double most = 0;
    const ChartColumn* highest = nullptr;
    for (const ChartColumn& column : chart.columns) {
        const double sum = sum_of(column);
        if (sum <= most) continue;
        most = sum;
        highest = &column;
    }
    const double top = round_up(most);
    Html html;
    html.raw("<figure class=\"chart\" data-chart>\n").add(legend(chart));
    html.raw("<div class=\"plot\"><div class=\"axis\" aria-hidden=\"true\"><span>");
    html.text(chart.format(top)).raw("</span><span>").text(chart.format(top / 2));
    html.raw("</span><span>0</span></div><svg viewBox=\"0 0 ");
    html.text(fmt::format("{:.0f}", kColumnWidth * static_cast<double>(chart.columns.size())));
    html.raw(" 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"").text(chart.what);
    if (highest != nullptr) html.raw("; the most: ").text(column_words(chart, *highest));
    html.raw("\">").add(columns(chart, top)).raw("</svg></div>\n").add(times(chart));
    return html.raw("<p class=\"readout soft\">&nbsp;</p>\n</figure>\n");
}

} // namespace admin_ui
