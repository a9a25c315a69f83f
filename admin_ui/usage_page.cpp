#include "admin_ui/usage_page.hpp"

#include "admin_ui/bar_chart.hpp"
#include "admin_ui/page_parts.hpp"
#include "shared/base/percent.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace admin_ui {
namespace {

constexpr std::size_t kSeriesMax = kChartColours - 1; ///< the last colour is for the others

struct Choice {
    std::string_view value;
    std::string_view label;
};

constexpr std::array kSpans{
    Choice{"24h", "24 hours"},
    Choice{"7d", "7 days"},
    Choice{"30d", "30 days"},
    Choice{"90d", "90 days"}};
constexpr std::array kGroups{
    Choice{"", "Kind of token"},
    Choice{"provider", "Provider"},
    Choice{"model", "Model"},
    Choice{"account", "Account"},
    Choice{"user", "User"}};

/// A link to this page with other choices.
std::string
link(const UsagePageView& view, std::string_view last, std::string_view group, bool list)
{
    std::string query;
    const auto add = [&query](std::string_view name, std::string_view value) {
        if (value.empty()) return;
        query += query.empty() ? '?' : '&';
        query += std::string(name) + "=" + shared::percent_encoded(value);
    };
    add("last", last);
    if (last.empty()) {
        add("from", iso_time(view.report.range.from));
        add("to", iso_time(view.report.range.to));
    }
    add("group", group);
    add("user", view.report.range.user);
    add("cost", list ? "list" : "");
    return "/status/usage" + query;
}

Html controls(const UsagePageView& view)
{
    const std::string_view group = to_string(view.report.range.group);
    Html html;
    html.raw("<div class=\"controls\"><nav class=\"choices\" aria-label=\"Time\">");
    for (const Choice& span : kSpans)
        html.add(choice_link(
            link(view, span.value, group, view.list_costs), span.label, span.value == view.last));
    html.raw("</nav><nav class=\"choices\" aria-label=\"Told apart by\">");
    for (const Choice& one : kGroups) {
        const bool hidden =
            view.audience != Audience::owner && (one.value == "account" || one.value == "user");
        if (hidden) continue;
        html.add(choice_link(
            link(view, view.last, one.value, view.list_costs), one.label, one.value == group));
    }
    return html.raw("</nav></div>\n");
}

Html tiles(const UsagePageView& view, const PriceList& prices)
{
    const TokenSums& sums = view.report.total.sums;
    const Cost& cost = view.report.total.cost;
    const std::string failed =
        sums.failed_requests > 0 ? short_number(sums.failed_requests) + " failed" : "";
    Html html;
    html.raw("<dl class=\"tiles\">\n").add(tile("Tokens", short_number(sums.tokens())));
    html.add(tile("Fresh input", short_number(sums.input - sums.cached_input)));
    html.add(tile(
        "From cache",
        short_number(sums.cached_input),
        percent_text(sums.cached_input, sums.input)));
    html.add(tile("Output", short_number(sums.output)));
    html.add(tile("Requests", short_number(sums.requests), failed));
    const double amount = view.list_costs ? cost.list : cost.api_keys;
    html.add(tile(
        view.list_costs ? "At list prices" : "API keys", money_text(amount, prices.currency())));
    return html.raw("</dl>\n");
}

std::string time_label(const UsageRange& range, shared::UnixMillis at)
{
    return short_time(at, range.step == UsageStep::hour);
}

Chart by_kind(const UsageReport& report)
{
    Chart chart;
    chart.series = {"from cache", "written to cache", "fresh input", "output"};
    for (std::size_t i = 0; i < report.steps.size(); ++i) {
        const TokenSums& sums = report.steps[i].sums;
        ChartColumn& column = chart.columns.emplace_back();
        column.time = time_label(report.range, report.step_at(i));
        for (const std::int64_t tokens :
             {sums.cached_input, sums.cache_creation, sums.fresh_input(), sums.output})
            column.values.push_back(static_cast<double>(tokens));
    }
    return chart;
}

Chart by_group(const UsageReport& report)
{
    Chart chart;
    const std::size_t shown = std::min(report.groups.size(), kSeriesMax);
    for (std::size_t s = 0; s < shown; ++s)
        chart.series.emplace_back(shown_name(report.range.group, report.groups[s].first));
    const bool others = report.groups.size() > shown;
    if (others) chart.series.emplace_back("others");
    for (std::size_t i = 0; i < report.steps.size(); ++i) {
        ChartColumn& column = chart.columns.emplace_back();
        column.time = time_label(report.range, report.step_at(i));
        double rest = 0;
        for (std::size_t s = 0; s < report.groups.size(); ++s) {
            const auto tokens = static_cast<double>(report.cells[i][s].sums.tokens());
            if (s < shown)
                column.values.push_back(tokens);
            else
                rest += tokens;
        }
        if (others) column.values.push_back(rest);
    }
    return chart;
}

Html chart(const UsageReport& report)
{
    Chart chart = report.range.group == UsageGroup::none ? by_kind(report) : by_group(report);
    chart.what = "Tokens per " + std::string(to_string(report.range.step));
    chart.format = [](double value) { return short_number(static_cast<std::int64_t>(value)); };
    return chart_part(chart);
}

std::string cost_text(const UsagePageView& view, const UsageCell& cell, const PriceList& prices)
{
    if (!view.list_costs)
        return cell.cost.api_keys > 0 ? money_text(cell.cost.api_keys, prices.currency()) : "–";
    const bool none = cell.cost.list == 0 && cell.cost.unpriced > 0;
    if (none) return "no price";
    return money_text(cell.cost.list, prices.currency()) + (cell.cost.unpriced > 0 ? " +" : "");
}

Html cells(const UsagePageView& view, const UsageCell& cell, const PriceList& prices)
{
    const TokenSums& sums = cell.sums;
    Html html;
    html.raw("<td class=\"num more\">").text(grouped_number(sums.requests));
    html.raw("</td><td class=\"num more\">").text(grouped_number(sums.failed_requests));
    html.raw("</td><td class=\"num more\">").text(grouped_number(sums.input - sums.cached_input));
    html.raw("</td><td class=\"num more\">").text(grouped_number(sums.cached_input));
    html.raw("</td><td class=\"num more\">").text(percent_text(sums.cached_input, sums.input));
    html.raw("</td><td class=\"num more\">").text(grouped_number(sums.output));
    html.raw("</td><td class=\"num\"><span class=\"more\">").text(grouped_number(sums.tokens()));
    html.raw("</span><span class=\"less\">").text(short_number(sums.tokens())).raw("</span>");
    html.raw("</td><td class=\"num\">").text(cost_text(view, cell, prices));
    return html.raw("</td>");
}

Html table_head(std::string_view first)
{
    Html html;
    html.raw("<table><thead><tr><th scope=\"col\">").text(first);
    return html.raw("</th><th scope=\"col\" class=\"num more\">Requests</th>"
                    "<th scope=\"col\" class=\"num more\">Failed</th>"
                    "<th scope=\"col\" class=\"num more\">Fresh input</th>"
                    "<th scope=\"col\" class=\"num more\">From cache</th>"
                    "<th scope=\"col\" class=\"num more\">Cache</th>"
                    "<th scope=\"col\" class=\"num more\">Output</th>"
                    "<th scope=\"col\" class=\"num\">Tokens</th>"
                    "<th scope=\"col\" class=\"num\">Cost</th></tr></thead><tbody>\n");
}

Html group_table(const UsagePageView& view, const PriceList& prices)
{
    const UsageReport& report = view.report;
    Html html;
    if (report.groups.empty()) return html;
    const auto label = std::find_if(kGroups.begin(), kGroups.end(), [&](const Choice& choice) {
        return choice.value == to_string(report.range.group);
    });
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"By ");
    html.text(to_string(report.range.group)).raw("\">").add(table_head(label->label));
    for (std::size_t i = 0; i < report.groups.size(); ++i) {
        const auto& [name, cell] = report.groups[i];
        html.raw("<tr><th scope=\"row\" class=\"wide\"><span class=\"swatch ");
        html.text(fmt::format("s{}", std::min(i, kSeriesMax)));
        html.raw("\" aria-hidden=\"true\"></span>").text(shown_name(report.range.group, name));
        html.raw("</th>").add(cells(view, cell, prices)).raw("</tr>\n");
    }
    html.raw("</tbody><tfoot><tr><th scope=\"row\">All</th>");
    return html.add(cells(view, report.total, prices)).raw("</tr></tfoot></table></div>\n");
}

Html step_table(const UsagePageView& view, const PriceList& prices)
{
    const UsageReport& report = view.report;
    const bool hourly = report.range.step == UsageStep::hour;
    Html html;
    html.raw("<details id=\"steps\" class=\"quiet\"><summary>Numbers per ");
    html.text(to_string(report.range.step))
        .raw("</summary>\n<div class=\"scroll\" tabindex=\"0\""
             " role=\"region\" aria-label=\"Numbers over time\">");
    html.add(table_head(hourly ? "Hour (UTC)" : "Day (UTC)"));
    for (std::size_t i = report.steps.size(); i-- > 0;) {
        if (report.steps[i].sums.requests == 0) continue;
        html.raw("<tr><th scope=\"row\">").text(time_label(report.range, report.step_at(i)));
        html.raw("</th>").add(cells(view, report.steps[i], prices)).raw("</tr>\n");
    }
    return html.raw("</tbody></table></div></details>\n");
}

Html cost_note(const UsagePageView& view, const PriceList& prices)
{
    const UsageReport& report = view.report;
    Html html;
    html.raw("<p class=\"soft\">");
    const std::string other =
        link(view, view.last, to_string(report.range.group), !view.list_costs);
    if (view.list_costs) {
        html.raw("Costs are what API list prices would make of all tokens; a subscription costs "
                 "what it "
                 "costs. <a href=\"")
            .text(other)
            .raw("\">Only what API keys cost</a>. ");
    } else {
        html.raw(
                "Costs are of API keys alone, at list prices; subscriptions are paid by the month. "
                "<a href=\"")
            .text(other)
            .raw("\">What would all of it cost?</a> ");
    }
    html.raw("Prices of ").text(prices.version()).raw(" (");
    const bool is_own = prices.where() != "built-in" && view.audience != Audience::owner;
    html.text(is_own ? std::string_view("the owner's list") : std::string_view(prices.where()))
        .raw(").");
    if (!report.unpriced_models.empty()) {
        constexpr std::size_t kNamesMax = 8;
        html.raw(" No price is known of ");
        for (std::size_t i = 0; i < std::min(kNamesMax, report.unpriced_models.size()); ++i) {
            const std::string& model = report.unpriced_models[i];
            html.text(i == 0 ? "" : ", ");
            html.raw("<code>").text(model.empty() ? "(no model)" : model).raw("</code>");
        }
        if (report.unpriced_models.size() > kNamesMax) html.raw(" and others");
        html.raw(": ")
            .text(short_number(report.total.cost.unpriced))
            .raw(" tokens are in no cost.");
    }
    html.raw("</p>\n");
    if (!prices.problem().empty())
        html.raw("<p class=\"note\">").text(prices.problem()).raw("</p>\n");
    return html;
}

} // namespace

std::string_view shown_name(UsageGroup group, std::string_view name)
{
    if (!name.empty()) return name;
    if (group == UsageGroup::model) return "(no model)";
    if (group == UsageGroup::user) return "(nobody)";
    return "(no account)";
}

std::string usage_page(const UsagePageView& view, const PriceList& prices)
{
    const UsageReport& report = view.report;
    Html html;
    html.raw("<h1>Usage</h1>\n");
    if (!report.range.user.empty() && view.audience == Audience::owner) {
        html.raw("<p class=\"lead\">Of <b>").text(report.range.user);
        html.raw("</b> alone. <a href=\"/status/usage\">Everybody</a></p>\n");
    }
    html.add(controls(view));
    if (!view.problem.empty()) html.raw("<p class=\"note\">").text(view.problem).raw("</p>\n");
    html.add(tiles(view, prices));
    if (report.total.sums.requests == 0) {
        html.raw("<p class=\"soft\">Nothing was used in this time.</p>\n");
    } else {
        html.add(chart(report)).add(group_table(view, prices)).add(step_table(view, prices));
    }
    html.add(cost_note(view, prices));
    Frame frame;
    frame.title = "Usage";
    frame.place = "/status/usage";
    frame.script = "chart.js";
    frame.audience = view.audience;
    return framed(frame, html);
}

} // namespace admin_ui
