#include "supervisor/shell/status_text.hpp"

#include "shared/base/time_text.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "supervisor/shell/pool_lines.hpp"

namespace supervisor::shell {
namespace {

constexpr std::size_t kRunningMin = 3;
constexpr std::size_t kRunningMax = 20;
constexpr std::size_t kEventsMax = 5;

void append(Lines& to, Lines more)
{
    for (Line& line : more)
        to.push_back(std::move(line));
}

/// "codex-pool 0.1.0, up 2 h 5 min, 4 workers, 12 connections, 1204 requests"
std::string title(const Snapshot& snapshot)
{
    std::int64_t connections = 0;
    for (const WorkerLine& worker : snapshot.workers)
        connections += worker.connections;
    return fmt::format(
        "codex-pool {}, up {}, {} worker{}, {} connection{}, {} request{} served",
        snapshot.version,
        shared::duration_text(snapshot.uptime_seconds),
        snapshot.workers.size(),
        snapshot.workers.size() == 1 ? "" : "s",
        connections,
        connections == 1 ? "" : "s",
        snapshot.requests,
        snapshot.requests == 1 ? "" : "s");
}

/// Files that cannot be used, then what happened last that was not good, newest first.
Lines problem_lines(const Snapshot& snapshot)
{
    Lines lines;
    for (const std::string& problem : snapshot.problems)
        lines.push_back(Line("  ").add(problem, Ink::bad));
    std::size_t shown = 0;
    for (auto event = snapshot.events.rbegin(); event != snapshot.events.rend(); ++event) {
        if (event->severity == "info" || shown++ >= kEventsMax) continue;
        Line line("  ");
        line.add(shared::relative_time(event->at, snapshot.at) + "  ", Ink::soft);
        line.add(event->text, event->severity == "error" ? Ink::bad : Ink::warn);
        lines.push_back(std::move(line));
    }
    if (!lines.empty()) lines.insert(lines.begin(), Line("LAST PROBLEMS", Ink::soft));
    return lines;
}

Lines running_lines(const Snapshot& snapshot, const Paper& paper, std::size_t max)
{
    Lines lines;
    std::string head = fmt::format("{} running", snapshot.running_total);
    if (snapshot.waiting > 0) head += fmt::format(", {} waiting for an account", snapshot.waiting);
    lines.emplace_back(head, Ink::strong);
    if (snapshot.running.empty()) return lines;
    const RunningTable table(snapshot, paper);
    lines.push_back(table.head());
    const std::size_t shown = std::min(max, snapshot.running.size());
    for (std::size_t i = 0; i < shown; ++i)
        lines.push_back(table.row(snapshot.running[i]));
    const auto more = snapshot.running_total - static_cast<std::int64_t>(shown);
    if (more > 0) lines.emplace_back(fmt::format("  and {} more", more), Ink::soft);
    return lines;
}

} // namespace

Lines status_lines(const Snapshot& snapshot, const Paper& paper, std::size_t rows)
{
    Lines lines = state_lines(snapshot);
    lines.push_back(Line("  ").add(title(snapshot), Ink::soft));
    if (!snapshot.accounts.empty()) {
        const AccountTable table(snapshot, paper);
        lines.emplace_back();
        lines.push_back(table.head());
        for (const AccountLine& account : snapshot.accounts) {
            lines.push_back(table.row(account));
            append(lines, table.notes(account));
        }
    }
    Lines problems = problem_lines(snapshot);
    // What runs is cut first: it is gone in a minute, and `top` shows all of it.
    const std::size_t taken = lines.size() + problems.size() + 7;
    const std::size_t room = rows > taken ? rows - taken : 0;
    const std::size_t max = rows == 0 ? kRunningMax : std::clamp(room, kRunningMin, kRunningMax);
    lines.emplace_back();
    append(lines, running_lines(snapshot, paper, max));
    if (!problems.empty()) lines.emplace_back();
    append(lines, std::move(problems));
    return lines;
}

} // namespace supervisor::shell
