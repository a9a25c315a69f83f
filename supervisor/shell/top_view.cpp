#include "supervisor/shell/top_view.hpp"

#include "shared/base/time_text.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "supervisor/shell/pool_lines.hpp"

namespace supervisor::shell {
namespace {

constexpr std::size_t kRowsMin = 6;
constexpr std::size_t kColumnsMin = 30;
constexpr std::string_view kKeys =
    "q quit  ↑↓ account  p pause it  a sort accounts  s sort requests  r reverse  space freeze";

double most_used(const AccountLine& account)
{
    return std::max(account.short_window.used, account.long_window.used);
}

bool before(const AccountLine& a, const AccountLine& b, AccountOrder order)
{
    switch (order) {
    case AccountOrder::name:
        break;
    case AccountOrder::used:
        if (most_used(a) != most_used(b)) return most_used(a) > most_used(b);
        break;
    case AccountOrder::running:
        if (a.in_flight != b.in_flight) return a.in_flight > b.in_flight;
        break;
    case AccountOrder::state:
        if (a.state != b.state) return a.state < b.state;
        break;
    }
    return a.id < b.id;
}

bool before(const RunningLine& a, const RunningLine& b, RunningOrder order)
{
    switch (order) {
    case RunningOrder::time:
        break;
    case RunningOrder::output:
        if (a.output != b.output) return a.output > b.output;
        break;
    case RunningOrder::account:
        if (a.account != b.account) return a.account < b.account;
        break;
    case RunningOrder::user:
        if (a.user != b.user) return a.user < b.user;
        break;
    case RunningOrder::model:
        if (a.model != b.model) return a.model < b.model;
        break;
    }
    return a.elapsed_ms > b.elapsed_ms;
}

Line numbers_line(const Snapshot& snapshot, const Rates& rates, const TopState& state)
{
    std::int64_t connections = 0;
    std::size_t silent = 0;
    for (const WorkerLine& worker : snapshot.workers) {
        connections += worker.connections;
        if (worker.silent_ms > 2000) ++silent;
    }
    Line line("  ");
    line.add(fmt::format("{} running", snapshot.running_total), Ink::strong);
    if (snapshot.waiting > 0) line.add(fmt::format("  {} waiting", snapshot.waiting), Ink::warn);
    line.add(fmt::format("  {:.1f} requests/s", rates.requests_per_second()));
    if (rates.errors_per_second() > 0)
        line.add(fmt::format("  {:.1f} errors/s", rates.errors_per_second()), Ink::bad);
    line.add(
        fmt::format(
            "  {} connections  {} workers  up {}",
            connections,
            snapshot.workers.size(),
            shared::duration_text(snapshot.uptime_seconds)),
        Ink::soft);
    if (silent > 0) line.add(fmt::format("  {} workers silent", silent), Ink::bad);
    if (state.frozen) line.add("  frozen", Ink::warn);
    return line;
}

Line bottom_line(const TopState& state, std::string_view problem)
{
    if (!state.question.empty()) return Line(state.question, Ink::warn);
    if (!problem.empty()) return Line(problem, Ink::bad);
    if (!state.message.empty()) return Line(state.message, Ink::strong);
    return Line(kKeys, Ink::soft);
}

/// The first row to show so that `chosen` is among `room` of `all`.
std::size_t first_shown(std::size_t chosen, std::size_t all, std::size_t room)
{
    if (all <= room || chosen < room / 2) return 0;
    return std::min(chosen - room / 2, all - room);
}

std::size_t place_of(const Snapshot& snapshot, const std::string& chosen)
{
    const auto found = std::find_if(
        snapshot.accounts.begin(), snapshot.accounts.end(), [&](const AccountLine& account) {
            return account.id == chosen;
        });
    return static_cast<std::size_t>(found - snapshot.accounts.begin());
}

void add_accounts(
    Lines& lines,
    const Snapshot& snapshot,
    const TopState& state,
    const Paper& paper,
    std::size_t room)
{
    const AccountTable table(snapshot, paper);
    lines.push_back(table.head());
    const std::size_t chosen = place_of(snapshot, state.chosen);
    const std::size_t all = snapshot.accounts.size();
    const std::size_t from = first_shown(chosen == all ? 0 : chosen, all, room);
    for (std::size_t i = from; i < std::min(all, from + room); ++i) {
        Line line = table.row(snapshot.accounts[i]);
        if (i == chosen) line.choose();
        lines.push_back(std::move(line));
    }
}

void add_running(Lines& lines, const Snapshot& snapshot, const Paper& paper, std::size_t room)
{
    const RunningTable table(snapshot, paper);
    lines.push_back(table.head());
    const auto all = static_cast<std::size_t>(snapshot.running_total);
    const std::size_t fits = std::min(room, snapshot.running.size());
    const std::size_t shown = fits < all && fits == room && room > 0 ? room - 1 : fits;
    for (std::size_t i = 0; i < shown; ++i)
        lines.push_back(table.row(snapshot.running[i]));
    if (shown < all) lines.emplace_back(fmt::format("  and {} more", all - shown), Ink::soft);
}

/// What is to be said of the account with the cursor.
Line chosen_line(const Snapshot& snapshot, const TopState& state, const Paper& paper)
{
    const std::size_t place = place_of(snapshot, state.chosen);
    if (place == snapshot.accounts.size()) return Line();
    const Lines notes = AccountTable(snapshot, paper).notes(snapshot.accounts[place]);
    return notes.empty() ? Line() : notes.front();
}

} // namespace

std::string_view to_string(RunningOrder order) noexcept
{
    constexpr std::array<std::string_view, 5> kNames{
        "longest first", "most output first", "by account", "by user", "by model"};
    return kNames[static_cast<std::size_t>(order)];
}

std::string_view to_string(AccountOrder order) noexcept
{
    constexpr std::array<std::string_view, 4> kNames{
        "by name", "most used first", "busiest first", "by state"};
    return kNames[static_cast<std::size_t>(order)];
}

void Rates::add(std::int64_t at_ms, std::int64_t requests, std::int64_t errors)
{
    if (!samples_.empty() && requests < samples_.back().requests) samples_.clear();
    samples_.push_back({at_ms, requests, errors});
    while (at_ms - samples_.front().at_ms > kSpanMs)
        samples_.pop_front();
}

double Rates::per_second(std::int64_t Sample::*count) const
{
    if (samples_.size() < 2) return 0;
    const std::int64_t ms = samples_.back().at_ms - samples_.front().at_ms;
    if (ms <= 0) return 0;
    return static_cast<double>(samples_.back().*count - samples_.front().*count) * 1000 /
           static_cast<double>(ms);
}

double Rates::requests_per_second() const
{
    return per_second(&Sample::requests);
}

double Rates::errors_per_second() const
{
    return per_second(&Sample::errors);
}

void arrange(Snapshot& snapshot, const TopState& state)
{
    std::stable_sort(
        snapshot.accounts.begin(),
        snapshot.accounts.end(),
        [&](const AccountLine& a, const AccountLine& b) {
            return before(a, b, state.account_order);
        });
    std::stable_sort(
        snapshot.running.begin(),
        snapshot.running.end(),
        [&](const RunningLine& a, const RunningLine& b) {
            return state.reversed ? before(b, a, state.running_order)
                                  : before(a, b, state.running_order);
        });
}

std::string neighbour(const Snapshot& snapshot, const std::string& chosen, std::int64_t steps)
{
    if (snapshot.accounts.empty()) return {};
    const std::size_t place = place_of(snapshot, chosen);
    if (place == snapshot.accounts.size()) return snapshot.accounts.front().id;
    const auto last = static_cast<std::int64_t>(snapshot.accounts.size()) - 1;
    const std::int64_t next =
        std::clamp<std::int64_t>(static_cast<std::int64_t>(place) + steps, 0, last);
    return snapshot.accounts[static_cast<std::size_t>(next)].id;
}

Lines top_lines(
    const Snapshot& snapshot,
    const Rates& rates,
    const TopState& state,
    ScreenSize size,
    bool colour,
    std::string_view problem)
{
    if (size.rows < kRowsMin || size.columns < kColumnsMin)
        return {Line("too small (q quits)", Ink::warn)};
    const Paper paper{colour, true, size.columns};
    Lines lines = state_lines(snapshot);
    if (size.rows < 14) lines.resize(1);
    lines.push_back(numbers_line(snapshot, rates, state));
    // Of what is left, accounts get what they need but no more than leaves some for requests.
    const std::size_t room = size.rows - lines.size() - 1;
    const std::size_t running_wanted = std::max<std::size_t>(room / 3, 2);
    const std::size_t for_accounts = room > running_wanted + 1 ? room - running_wanted - 1 : 1;
    add_accounts(lines, snapshot, state, paper, std::min(snapshot.accounts.size(), for_accounts));
    if (size.rows >= 14) lines.push_back(chosen_line(snapshot, state, paper));
    const std::size_t left = size.rows - std::min(size.rows, lines.size() + 1);
    if (left >= 2) add_running(lines, snapshot, paper, left - 1);
    lines.resize(size.rows - 1);
    lines.push_back(bottom_line(state, problem));
    return lines;
}

} // namespace supervisor::shell
