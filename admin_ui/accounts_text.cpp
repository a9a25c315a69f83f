#include "admin_ui/accounts_text.hpp"

#include "admin_ui/account_words.hpp"
#include "admin_ui/text_table.hpp"

#include <vector>

#include <fmt/format.h>

namespace admin_ui {
namespace {

/// "38 %, in 2 d 4 h": used, and when the window is renewed.
std::string
window_text(const shared::WindowRecord& window, shared::UsedShare used, shared::UnixMillis now)
{
    if (!used.is_known()) return "-";
    std::string text = fmt::format("{:.0f} %", used.fraction() * 100);
    if (window.resets_at > now) text += ", " + relative_time(window.resets_at, now);
    return text;
}

} // namespace

std::string accounts_text(const PoolView& pool)
{
    std::vector<std::vector<std::string>> rows;
    for (const AccountView& account : pool.accounts) {
        rows.push_back(
            {std::string(account.identity.id.view()),
             std::string(shared::to_string(account.status.condition)),
             window_text(account.routing.long_window, account.long_used, pool.now),
             window_text(account.routing.short_window, account.short_used, pool.now),
             std::to_string(account.in_flight),
             account_note(account, pool.now)});
    }
    const std::vector<TextColumn> columns{
        {"ACCOUNT"}, {"STATE"}, {"WEEK USED"}, {"5 H USED"}, {"IN FLIGHT"}, {"NOTE"}};
    std::string out;
    for (std::string& line : text_table(columns, rows)) {
        line.resize(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    }
    return out + '\n' + verdict(pool).sentence + '\n';
}

} // namespace admin_ui
