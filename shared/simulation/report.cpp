#include "shared/simulation/report.hpp"

#include "shared/base/read_file.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace shared::simulation {
namespace {

constexpr int kNameWidth = 33;
constexpr int kColumnWidth = 15;

double percent(double part, double whole)
{
    return whole > 0 ? 100.0 * part / whole : 0.0;
}

/// "0", "850ms", "12s", "35m", "4.7h": short enough for three of them in a column.
std::string duration(std::int64_t milliseconds)
{
    if (milliseconds == 0) return "0";
    if (milliseconds < 1000) return fmt::format("{}ms", milliseconds);
    if (milliseconds < 100'000) return fmt::format("{}s", milliseconds / 1000);
    if (milliseconds < 6'000'000) return fmt::format("{}m", milliseconds / 60'000);
    const double hours = static_cast<double>(milliseconds) / 3'600'000.0;
    return hours < 9.95 ? fmt::format("{:.1f}h", hours) : fmt::format("{:.0f}h", hours);
}

using Cell = std::function<std::string(const Outcome&)>;

std::string row(std::string_view name, std::span<const Column> columns, const Cell& cell)
{
    std::string line = fmt::format("{:<{}}", name, kNameWidth);
    for (const Column& column : columns)
        line += fmt::format("{:>{}}", cell(column.outcome), kColumnWidth);
    return line + '\n';
}

Cell number(std::uint64_t Outcome::*field)
{
    return [field](const Outcome& outcome) { return std::to_string(outcome.*field); };
}

} // namespace

std::string table(const Trace& trace, std::span<const Column> columns)
{
    std::string text(kNameWidth, ' ');
    for (const Column& column : columns)
        text += fmt::format("{:>{}}", to_string(column.strategy), kColumnWidth);
    text += '\n';
    text += row("requests served", columns, number(&Outcome::served));
    text += row("still waiting at the end", columns, number(&Outcome::unserved));
    text += row("429 answers of accounts", columns, number(&Outcome::rate_limited));
    text += row("429 answers to clients", columns, number(&Outcome::refused));
    text += row("  while an account had room", columns, number(&Outcome::refused_with_room));
    text += row("moves of pinned conversations", columns, number(&Outcome::moves));
    text += row("  of their requests", columns, [](const Outcome& outcome) {
        return fmt::format(
            "{:.2f} %",
            percent(static_cast<double>(outcome.moves), static_cast<double>(outcome.pinned)));
    });
    text += row("prompt cache lost by moves", columns, [](const Outcome& outcome) {
        return fmt::format(
            "{:.2f} %",
            percent(
                static_cast<double>(outcome.cache_lost_tokens),
                static_cast<double>(outcome.cached_tokens)));
    });
    text += row("unused at weekly resets", columns, [](const Outcome& outcome) {
        return outcome.resets == 0 ? std::string("no reset")
                                   : fmt::format("{:.2f} %", outcome.unused_percent);
    });
    text += "waiting, p50 / p99 / longest\n";
    for (std::size_t user = 0; user < trace.users.size(); ++user) {
        constexpr std::size_t kNameMax = 28;
        const std::string name = printable(trace.users[user]).substr(0, kNameMax);
        text += row("  " + name, columns, [user](const Outcome& outcome) {
            const Waiting& waiting = outcome.waiting[user];
            return duration(waiting.p50_ms) + "/" + duration(waiting.p99_ms) + "/" +
                   duration(waiting.max_ms);
        });
    }
    return text;
}

Extent extent(const Trace& trace)
{
    std::set<std::pair<std::uint32_t, std::uint64_t>> conversations;
    for (const TraceRequest& request : trace.requests) {
        if (request.conversation != 0) conversations.emplace(request.user, request.conversation);
    }
    const double days =
        trace.requests.empty()
            ? 0.0
            : static_cast<double>(
                  trace.requests.back().at.since(trace.requests.front().at).count()) /
                  86'400'000.0;
    return {trace.users.size(), trace.requests.size(), conversations.size(), days};
}

std::string summary(const Trace& trace)
{
    const Extent all = extent(trace);
    return fmt::format(
        "{}, {} of {} in {:.1f} days",
        counted(all.users, "user"),
        counted(all.requests, "request"),
        counted(all.conversations, "conversation"),
        all.days);
}

std::string counted(std::size_t number, std::string_view noun)
{
    return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

} // namespace shared::simulation
