#include "admin_ui/live_view.hpp"

#include "admin_ui/account_words.hpp"
#include "admin_ui/json_text.hpp"
#include "admin_ui/status_parts.hpp"
#include "admin_ui/usage_report.hpp"
#include "admin_ui/views.hpp"
#include "shared/segment/event_text.hpp"
#include "shared/segment/worker_slots.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>

#include <fmt/format.h>

namespace admin_ui {
namespace {

using shared::AccountCondition;
using shared::UnixMillis;

constexpr std::int64_t kSecond = 1000;

std::string id_text(const std::array<char, 16>& id)
{
    const std::string_view all(id.data(), id.size());
    return std::string(all.substr(0, all.find('\0')));
}

RunningView view_of(const shared::UsageEntry& entry, const std::vector<std::string>& accounts)
{
    RunningView view;
    view.request_id = id_text(entry.request_id);
    view.user = entry.user.view();
    view.model = entry.model.view();
    view.path = entry.path.view();
    view.websocket = entry.websocket != 0;
    view.started_at = entry.started_at;
    view.tokens.input = entry.input;
    view.tokens.cached_input = entry.cached_input;
    view.tokens.output = entry.output;
    if (entry.account.value < accounts.size()) view.account = accounts[entry.account.value];
    view.provider = provider_of(view.account);
    return view;
}

Json window_json(
    const shared::WindowRecord& window,
    shared::UsedShare used,
    const shared::Forecast& forecast,
    UnixMillis now)
{
    Json json;
    json["seconds"] = window.seconds;
    json["used"] = share_json(used);
    json["resets_at"] = window.resets_at > now ? time_json(window.resets_at) : Json(nullptr);
    json["empty_at"] = time_json(forecast.empty_at);
    json["percent_per_hour"] = forecast.percent_per_hour;
    return json;
}

Json account_json(const AccountView& account, UnixMillis now)
{
    const shared::AccountStatus& status = account.status;
    Json json;
    json["id"] = account.identity.id.view();
    json["provider"] = account.provider();
    json["plan"] = account.identity.plan.view();
    json["state"] = shared::to_string(status.condition);
    json["severity"] = shared::to_string(shared::state_info(status.condition).severity);
    json["reason"] = status.reason.view();
    json["since"] = time_json(status.since);
    json["until"] = time_json(status.until);
    json["note"] = account_note(account, now);
    json["next_step"] = next_step(account);
    json["inflight"] = account.in_flight;
    json["requests"] = account.totals.requests;
    json["short"] =
        window_json(account.routing.short_window, account.short_used, account.short_forecast, now);
    json["long"] =
        window_json(account.routing.long_window, account.long_used, account.long_forecast, now);
    return json;
}

Json running_json(const RunningView& request, UnixMillis now)
{
    Json json;
    json["request_id"] = request.request_id;
    json["user"] = request.user;
    json["provider"] = request.provider;
    json["account"] = request.account.empty() ? Json(nullptr) : Json(request.account);
    json["model"] = request.model;
    json["path"] = request.path;
    json["websocket"] = request.websocket;
    json["started_at"] = time_json(request.started_at);
    json["elapsed_ms"] = std::max<std::int64_t>(0, now.value - request.started_at.value);
    json["input_tokens"] = request.tokens.input;
    json["cached_input_tokens"] = request.tokens.cached_input;
    json["output_tokens"] = request.tokens.output;
    return json;
}

Json worker_json(const WorkerView& worker)
{
    Json json;
    json["slot"] = worker.slot;
    json["pid"] = worker.pid;
    json["state"] = to_string(worker.state);
    json["connections"] = worker.open_connections;
    json["running"] = worker.running_requests;
    json["silent_ms"] = worker.silent_ms;
    return json;
}

/// An account that can serve and will be used up before its window is renewed.
struct Risk {
    const AccountView* account = nullptr;
    UnixMillis at;
    bool weekly = false;
};

bool can_serve(const AccountView& account)
{
    return account.status.condition == AccountCondition::ready ||
           account.status.condition == AccountCondition::busy;
}

Risk first_risk(const PoolView& pool)
{
    Risk first;
    for (const AccountView& account : pool.accounts) {
        if (!can_serve(account)) continue;
        const auto look = [&](const shared::Forecast& forecast, bool weekly) {
            if (forecast.empty_at <= pool.now) return;
            if (first.account != nullptr && forecast.empty_at >= first.at) return;
            first = {&account, forecast.empty_at, weekly};
        };
        look(account.short_forecast, false);
        look(account.long_forecast, true);
    }
    return first;
}

} // namespace

Running running_requests(shared::Segment& segment, std::size_t max)
{
    std::vector<std::string> accounts;
    const std::uint32_t slots = std::min<std::uint32_t>(
        segment.account_slots.load(std::memory_order_acquire), shared::kMaxAccounts);
    for (std::uint32_t i = 0; i < slots; ++i) {
        accounts.emplace_back(
            segment.accounts[i]
                .with_lock([](const shared::AccountRecord& record) { return record.identity.id; })
                .view());
    }
    Running running;
    for (const shared::WorkerSlot& worker : shared::used_slots(segment)) {
        if (worker.state.load(std::memory_order_relaxed) == shared::SlotState::free) continue;
        const std::size_t used = std::min<std::size_t>(
            worker.request_rows_used.load(std::memory_order_relaxed), worker.requests.size());
        for (std::size_t i = 0; i < used; ++i) {
            const shared::RequestRow& row = worker.requests[i];
            if (row.state.load(std::memory_order_acquire) != shared::RequestRow::State::running)
                continue;
            ++running.total;
            running.requests.push_back(view_of(row.entry, accounts));
        }
    }
    std::sort(
        running.requests.begin(),
        running.requests.end(),
        [](const RunningView& a, const RunningView& b) {
            return a.started_at != b.started_at ? a.started_at < b.started_at
                                                : a.request_id < b.request_id;
        });
    if (running.requests.size() > max) running.requests.resize(max);
    return running;
}

std::string next_risk(const PoolView& pool)
{
    const Risk risk = first_risk(pool);
    if (risk.account == nullptr) return {};
    const std::string_view provider = risk.account->provider();
    const auto others =
        std::count_if(pool.accounts.begin(), pool.accounts.end(), [&](const AccountView& account) {
            return &account != risk.account && can_serve(account) && account.provider() == provider;
        });
    std::string text = fmt::format(
        "Next, at the present pace, {} runs out of its {} {}; ",
        risk.account->identity.id.view(),
        risk.weekly ? "week" : "5 hours",
        relative_time(risk.at, pool.now));
    if (others == 0) return text + "no other " + std::string(provider) + " account can serve then.";
    return text + fmt::format(
                      "{} other {} account{} can go on.", others, provider, others == 1 ? "" : "s");
}

std::vector<shared::Event> last_events(shared::Segment& segment)
{
    const std::uint64_t newest =
        segment.events.with_lock([](const shared::EventLog& log) { return log.published; });
    return shared::events_after(segment, newest > kLiveEventsMax ? newest - kLiveEventsMax : 0);
}

std::string
live_json(const PoolView& pool, const Running& running, const std::vector<shared::Event>& events)
{
    const Verdict state = verdict(pool);
    Json json;
    json["at"] = time_json(pool.now);
    json["version"] = CODEX_POOL_VERSION;
    json["uptime_seconds"] = pool.uptime_seconds();
    json["status"] = state.word;
    json["sentence"] = state.sentence;
    json["risk"] = next_risk(pool);
    json["inflight"] = pool.in_flight();
    json["waiting"] = pool.waiting;
    json["requests"] = pool.requests;
    json["server_errors"] = pool.by_status_class[5];
    json["problems"] = problem_lines(pool.info);
    json["events"] = Json::array();
    for (const shared::Event& event : events)
        json["events"].push_back(Json::parse(shared::event_json(event)));
    json["workers"] = Json::array();
    for (const WorkerView& worker : pool.workers)
        json["workers"].push_back(worker_json(worker));
    json["accounts"] = Json::array();
    for (const AccountView& account : pool.accounts)
        json["accounts"].push_back(account_json(account, pool.now));
    json["running_total"] = running.total;
    json["running"] = Json::array();
    for (const RunningView& request : running.requests)
        json["running"].push_back(running_json(request, pool.now));
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<PagePart> live_parts(
    const PoolView& pool, const Running& running, const RecentUse& recent, std::string_view csrf)
{
    std::vector<PagePart> parts;
    parts.push_back({"state", state_part(pool)});
    parts.push_back({"tiles", tiles_part(pool, recent)});
    parts.push_back({"problems", problems_part(pool)});
    parts.push_back({"running", running_part(running, pool.now)});
    parts.push_back({"accounts", account_list_part(pool)});
    for (const AccountView& account : pool.accounts)
        parts.push_back(
            {account_element_id(account), account_part(account, recent, csrf, pool.now)});
    parts.push_back({"processes", workers_part(pool)});
    return parts;
}

std::string
next_live(shared::Segment& segment, LiveCursor& cursor, UnixMillis now, std::int64_t monotonic_us)
{
    if (now < cursor.next_at) return {};
    cursor.next_at = {now.value + kSecond};
    const PoolView pool = observe(segment, now, monotonic_us);
    const Running running = running_requests(segment);
    if (!cursor.parts) {
        const std::string snapshot = live_json(pool, running, last_events(segment));
        return "event: snapshot\ndata: " + snapshot + "\n\n";
    }
    std::string out;
    for (const PagePart& part : live_parts(pool, running, cursor.recent, cursor.csrf)) {
        const std::size_t hash = std::hash<std::string>()(part.html.str());
        const auto known = cursor.sent.find(part.id);
        if (known != cursor.sent.end() && known->second == hash) continue;
        cursor.sent.insert_or_assign(part.id, hash);
        Json json;
        json["id"] = part.id;
        json["html"] = part.html.str();
        out += "event: part\ndata: ";
        out += json.dump(-1, ' ', false, Json::error_handler_t::replace);
        out += "\n\n";
    }
    return out;
}

} // namespace admin_ui
