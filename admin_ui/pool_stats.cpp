#include "admin_ui/pool_stats.hpp"

#include "admin_ui/json_text.hpp"
#include "admin_ui/parameters.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>

namespace admin_ui {
namespace {

using shared::AccountCondition;
using shared::UnixMillis;
using shared::UsedShare;
using shared::WindowRecord;

/// As the predecessor called it.
std::string_view health(const AccountView& account)
{
    constexpr double kDegradedPenalty = 0.5;
    switch (account.status.condition) {
    case AccountCondition::cooling:
    case AccountCondition::exhausted:
        return "cooldown";
    case AccountCondition::ready:
    case AccountCondition::busy:
        return account.penalty > kDegradedPenalty ? "degraded" : "healthy";
    default:
        return "dead";
    }
}

Json percent(UsedShare used)
{
    return used.is_known() ? Json(used.fraction() * 100) : Json(nullptr);
}

Json reset_minutes(const WindowRecord& window, UnixMillis now)
{
    constexpr std::int64_t kMinute = 60'000;
    if (window.resets_at <= now) return nullptr;
    return (window.resets_at.value - now.value) / kMinute;
}

Json ratio_percent(std::int64_t part, std::int64_t whole)
{
    if (whole <= 0) return nullptr;
    return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

void add_totals(Json& json, const TokenSums& sums)
{
    json["total_input_tokens"] = sums.input;
    json["total_cached_tokens"] = sums.cached_input;
    json["total_output_tokens"] = sums.output;
    json["total_reasoning_tokens"] = sums.reasoning;
    json["total_billable_tokens"] = sums.billable();
}

Json account_json(const AccountView& account, const std::string& id, UnixMillis now)
{
    const shared::AccountRouting& routing = account.routing;
    Json json;
    json["id"] = id;
    json["type"] = account.provider();
    json["plan_type"] = account.identity.plan.view();
    json["status"] = health(account);
    json["penalty"] = account.penalty;
    json["primary_window_used_pct"] = percent(account.short_used);
    json["secondary_window_used_pct"] = percent(account.long_used);
    json["primary_reset_minutes"] = reset_minutes(routing.short_window, now);
    json["secondary_reset_minutes"] = reset_minutes(routing.long_window, now);
    add_totals(json, account.totals);
    json["cache_hit_rate_pct"] = ratio_percent(account.totals.cached_input, account.totals.input);
    json["has_credits"] = routing.has_credits < 0 ? Json(nullptr) : Json(routing.has_credits != 0);
    return json;
}

/// The mean over those of whom it is known.
Json mean(const std::vector<UsedShare>& shares)
{
    double sum = 0;
    std::size_t known = 0;
    for (const UsedShare share : shares) {
        if (!share.is_known()) continue;
        sum += share.fraction() * 100;
        ++known;
    }
    return known == 0 ? Json(nullptr) : Json(sum / static_cast<double>(known));
}

Json surfaces_json(const UsageReport& report, std::size_t step)
{
    Json json = Json::object();
    for (std::size_t g = 0; g < report.groups.size(); ++g) {
        const std::int64_t tokens = report.cells[step][g].sums.billable();
        if (tokens == 0) continue;
        const std::string& name = report.groups[g].first;
        json[name.empty() ? "none" : name] = tokens;
    }
    return json;
}

std::string date_of(UnixMillis at)
{
    constexpr std::size_t kDateSize = 10;
    return iso_time(at).substr(0, kDateSize);
}

} // namespace

std::string stats_json(
    const PoolView& pool, const TokenSums& last_day, std::size_t users, const StatsViewer& viewer)
{
    std::size_t all = 0;
    std::size_t active = 0;
    std::map<std::string, std::size_t, std::less<>> numbers;
    std::vector<UsedShare> primary;
    std::vector<UsedShare> secondary;
    TokenSums total;
    Json accounts = Json::array();
    for (const AccountView& account : pool.accounts) {
        if (account.status.condition == AccountCondition::removed) continue;
        ++all;
        if (health(account) == "healthy") ++active;
        primary.push_back(account.short_used);
        secondary.push_back(account.long_used);
        total.add(account.totals);
        const std::string provider(account.provider());
        std::string id(account.identity.id.view());
        if (!viewer.is_owner) id = provider + " " + std::to_string(++numbers[provider]);
        accounts.push_back(account_json(account, id, pool.now));
        if (viewer.is_owner) accounts.back()["credits_balance"] = account.routing.credits_balance;
    }
    Json json;
    json["total_accounts"] = all;
    json["active_accounts"] = active;
    json["total_pool_users"] = users;
    json["last_24h_tokens"] = last_day.billable();
    json["accounts"] = std::move(accounts);
    json["aggregate"] = Json::object();
    add_totals(json["aggregate"], total);
    json["aggregate"]["avg_primary_window_used_pct"] = mean(primary);
    json["aggregate"]["avg_secondary_window_used_pct"] = mean(secondary);
    json["aggregate"]["overall_cache_hit_rate_pct"] =
        ratio_percent(total.cached_input, total.input);
    json["generated_at"] = time_json(pool.now);
    return to_text(json);
}

std::string users_json(UserList users, const StatsViewer& viewer)
{
    std::stable_sort(users.begin(), users.end(), [](const auto& a, const auto& b) {
        return a.sums.billable() > b.sums.billable();
    });
    Json json;
    json["users"] = Json::array();
    std::size_t number = 0;
    for (const UsageQuery::UserSums& user : users) {
        const bool shown = viewer.is_owner || user.user == viewer.user;
        Json row;
        row["user_id"] = shown ? user.user : "user " + std::to_string(++number);
        row["is_you"] = !viewer.is_owner && shown;
        row["total_billable_tokens"] = user.sums.billable();
        row["total_input_tokens"] = user.sums.input;
        row["total_output_tokens"] = user.sums.output;
        row["request_count"] = user.sums.requests;
        row["first_seen"] = time_json(user.first_seen);
        row["last_seen"] = time_json(user.sums.last_used);
        json["users"].push_back(std::move(row));
    }
    json["total_users"] = users.size();
    return to_text(json);
}

std::string user_steps_json(std::string_view user, const UsageReport& report)
{
    const bool hourly = report.range.step == UsageStep::hour;
    Json json;
    json["user_id"] = user;
    json[hourly ? "hours" : "days"] = report.steps.size();
    Json& steps = json[hourly ? "hourly" : "daily"] = Json::array();
    for (std::size_t i = 0; i < report.steps.size(); ++i) {
        const TokenSums& sums = report.steps[i].sums;
        if (sums.requests == 0) continue;
        Json row;
        row[hourly ? "hour" : "date"] =
            hourly ? iso_time(report.step_at(i)) : date_of(report.step_at(i));
        row["billable_tokens"] = sums.billable();
        row["request_count"] = sums.requests;
        steps.push_back(std::move(row));
    }
    return to_text(json);
}

std::string daily_breakdown_json(const UsageReport& report, std::size_t accounts)
{
    Json json;
    json["days"] = Json::array();
    for (std::size_t i = 0; i < report.steps.size(); ++i) {
        Json row;
        row["date"] = date_of(report.step_at(i));
        row["surfaces"] = surfaces_json(report, i);
        row["total"] = report.steps[i].sums.billable();
        json["days"].push_back(std::move(row));
    }
    json["account_count"] = accounts;
    return to_text(json);
}

std::string hourly_json(const UsageReport& report)
{
    Json json;
    json["hours"] = report.steps.size();
    json["hourly"] = Json::array();
    for (std::size_t i = 0; i < report.steps.size(); ++i) {
        const TokenSums& sums = report.steps[i].sums;
        Json row;
        row["hour"] = iso_time(report.step_at(i));
        row["surfaces"] = surfaces_json(report, i);
        row["billable_tokens"] = sums.billable();
        row["request_count"] = sums.requests;
        json["hourly"].push_back(std::move(row));
    }
    return to_text(json);
}

std::string whoami_json(const StatsViewer& viewer)
{
    Json json;
    json["user_id"] = viewer.is_owner ? std::string("owner") : viewer.user;
    json["type"] = viewer.is_owner ? "owner" : "pool_user";
    return to_text(json);
}

bool parse_user_path(std::string_view path, UserPath& parsed)
{
    constexpr std::string_view kPrefix = "/api/pool/users/";
    if (!path.starts_with(kPrefix)) return false;
    path.remove_prefix(kPrefix.size());
    const std::size_t slash = path.find('/');
    if (slash == std::string_view::npos || slash == 0) return false;
    const std::string_view what = path.substr(slash + 1);
    if (what != "daily" && what != "hourly") return false;
    // '+' is itself in a path.
    if (path.substr(0, slash).find('+') != std::string_view::npos) return false;
    auto user = decode_component(path.substr(0, slash));
    if (!user || user->empty()) return false;
    parsed.user = std::move(*user);
    parsed.hourly = what == "hourly";
    return true;
}

} // namespace admin_ui
