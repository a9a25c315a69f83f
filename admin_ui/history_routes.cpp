/// The routes that stand on the database: Pool (what was used lately), Usage, Requests, Events, why, and /api/pool.
#include "admin_ui/friend_page.hpp"
#include "admin_ui/history_pages.hpp"
#include "admin_ui/pages.hpp"
#include "admin_ui/routes.hpp"
#include "admin_ui/upload_form.hpp"
#include "admin_ui/usage_page.hpp"
#include "admin_ui/usage_view.hpp"
#include "admin_ui/views.hpp"
#include "admin_ui/why_view.hpp"
#include "shared/base/log.hpp"
#include "shared/segment/account_table.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace admin_ui {
namespace {

using shared::UnixMillis;

constexpr std::size_t kRequestsDefault = 100;
constexpr std::size_t kRequestsOnPage = 50;

TextStyle text_style(Parameters& parameters)
{
    TextStyle style;
    style.colour = parameters.number("color", 0, 0, 1) == 1;
    style.bars = parameters.number("bars", 0, 0, 1) == 1;
    style.columns = static_cast<std::size_t>(parameters.number("columns", 100, 20, 1000));
    return style;
}

/// "429", "4xx", "failed".
void read_status(Parameters& parameters, RequestFilter& filter)
{
    const std::string status = parameters.text("status");
    if (status.empty()) return;
    if (status == "failed") {
        filter.failed = true;
        return;
    }
    const bool is_class =
        status.size() == 3 && status[0] >= '1' && status[0] <= '5' && status.substr(1) == "xx";
    if (is_class) {
        filter.status_from = (status[0] - '0') * 100;
        filter.status_to = filter.status_from + 99;
        return;
    }
    const bool is_number =
        status.size() == 3 &&
        std::all_of(status.begin(), status.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!is_number || status[0] == '0') {
        parameters.complain("status must be one like 429, a class like 5xx, or failed.");
        return;
    }
    filter.status_from = filter.status_to = std::stoi(status);
}

RequestFilter read_filter(Parameters& parameters, std::size_t limit)
{
    RequestFilter filter;
    filter.user = parameters.text("user");
    filter.account = parameters.text("account");
    filter.model = parameters.text("model");
    const std::array<std::string_view, 6> outcomes{
        "", "completed", "client_gone", "upstream_cut", "refused", "worker_killed"};
    filter.outcome = outcomes[parameters.choice(
        "outcome", {"", "completed", "client_gone", "upstream_cut", "refused", "worker_killed"})];
    read_status(parameters, filter);
    filter.from = parameters.time("from");
    filter.to = parameters.time("to");
    if (filter.from.is_set() && filter.to.is_set() && filter.from >= filter.to)
        parameters.complain("from must be before to.");
    constexpr std::int64_t kRowMax = std::int64_t{1} << 53U;
    filter.before = parameters.number("before", 0, 1, kRowMax);
    filter.limit = static_cast<std::size_t>(parameters.number(
        "limit",
        static_cast<std::int64_t>(limit),
        1,
        static_cast<std::int64_t>(kRequestEntriesMax)));
    return filter;
}

/// "/api/pool/users/<id>/daily" and the rest: how far back, and in which steps.
UsageRange stats_range(Page page, Parameters& parameters, UnixMillis now)
{
    const bool hourly = page == Page::stats_user_hourly || page == Page::stats_hourly;
    constexpr std::int64_t kHoursMax = 168;
    constexpr std::int64_t kDaysMax = 90;
    const std::int64_t count = hourly ? parameters.number("hours", 24, 1, kHoursMax)
                                      : parameters.number("days", 30, 1, kDaysMax);
    UsageRange range;
    range.step = hourly ? UsageStep::hour : UsageStep::day;
    range.group = UsageGroup::provider;
    const std::int64_t step = range.step_millis();
    range.to = {(now.value + step - 1) / step * step};
    range.from = {range.to.value - count * step};
    return range;
}

bool is_owner(const PageRequest& request)
{
    return request.caller.role == CallerRole::owner;
}

/// Everything lately, whoever did it.
TokenSums sum_of(const RecentUse& recent)
{
    TokenSums all;
    for (const auto& [account, sums] : recent)
        all.add(sums);
    return all;
}

} // namespace

void Routes::add_model_sums(PoolView& pool)
{
    if (const auto models = usage_.model_sums(); models.has_value()) {
        add_models(pool, *models);
    } else {
        shared::log::warn("event=history_unreadable {}", models.error().text());
    }
}

RecentUse Routes::recent_use(UnixMillis now, std::string& problem)
{
    UsageRange day;
    day.step = UsageStep::hour;
    day.to = {now.value / kHourMillis * kHourMillis + kHourMillis};
    day.from = {day.to.value - kDayMillis};
    RecentUse recent;
    const auto rows = usage_.usage(day);
    if (!rows.has_value()) {
        problem = rows.error().text();
        return recent;
    }
    for (const UsageRow& row : *rows)
        recent[row.account].add(row.sums);
    return recent;
}

PaidByUse Routes::paid_by_use()
{
    std::set<std::string, std::less<>> keys;
    for (const shared::AccountSnapshot& account : shared::snapshot_accounts(segment_)) {
        if (account.identity.kind == 2) keys.emplace(account.identity.id.view());
    }
    return [keys = std::move(keys)](std::string_view account) { return keys.contains(account); };
}

shared::Result<UsageReport> Routes::report(const UsageRange& range)
{
    auto rows = usage_.usage(range);
    if (!rows.has_value()) return rows.error();
    return usage_report(range, *rows, prices_.current(), paid_by_use());
}

PageResponse Routes::status(const PageRequest& request, PoolView pool)
{
    if (!is_owner(request)) return friends_status(request, pool);
    if (wants_json(request)) {
        add_model_sums(pool);
        return made_response(
            200, kJsonType, status_json(pool, settings_.shared_mode ? "shared" : "local"));
    }
    PoolPageView view;
    view.running = running_requests(segment_);
    view.recent = recent_use(pool.now, view.problem);
    view.csrf = csrf_of(request);
    view.add_account = upload_form(registry_, "/admin/accounts", view.csrf, "Add the account");
    return made_response(200, kHtmlType, status_page(pool, view));
}

PageResponse Routes::friends_status(const PageRequest& request, const PoolView& pool)
{
    Parameters parameters("last=7d", {"last", "from", "to", "by", "group", "user"});
    UsageRange week = usage_range(parameters, pool.now);
    week.user = request.caller.user;
    const auto own = report(week);
    if (!own.has_value()) return error_response(request, 503, own.error().text());
    return made_response(200, kHtmlType, friend_page(pool, request.caller.user, *own));
}

PageResponse Routes::usage(const PageRequest& request, bool as_page, UnixMillis now)
{
    Parameters parameters(
        request.query,
        {"from",
         "to",
         "last",
         "by",
         "group",
         "user",
         "cost",
         "format",
         "color",
         "bars",
         "columns"});
    UsageRange range = usage_range(parameters, now);
    const bool owner = is_owner(request);
    const bool others = range.group == UsageGroup::account || range.group == UsageGroup::user ||
                        !(range.user.empty() || range.user == request.caller.user);
    if (!owner && others)
        parameters.complain("You can see your own use only, by provider or model.");
    if (!owner) range.user = request.caller.user;
    const bool list_costs = parameters.choice("cost", {"", "list"}) == 1;
    const bool text = parameters.choice("format", {"", "json", "text"}) == 2 || wants_text(request);
    const TextStyle style = text_style(parameters);
    if (!parameters.problem().empty()) return error_response(request, 400, parameters.problem());
    auto made = report(range);
    if (as_page) {
        UsagePageView view;
        if (made.has_value())
            view.report = std::move(*made);
        else
            view.problem = made.error().text();
        view.report.range = range;
        const bool by_length = !parameters.has("from") && !parameters.has("to");
        view.last = parameters.text("last");
        if (view.last.empty() && by_length) view.last = "7d";
        view.list_costs = list_costs;
        view.audience = owner ? Audience::owner : Audience::friend_;
        return made_response(200, kHtmlType, usage_page(view, prices_.current()));
    }
    if (!made.has_value()) return error_response(request, 503, made.error().text());
    if (text) return made_response(200, kTextType, usage_text(*made, prices_.current(), style));
    return made_response(200, kJsonType, usage_json(*made, prices_.current()));
}

PageResponse Routes::requests(const PageRequest& request, bool as_page, UnixMillis now)
{
    Parameters parameters(
        request.query,
        {"user",
         "account",
         "model",
         "status",
         "outcome",
         "from",
         "to",
         "before",
         "limit",
         "format",
         "color",
         "columns",
         "bars"});
    const RequestFilter filter =
        read_filter(parameters, as_page ? kRequestsOnPage : kRequestsDefault);
    const bool text = parameters.choice("format", {"", "json", "text"}) == 2 || wants_text(request);
    const TextStyle style = text_style(parameters);
    if (!parameters.problem().empty()) return error_response(request, 400, parameters.problem());
    auto found = usage_.find_requests(filter);
    if (as_page) {
        RequestsPageView view;
        view.filter = filter;
        view.status = parameters.text("status");
        view.from = parameters.text("from");
        view.to = parameters.text("to");
        view.now = now;
        if (found.has_value())
            view.page = std::move(*found);
        else
            view.problem = found.error().text();
        return made_response(200, kHtmlType, requests_page(view));
    }
    if (!found.has_value()) return error_response(request, 503, found.error().text());
    const RequestPage& rows = *found;
    if (text) return made_response(200, kTextType, requests_text(rows, style));
    PageResponse answer = made_response(200, kJsonType, requests_json(rows.requests));
    if (rows.next != 0) answer.headers.push_back({"X-Next-Before", std::to_string(rows.next)});
    return answer;
}

PageResponse Routes::why(const PageRequest& request, bool as_page, UnixMillis now)
{
    Parameters parameters(request.query, {"id", "row", "format"});
    const std::string id = parameters.text("id");
    constexpr std::int64_t kRowMax = std::int64_t{1} << 53U;
    const std::int64_t row = parameters.number("row", 0, 1, kRowMax);
    if (!parameters.problem().empty()) return error_response(request, 400, parameters.problem());
    const WhyAnswer answer = explain_request(segment_, usage_, registry_, id, row, now);
    if (as_page) {
        return made_response(
            answer.status, kHtmlType, why_page(id, answer.text, answer.entry, now));
    }
    if (answer.status != 200) return error_response(request, answer.status, answer.text);
    if (wants_text(request)) return made_response(200, kTextType, answer.text);
    return made_response(200, kJsonType, answer.json);
}

PageResponse Routes::events_page(UnixMillis now)
{
    std::vector<shared::Event> events = shared::events_after(segment_, 0);
    std::reverse(events.begin(), events.end());
    return made_response(200, kHtmlType, admin_ui::events_page(events, now));
}

PageResponse Routes::live(const PageRequest& request, UnixMillis now, std::int64_t monotonic_us)
{
    Parameters parameters(request.query, {"format", "once", "running"});
    const bool parts = parameters.choice("format", {"json", "html"}) == 1;
    const bool once = parameters.choice("once", {"0", "1"}) == 1;
    const auto running = static_cast<std::size_t>(
        parameters.number("running", kRunningShownMax, 0, kRunningAskedMax));
    if (!parameters.problem().empty()) return error_response(request, 400, parameters.problem());
    if (once) {
        return made_response(
            200,
            kJsonType,
            live_json(
                observe(segment_, now, monotonic_us),
                running_requests(segment_, running),
                last_events(segment_)));
    }
    PageResponse made = made_response(200, "text/event-stream", "");
    LiveCursor& cursor = made.live.emplace();
    cursor.parts = parts;
    std::string problem; // the page has said it already
    if (parts) cursor.recent = recent_use(now, problem);
    if (parts) cursor.csrf = csrf_of(request);
    return made;
}

PageResponse
Routes::pool_api(Page page, const PageRequest& request, UnixMillis now, std::int64_t monotonic_us)
{
    const StatsViewer viewer{is_owner(request), request.caller.user};
    Parameters parameters(request.query, {"days", "hours"});
    UsageRange range = stats_range(page, parameters, now);
    if (!parameters.problem().empty()) return error_response(request, 400, parameters.problem());
    UserPath path;
    if (parse_user_path(request.path, path)) {
        range.user = path.user;
        // Whether there is such a user is nobody else's business.
        if (!viewer.is_owner && path.user != viewer.user)
            return error_response(request, 403, "You can see your own use only.");
    }
    if (page == Page::whoami) return made_response(200, kJsonType, whoami_json(viewer));
    const PoolView pool = observe(segment_, now, monotonic_us);
    if (page == Page::stats || page == Page::stats_users) {
        auto users = usage_.users();
        if (!users.has_value()) return error_response(request, 503, users.error().text());
        if (page == Page::stats_users)
            return made_response(200, kJsonType, users_json(std::move(*users), viewer));
        std::string problem;
        const TokenSums last_day = sum_of(recent_use(now, problem));
        return made_response(200, kJsonType, stats_json(pool, last_day, users->size(), viewer));
    }
    const auto made = report(range);
    if (!made.has_value()) return error_response(request, 503, made.error().text());
    if (page == Page::stats_daily)
        return made_response(200, kJsonType, daily_breakdown_json(*made, pool.accounts.size()));
    if (page == Page::stats_hourly) return made_response(200, kJsonType, hourly_json(*made));
    return made_response(200, kJsonType, user_steps_json(path.user, *made));
}

} // namespace admin_ui
