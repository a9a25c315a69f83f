#include "admin_ui/accounts_text.hpp"

#include "shared/base/read_file.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

namespace admin_ui {
namespace {

using Row = std::array<std::string, 6>;

std::size_t columns(std::string_view text)
{
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }));
}

/// "38 %, in 2 d 4 h": used, and when the window is renewed.
std::string
window_text(const shared::WindowRecord& window, shared::UsedShare used, shared::UnixMillis now)
{
    if (!used.is_known()) return "-";
    std::string text = fmt::format("{:.0f} %", used.fraction() * 100);
    if (window.resets_at > now) text += ", " + relative_time(window.resets_at, now);
    return text;
}

std::string note_text(const AccountView& account, shared::UnixMillis now)
{
    std::string text;
    const auto add = [&text](const std::string& part) {
        if (part.empty()) return;
        if (!text.empty()) text += "; ";
        text += part;
    };
    if (account.status.condition != shared::AccountCondition::ready) {
        add(shared::reason_in_words(account.status.reason.view()));
    }
    if (account.status.until.is_set()) add("back " + relative_time(account.status.until, now));
    if (account.token_expired) add("access token expired");
    add(std::string(account.identity.problem.view()));
    return shared::printable(text);
}

} // namespace

std::string accounts_text(const PoolView& pool)
{
    std::vector<Row> rows{{"ACCOUNT", "STATE", "WEEK USED", "5 H USED", "IN FLIGHT", "NOTE"}};
    for (const AccountView& account : pool.accounts) {
        rows.push_back(
            {shared::printable(account.identity.id.view()),
             std::string(shared::to_string(account.status.condition)),
             window_text(account.routing.long_window, account.long_used, pool.now),
             window_text(account.routing.short_window, account.short_used, pool.now),
             std::to_string(account.in_flight),
             note_text(account, pool.now)});
    }
    Row empty;
    std::array<std::size_t, empty.size()> widths{};
    for (const Row& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], columns(row[i]));
    }
    std::string out;
    for (const Row& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += row[i];
            line.append(widths[i] + 2 - columns(row[i]), ' ');
        }
        line.resize(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    }
    return out + '\n' + verdict(pool).sentence + '\n';
}

} // namespace admin_ui
