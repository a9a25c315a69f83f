#include "admin_ui/views.hpp"

#include "admin_ui/json_text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace admin_ui {
namespace {

using shared::AccountCondition;
using shared::UnixMillis;
using shared::UsedShare;
using shared::WindowRecord;

Json tristate(std::int8_t value)
{
    return value < 0 ? Json(nullptr) : Json(value != 0);
}

Json minutes(const WindowRecord& window)
{
    return window.seconds == 0 ? Json(nullptr) : Json(window.seconds / 60);
}

/// The reset that is still to come.
Json reset_json(const WindowRecord& window, UnixMillis now)
{
    return window.resets_at > now ? time_json(window.resets_at) : Json(nullptr);
}

Json usage_json(const AccountView& account, UnixMillis now)
{
    const WindowRecord& primary = account.routing.short_window;
    const WindowRecord& secondary = account.routing.long_window;
    const WindowRecord& newest = primary.seen_at < secondary.seen_at ? secondary : primary;
    Json json;
    json["PrimaryUsed"] = share_json(account.short_used);
    json["SecondaryUsed"] = share_json(account.long_used);
    json["PrimaryUsedPercent"] = share_json(account.short_used);
    json["SecondaryUsedPercent"] = share_json(account.long_used);
    json["PrimaryWindowMinutes"] = minutes(primary);
    json["SecondaryWindowMinutes"] = minutes(secondary);
    json["PrimaryResetAt"] = reset_json(primary, now);
    json["SecondaryResetAt"] = reset_json(secondary, now);
    json["CreditsBalance"] = account.routing.credits_balance;
    json["HasCredits"] = tristate(account.routing.has_credits);
    json["CreditsUnlimited"] = tristate(account.routing.unlimited_credits);
    json["RetrievedAt"] = time_json(newest.seen_at);
    json["Source"] = std::string(shared::to_string(newest.source));
    return json;
}

Json sums_json(const TokenSums& sums)
{
    Json json;
    json["total_input_tokens"] = sums.input;
    json["total_cached_tokens"] = sums.cached_input;
    json["total_cache_creation_tokens"] = sums.cache_creation;
    json["total_output_tokens"] = sums.output;
    json["total_reasoning_tokens"] = sums.reasoning;
    json["total_billable_tokens"] = sums.billable();
    json["request_count"] = sums.requests;
    json["failed_request_count"] = sums.failed_requests;
    json["last_updated"] = time_json(sums.last_used);
    return json;
}

void add_status(Json& json, const shared::AccountStatus& status)
{
    json["state"] = shared::to_string(status.condition);
    json["severity"] = shared::to_string(shared::state_info(status.condition).severity);
    json["reason"] = status.reason.view();
    json["since"] = time_json(status.since);
    json["until"] = time_json(status.until);
    json["source"] = shared::to_string(status.source);
}

Json forecast_json(const shared::Forecast& forecast)
{
    Json json;
    json["empty_at"] = time_json(forecast.empty_at);
    json["confidence"] = shared::to_string(forecast.confidence);
    json["percent_per_hour"] = forecast.percent_per_hour;
    json["tokens_left"] =
        forecast.tokens_left > 0 ? Json(std::llround(forecast.tokens_left)) : Json();
    return json;
}

/// What the owner set, by file or action. A proxy's address may hold a password: only that there is one.
Json options_json(const AccountView& account)
{
    const auto& identity = account.identity;
    const auto& routing = account.routing;
    Json json;
    json["priority"] = routing.priority;
    json["weight"] = routing.weight_percent / 100.0;
    json["max_concurrency"] = routing.max_concurrency;
    json["reserve_percent"] = routing.reserve_percent;
    json["models_allow"] = identity.models_allowed.view();
    json["models_deny"] = identity.models_denied.view();
    json["owner"] = identity.owner.view();
    json["has_proxy"] = !identity.proxy_url.empty();
    return json;
}

Json account_json(const AccountView& account, UnixMillis now)
{
    const auto& identity = account.identity;
    Json json;
    json["id"] = identity.id.view();
    json["type"] = account.provider();
    json["kind"] = identity.kind == 2 ? "api_key" : "oauth";
    json["plan_type"] = identity.plan.view();
    json["account_id"] = identity.account_id.view();
    json["email"] = identity.email.view();
    json["project"] = identity.project.view();
    const shared::AccountStatus& status = account.status;
    add_status(json, status);
    json["condition"] = json["state"]; // its name until 0.1
    json["disabled"] = status.condition == AccountCondition::disabled;
    json["dead"] = status.condition == AccountCondition::failing ||
                   status.condition == AccountCondition::needs_login;
    json["inflight"] = account.in_flight;
    json["expires_at"] = time_json(identity.expires_at);
    json["token_expired"] = account.token_expired;
    json["loaded_at"] = time_json(identity.loaded_at);
    json["last_used"] = time_json(account.routing.last_used);
    json["penalty"] = account.penalty;
    json["pins_moved_away"] = account.moved_away;
    json["pins_moved_here"] = account.moved_here;
    json["problem"] = identity.problem.view();
    json["options"] = options_json(account);
    json["usage"] = usage_json(account, now);
    json["forecast"] = {
        {"short", forecast_json(account.short_forecast)},
        {"long", forecast_json(account.long_forecast)}};
    json["totals"] = sums_json(account.totals);
    json["totals"]["last_primary_pct"] = share_json(account.short_used);
    json["totals"]["last_secondary_pct"] = share_json(account.long_used);
    json["models"] = Json::array();
    for (const ModelSums& model : account.models) {
        Json row;
        row["model"] = model.model;
        row.update(sums_json(model.sums));
        json["models"].push_back(std::move(row));
    }
    return json;
}

Json accounts_array(const PoolView& pool)
{
    Json all = Json::array();
    for (const AccountView& account : pool.accounts)
        all.push_back(account_json(account, pool.now));
    return all;
}

Json worker_json(const WorkerView& worker)
{
    Json json;
    json["slot"] = worker.slot;
    json["pid"] = worker.pid;
    json["listener"] = worker.listener;
    json["generation"] = worker.generation;
    json["state"] = to_string(worker.state);
    json["open_connections"] = worker.open_connections;
    json["running_requests"] = worker.running_requests;
    json["silent_ms"] = worker.silent_ms;
    return json;
}

Json pool_folder_json(const shared::PoolInfo& info)
{
    Json json;
    json["loaded_at"] = time_json(info.loaded_at);
    json["accounts"] = info.accounts;
    json["broken_files"] = info.broken_files;
    json["problems"] = problem_lines(info);
    return json;
}

Json request_json(const RequestEntry& request)
{
    Json json;
    json["row"] = request.row;
    json["request_id"] = request.request_id;
    json["started_at"] = time_json(request.started_at);
    json["finished_at"] = time_json(request.finished_at);
    json["user"] = request.user;
    json["provider"] = request.provider;
    json["account"] = request.account;
    json["model"] = request.model;
    json["path"] = request.path;
    json["status"] = request.status;
    json["attempts"] = request.attempts;
    json["outcome"] = request.outcome;
    json["websocket"] = request.websocket;
    json["input_tokens"] = request.tokens.input;
    json["cached_input_tokens"] = request.tokens.cached_input;
    json["cache_creation_tokens"] = request.tokens.cache_creation;
    json["output_tokens"] = request.tokens.output;
    json["reasoning_tokens"] = request.tokens.reasoning;
    json["duration_ms"] = request.duration_ms;
    json["queued_ms"] = request.queued_ms;
    json["connect_ms"] = request.connect_ms;
    json["first_byte_ms"] = request.first_byte_ms;
    json["own_us"] = request.own_us;
    json["request_bytes"] = request.request_bytes;
    json["response_bytes"] = request.response_bytes;
    json["upstream_request_id"] = request.upstream_request_id;
    return json;
}

} // namespace

std::string accounts_json(const PoolView& pool)
{
    return to_text(accounts_array(pool));
}

std::string status_json(const PoolView& pool, std::string_view mode)
{
    const Verdict state = verdict(pool);
    Json json;
    json["status"] = state.word;
    json["sentence"] = state.sentence;
    json["version"] = CODEX_POOL_VERSION;
    json["mode"] = mode;
    json["now"] = time_json(pool.now);
    json["started_at"] = time_json(pool.started_at);
    json["uptime_seconds"] = pool.uptime_seconds();
    json["inflight"] = pool.in_flight();
    json["pins"] = pool.pins;
    json["pins_moved"] = pool.pins_moved;
    json["waiting"] = pool.waiting;
    json["requests"] = pool.requests;
    json["retries"] = pool.retries;
    json["websockets"] = pool.websockets;
    json["worker_restarts"] = pool.worker_restarts;
    json["usage_writer"] = {{"rows_waiting", pool.rows_waiting}, {"rows_folded", pool.rows_folded}};
    json["pool_folder"] = pool_folder_json(pool.info);
    json["accounts"] = accounts_array(pool);
    json["workers"] = Json::array();
    for (const WorkerView& worker : pool.workers)
        json["workers"].push_back(worker_json(worker));
    return to_text(json);
}

std::string requests_json(const std::vector<RequestEntry>& requests)
{
    Json all = Json::array();
    for (const RequestEntry& request : requests)
        all.push_back(request_json(request));
    return to_text(all);
}

std::string history_json(const RequestEntry& request, std::string_view text)
{
    Json json = request_json(request);
    json["text"] = text;
    return to_text(json);
}

std::string reload_json(const shared::PoolInfo& info, std::uint64_t broken_files)
{
    Json json;
    json["status"] = "ok";
    json.update(pool_folder_json(info));
    json["broken_files"] = broken_files;
    return to_text(json);
}

std::string action_json(
    const Question& question,
    const shared::Message& answer,
    const ActionWords& words,
    const shared::AccountStatus& status)
{
    const auto upstream_status = static_cast<unsigned>(answer.value >> 32U);
    Json json;
    json["status"] = to_string(answer.result);
    json["sentence"] = words.sentence;
    json["account"] = question.account;
    json["action"] = to_string(answer.action);
    json["upstream_status"] = upstream_status == 0 ? Json() : Json(upstream_status);
    add_status(json, status);
    if (words.status >= 400) json["error"] = words.sentence;
    return to_text(json);
}

std::string upload_json(const shared::UploadAnswer& answer)
{
    Json json;
    json["status"] = shared::to_string(answer.end);
    json["sentence"] = answer.sentence;
    json["account"] = answer.account.empty() ? Json(nullptr) : Json(answer.account);
    if (status_of(answer.end) >= 400) json["error"] = answer.sentence;
    return to_text(json);
}

std::string error_json(std::string_view message)
{
    Json json;
    json["error"] = message;
    return to_text(json);
}

std::vector<std::string> problem_lines(const shared::PoolInfo& info)
{
    std::vector<std::string> lines;
    std::string_view rest = info.problems.view();
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        lines.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return lines;
}

} // namespace admin_ui
