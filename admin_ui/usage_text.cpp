/// usage_text() and requests_text(): tables for a terminal.
#include "admin_ui/page_parts.hpp"
#include "admin_ui/text_table.hpp"
#include "admin_ui/usage_page.hpp"
#include "admin_ui/usage_view.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

namespace admin_ui {
namespace {

using Rows = std::vector<std::vector<std::string>>;

constexpr const char* kGreen = "\x1b[32m";
constexpr const char* kDim = "\x1b[2m";
constexpr const char* kRed = "\x1b[31m";
constexpr const char* kBold = "\x1b[1m";
constexpr const char* kPlain = "\x1b[0m";

std::string coloured(const std::string& text, const char* colour, const TextStyle& style)
{
    return style.colour ? colour + text + kPlain : text;
}

std::vector<std::string>
usage_cells(const std::string& name, const UsageCell& cell, const PriceList& prices)
{
    const TokenSums& sums = cell.sums;
    return {
        name,
        std::to_string(sums.requests),
        short_number(sums.input - sums.cached_input),
        short_number(sums.cached_input),
        percent_text(sums.cached_input, sums.input),
        short_number(sums.output),
        short_number(sums.tokens()),
        cell.cost.api_keys > 0 ? money_text(cell.cost.api_keys, prices.currency()) : "-"};
}

/// Appends the lines, with a bar behind each row but head and foot.
std::string with_bars(
    const std::vector<std::string>& lines,
    const std::vector<std::int64_t>& sizes,
    const TextStyle& style)
{
    std::int64_t most = 1;
    for (const std::int64_t size : sizes)
        most = std::max(most, size);
    const std::size_t used = lines.empty() ? 0 : text_width(lines.front()) + 2;
    const std::size_t room =
        style.columns > used + 8 ? std::min<std::size_t>(style.columns - used, 40) : 0;
    std::string out;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const bool is_row = i > 0 && i - 1 < sizes.size();
        out += is_row ? lines[i] : coloured(lines[i], kBold, style);
        if (is_row && style.bars && room > 0) {
            const double share = static_cast<double>(sizes[i - 1]) / static_cast<double>(most);
            out += "  " + coloured(shared::bar_text(share, room), kGreen, style);
        }
        out += '\n';
    }
    return out;
}

} // namespace

std::string usage_text(const UsageReport& report, const PriceList& prices, const TextStyle& style)
{
    const UsageRange& range = report.range;
    const bool grouped = range.group != UsageGroup::none;
    std::string first(to_string(grouped ? UsageStep::day : range.step));
    if (grouped) first = to_string(range.group);
    std::transform(first.begin(), first.end(), first.begin(), [](unsigned char c) {
        return static_cast<char>(std::toupper(c));
    });
    const std::vector<TextColumn> columns{
        {first, false},
        {"REQUESTS", true},
        {"FRESH INPUT", true},
        {"FROM CACHE", true},
        {"", true},
        {"OUTPUT", true},
        {"TOKENS", true},
        {"API KEYS", true}};
    Rows rows;
    std::vector<std::int64_t> sizes;
    const auto add = [&](const std::string& name, const UsageCell& cell) {
        rows.push_back(usage_cells(name, cell, prices));
        sizes.push_back(cell.sums.tokens());
    };
    for (const auto& [name, cell] : report.groups)
        add(std::string(shown_name(range.group, name)), cell);
    for (std::size_t i = 0; !grouped && i < report.steps.size(); ++i)
        add(short_time(report.step_at(i), range.step == UsageStep::hour), report.steps[i]);
    rows.push_back(usage_cells("all", report.total, prices));
    std::string out = with_bars(text_table(columns, rows), sizes, style);
    out += coloured(
        "\n" + iso_time(range.from) + " to " + iso_time(range.to) + ", days and hours in UTC\n",
        kDim,
        style);
    return out;
}

std::string requests_text(const RequestPage& page, const TextStyle& style)
{
    const std::vector<TextColumn> columns{
        {"FINISHED (UTC)", false},
        {"ID", false},
        {"USER", false},
        {"ACCOUNT", false},
        {"MODEL", false},
        {"STATUS", true},
        {"OUTCOME", false},
        {"INPUT", true},
        {"CACHE", true},
        {"OUTPUT", true},
        {"TOTAL", true}};
    Rows rows;
    for (const RequestEntry& request : page.requests) {
        rows.push_back(
            {short_time(request.finished_at, true),
             request.request_id,
             request.user,
             request.account.empty() ? "-" : request.account,
             request.model.empty() ? request.path : request.model,
             request.status == 0 ? "-" : std::to_string(request.status),
             request.outcome,
             short_number(request.tokens.input),
             percent_text(request.tokens.cached_input, request.tokens.input),
             short_number(request.tokens.output),
             milliseconds_text(request.duration_ms)});
    }
    const std::vector<std::string> lines = text_table(columns, rows);
    std::string out = coloured(lines.front(), kBold, style) + "\n";
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const bool failed = page.requests[i - 1].status >= 400 || page.requests[i - 1].status == 0;
        out += failed ? coloured(lines[i], kRed, style) : lines[i];
        out += '\n';
    }
    if (page.searched_to.is_set()) out += "(looked back to " + iso_time(page.searched_to) + ")\n";
    return out;
}

} // namespace admin_ui
