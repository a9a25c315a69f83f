#include "admin_ui/user_view.hpp"

#include "admin_ui/page_parts.hpp"
#include "shared/base/time_text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace admin_ui {
namespace {

using Json = nlohmann::ordered_json;
using shared::UnixMillis;

/// Rows of texts with the columns below each other; those after the third are numbers.
std::string table(const std::vector<std::array<std::string, 6>>& rows)
{
    std::array<std::size_t, 6> widths{};
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], row[i].size());
    std::string out;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string room(widths[i] - row[i].size(), ' ');
            const bool number = i >= 3;
            line += number ? room + row[i] : row[i] + room;
            if (i + 1 < row.size()) line += "  ";
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    }
    return out;
}

void add_words(std::string& words, std::uint64_t value, const char* unit)
{
    if (value == 0) return;
    words.append(words.empty() ? "" : ", ")
        .append(grouped_number(static_cast<std::int64_t>(value)))
        .append(unit);
}

} // namespace

const char* UserView::state(UnixMillis now) const noexcept
{
    if (user.disabled) return "disabled";
    const UnixMillis end = limits.expires_at;
    return end.is_set() && end <= now ? "expired" : "active";
}

UserView view_user(People& people, const User& user, UnixMillis now)
{
    UserView view;
    view.user = user;
    view.limits = effective_limits(people.settings().limits, user.limits, people.registry());
    view.open_links = static_cast<std::size_t>(std::count_if(
        user.setup_tokens.begin(), user.setup_tokens.end(), [now](const SetupToken& token) {
            return now < token.expires_at;
        }));
    const shared::UserSlot slot = shared::find_user(people.segment(), user.id);
    if (!slot.is_set()) return view;
    const shared::UserRecord record = shared::read_user(people.segment(), slot, now);
    view.day_tokens = record.usage.day_tokens;
    view.week_tokens = record.usage.week_tokens;
    view.requests_this_minute = shared::requests_this_minute(record.usage, now);
    view.in_flight = shared::user_in_flight(people.segment(), slot);
    return view;
}

std::vector<UserView> view_users(People& people, UnixMillis now)
{
    std::vector<UserView> all;
    for (const User* user : people.store().users())
        all.push_back(view_user(people, *user, now));
    std::stable_sort(all.begin(), all.end(), [](const UserView& a, const UserView& b) {
        return a.week_tokens > b.week_tokens;
    });
    return all;
}

Json user_json(const UserView& view, UnixMillis now)
{
    const User& user = view.user;
    Json own = Json::object();
    write_limits(user.limits, own);
    Json json{
        {"id", user.id},
        {"email", user.email},
        {"name", user.name},
        {"plan_type", user.plan},
        {"created_at", shared::iso_time(user.created_at)},
        {"disabled", user.disabled},
        {"state", view.state(now)},
        {"generation", user.generation},
        {"version", user.version},
        {"own_limits", own},
        {"limits",
         {{"requests_per_minute", view.limits.requests_per_minute},
          {"tokens_per_day", view.limits.tokens_per_day},
          {"tokens_per_week", view.limits.tokens_per_week},
          {"share_percent", view.limits.share_percent},
          {"concurrency", view.limits.concurrency},
          {"models", view.limits.models.view()}}},
        {"usage",
         {{"tokens_today", view.day_tokens},
          {"tokens_this_week", view.week_tokens},
          {"requests_this_minute", view.requests_this_minute},
          {"in_flight", view.in_flight}}},
        {"open_setup_links", view.open_links}};
    if (user.invited_at.is_set()) json["invited_at"] = shared::iso_time(user.invited_at);
    if (user.limits.expires_at.is_set())
        json["limits"]["expires_at"] = shared::iso_time(user.limits.expires_at);
    return json;
}

std::string users_text(const std::vector<UserView>& users, UnixMillis now)
{
    if (users.empty()) return "no users\n";
    std::vector<std::array<std::string, 6>> rows{
        {"ID", "USER", "STATE", "TODAY", "THIS WEEK", "RUNNING"}};
    for (const UserView& view : users)
        rows.push_back(
            {view.user.id,
             view.user.label() == view.user.id ? "-" : view.user.label(),
             view.state(now),
             std::to_string(view.day_tokens),
             std::to_string(view.week_tokens),
             std::to_string(view.in_flight)});
    return table(rows);
}

std::string user_text(const UserView& view, UnixMillis now)
{
    const User& user = view.user;
    std::string out = "id          " + user.id + '\n';
    const auto add = [&out](const char* name, const std::string& value) {
        if (!value.empty()) out.append(name).append(value).append("\n");
    };
    add("e-mail      ", user.email);
    add("name        ", user.name);
    add("plan        ", user.plan);
    add("state       ", view.state(now));
    add("since       ", shared::iso_time(user.created_at));
    add("expires     ", shared::iso_time(view.limits.expires_at));
    add("keys        ", "generation " + std::to_string(user.generation));
    add("limits      ", limits_in_words(view.limits));
    add("today       ", std::to_string(view.day_tokens) + " tokens");
    add("this week   ", std::to_string(view.week_tokens) + " tokens");
    add("running     ", std::to_string(view.in_flight));
    add("open links  ", std::to_string(view.open_links));
    add("version     ", std::to_string(user.version));
    return out;
}

std::string limits_in_words(const shared::UserLimits& limits)
{
    std::string words;
    add_words(words, limits.tokens_per_day, " tokens a day");
    add_words(words, limits.tokens_per_week, " tokens a week");
    add_words(words, limits.share_percent, " % of the pool");
    add_words(words, limits.requests_per_minute, " requests a minute");
    add_words(words, limits.concurrency, " at a time");
    if (!limits.models.empty())
        words.append(words.empty() ? "" : ", ").append("models ").append(limits.models.view());
    if (limits.providers != 0)
        words.append(words.empty() ? "" : ", ").append("some providers only");
    return words.empty() ? "none" : words;
}

} // namespace admin_ui
