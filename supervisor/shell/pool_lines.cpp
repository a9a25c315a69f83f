#include "supervisor/shell/pool_lines.hpp"

#include "shared/base/terminal_text.hpp"
#include "shared/base/time_text.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace supervisor::shell {
namespace {

constexpr double kHighShare = 0.8;
constexpr double kHourMs = 3'600'000;
constexpr std::size_t kStateColumns = 11; // "needs login"
constexpr std::size_t kUsedColumns = 5;   // "100 %"
constexpr std::size_t kTimeColumns = 7;   // "99d 23h"
constexpr std::size_t kRunColumns = 3;
constexpr std::size_t kBarMin = 4;
constexpr std::size_t kBarMax = 20;

Ink ink_of_state(const AccountLine& account)
{
    if (account.severity == "good") return Ink::good;
    if (account.severity == "owner") return Ink::bad;
    return account.severity == "off" ? Ink::soft : Ink::warn;
}

Ink ink_of_share(double used)
{
    if (used >= 1) return Ink::bad;
    return used >= kHighShare ? Ink::warn : Ink::good;
}

std::string words(std::string text)
{
    std::replace(text.begin(), text.end(), '_', ' ');
    return text;
}

/// How much will be used when the window is renewed, if the pace stays; below `used` if nobody knows.
double share_at_reset(const Window& window, shared::UnixMillis now)
{
    if (window.resets_at <= now || window.percent_per_hour <= 0) return -1;
    const double hours = static_cast<double>(window.resets_at.value - now.value) / kHourMs;
    return std::min(1.0, window.used + window.percent_per_hour * hours / 100);
}

/// "the 5 hours are empty in 40 min"
std::string forecast_text(const char* name, const Window& window, shared::UnixMillis now)
{
    if (window.empty_at <= now) return {};
    return fmt::format(
        "{} empty {} at {:.0f} % an hour",
        name,
        shared::relative_time(window.empty_at, now),
        window.percent_per_hour);
}

template <class Row, class Member>
std::size_t widest(const std::vector<Row>& rows, Member member, std::size_t min, std::size_t max)
{
    std::size_t width = min;
    for (const Row& row : rows)
        width = std::max(width, shared::text_width(member(row)));
    return std::min(width, max);
}

const std::string& model_of(const RunningLine& running)
{
    return running.model.empty() ? running.path : running.model;
}

std::string account_of(const RunningLine& running)
{
    return running.account.empty() ? "(waits)" : running.account;
}

} // namespace

std::string brief_duration(std::int64_t seconds)
{
    seconds = std::max<std::int64_t>(0, seconds);
    if (seconds < 60) return fmt::format("{}s", seconds);
    if (seconds < 3600) return fmt::format("{}m", seconds / 60);
    if (seconds < 86'400) return fmt::format("{}h {}m", seconds / 3600, seconds / 60 % 60);
    return fmt::format(
        "{}d {}h", std::min<std::int64_t>(99, seconds / 86'400), seconds / 3600 % 24);
}

Lines state_lines(const Snapshot& snapshot)
{
    const Ink ink = snapshot.status == "ok"         ? Ink::good
                    : snapshot.status == "degraded" ? Ink::warn
                                                    : Ink::bad;
    Lines lines;
    lines.push_back(Line("● ", ink).add(snapshot.sentence, Ink::strong));
    if (!snapshot.risk.empty()) lines.push_back(Line("  ").add(snapshot.risk, Ink::warn));
    return lines;
}

AccountTable::AccountTable(const Snapshot& snapshot, const Paper& paper) : now_(snapshot.at)
{
    const std::size_t columns = paper.columns == 0 ? 100 : paper.columns;
    const std::size_t id_max = std::max<std::size_t>(12, columns / 3);
    id_ = widest(
        snapshot.accounts,
        [](const AccountLine& a) -> const std::string& { return a.id; },
        7,
        id_max);
    constexpr std::size_t kOfWindow = 2 + kUsedColumns + 1 + kTimeColumns;
    const std::size_t fixed = id_ + 2 + kStateColumns + 2 * kOfWindow + 2 + kRunColumns;
    if (!paper.bars || columns < fixed + 2 * (kBarMin + 1)) return;
    bar_ = std::min(kBarMax, (columns - fixed) / 2 - 1);
}

Line AccountTable::head() const
{
    const std::size_t window = (bar_ > 0 ? bar_ + 1 : 0) + kUsedColumns;
    Line line;
    line.fit("ACCOUNT", id_, Ink::soft).gap(2).fit("STATE", kStateColumns, Ink::soft);
    for (const char* name : {"5 H", "WEEK"}) {
        line.gap(2);
        if (bar_ > 0)
            line.fit(name, window, Ink::soft);
        else
            line.fit_right(name, window, Ink::soft);
        line.gap(1).fit_right("RESET", kTimeColumns, Ink::soft);
    }
    return std::move(line.gap(2).fit_right("RUN", kRunColumns, Ink::soft));
}

void AccountTable::add_window(Line& line, const Window& window) const
{
    line.gap(2);
    const bool known = window.used >= 0;
    if (bar_ > 0) {
        const std::string used = known ? shared::bar_text(window.used, bar_) : std::string();
        const std::size_t solid = shared::text_width(used);
        const double at_reset = known ? share_at_reset(window, now_) : -1;
        const auto foreseen =
            static_cast<std::size_t>(std::max(0.0, at_reset) * static_cast<double>(bar_));
        line.add(used, ink_of_share(window.used));
        for (std::size_t i = solid; i < bar_; ++i)
            line.add(i < foreseen ? "▒" : window.exists ? "·" : " ", Ink::soft);
        line.gap(1);
    }
    const std::string percent =
        known ? fmt::format("{:.0f} %", window.used * 100) : std::string("-");
    line.fit_right(percent, kUsedColumns, known ? ink_of_share(window.used) : Ink::soft).gap(1);
    const bool resets = window.resets_at > now_;
    line.fit_right(
        resets ? brief_duration((window.resets_at.value - now_.value) / 1000) : "",
        kTimeColumns,
        window.empty_at > now_ ? Ink::warn : Ink::plain);
}

Line AccountTable::row(const AccountLine& account) const
{
    Line line;
    line.fit(account.id, id_, Ink::strong).gap(2);
    line.fit(words(account.state), kStateColumns, ink_of_state(account));
    add_window(line, account.short_window);
    add_window(line, account.long_window);
    const bool runs = account.in_flight > 0;
    return std::move(line.gap(2).fit_right(
        std::to_string(account.in_flight), kRunColumns, runs ? Ink::strong : Ink::soft));
}

Lines AccountTable::notes(const AccountLine& account) const
{
    Lines lines;
    const auto add = [&lines](const std::string& text, Ink ink) {
        if (!text.empty()) lines.push_back(Line("  ").add(text, ink));
    };
    add(account.note, account.severity == "owner" ? Ink::bad : Ink::soft);
    if (account.severity == "good") {
        add(forecast_text("5 hours:", account.short_window, now_), Ink::warn);
        add(forecast_text("week:", account.long_window, now_), Ink::warn);
    }
    if (!account.next_step.empty()) add("do: " + account.next_step, Ink::plain);
    return lines;
}

RunningTable::RunningTable(const Snapshot& snapshot, const Paper& paper)
{
    const std::size_t columns = paper.columns == 0 ? 100 : paper.columns;
    const std::size_t each =
        std::max<std::size_t>(8, (columns - std::min<std::size_t>(columns, 30)) / 3);
    const auto& all = snapshot.running;
    model_ = widest(all, model_of, 5, each);
    user_ = widest(
        all, [](const RunningLine& r) -> const std::string& { return r.user; }, 4, each);
    account_ = widest(all, account_of, 7, each);
}

Line RunningTable::head() const
{
    Line line;
    line.fit_right("TIME", 7, Ink::soft).gap(2).fit("MODEL", model_, Ink::soft).gap(2);
    line.fit("ACCOUNT", account_, Ink::soft).gap(2).fit("USER", user_, Ink::soft).gap(2);
    return std::move(line.fit_right("IN", 6, Ink::soft).gap(1).fit_right("OUT", 6, Ink::soft));
}

Line RunningTable::row(const RunningLine& running) const
{
    const bool waits = running.account.empty();
    Line line;
    line.fit_right(brief_duration(running.elapsed_ms / 1000), 7).gap(2);
    line.fit(model_of(running), model_, Ink::strong).gap(2);
    line.fit(account_of(running), account_, waits ? Ink::warn : Ink::plain).gap(2);
    line.fit(running.user, user_).gap(2);
    line.fit_right(shared::short_number(running.input), 6, Ink::soft).gap(1);
    line.fit_right(
        shared::short_number(running.output), 6, running.output > 0 ? Ink::good : Ink::soft);
    if (running.websocket) line.gap(1).add("ws", Ink::soft);
    return line;
}

} // namespace supervisor::shell
