#include "shared/providers/claude_wire.hpp"

#include "shared/providers/pool_errors.hpp"
#include "shared/providers/reset_time.hpp"
#include "shared/providers/verdicts.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <optional>

namespace shared::providers::claude {

namespace {

using nlohmann::json;

constexpr std::string_view kUnified = "anthropic-ratelimit-unified-";

/// A subscription window and the names it has in fields ("…-unified-5h-…") and in the representative claim.
struct WindowName {
    std::string_view field;
    std::string_view older_field;
    std::string_view claim;
    std::uint32_t seconds;
};

constexpr std::array<WindowName, 2> kWindows{
    {{"5h", "primary", "five_hour", kFiveHoursSeconds},
     {"7d", "secondary", "seven_day", kWeekSeconds}}};

std::string_view unified(const http::ResponseHead& response, std::string_view rest)
{
    std::string name(kUnified);
    name += rest;
    return response.fields.find(name);
}

std::string_view
window_field(const http::ResponseHead& response, const WindowName& window, std::string_view what)
{
    const std::string rest = "-" + std::string(what);
    const std::string_view value = unified(response, std::string(window.field) + rest);
    if (!value.empty()) return value;
    return unified(response, std::string(window.older_field) + rest);
}

std::optional<double> fraction(std::string_view text)
{
    double value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    // A NaN fails the comparison, too.
    if (problem != std::errc() || end != text.data() + text.size() || !(value >= 0))
        return std::nullopt;
    return value > 1 ? value / 100 : value; // fields tell 0 to 1, the API 0 to 100
}

/// The window that `…-unified-status: rejected` is about, if it says so.
bool is_rejected(const http::ResponseHead& response, const WindowName& window)
{
    const std::string_view own = window_field(response, window, "status");
    if (!own.empty()) return http::iequals(own, "rejected");
    return http::iequals(unified(response, "status"), "rejected") &&
           http::iequals(unified(response, "representative-claim"), window.claim);
}

UnixMillis window_reset(const http::ResponseHead& response, const WindowName& window)
{
    if (const auto own = parse_reset_point(window_field(response, window, "reset"))) return *own;
    if (!http::iequals(unified(response, "representative-claim"), window.claim)) return {};
    return parse_reset_point(unified(response, "reset")).value_or(UnixMillis{});
}

/// The latest reset among the per-minute limits of an API key that are used up.
UnixMillis spent_key_limit(const http::ResponseHead& response, UnixMillis now)
{
    UnixMillis latest;
    for (const std::string_view limit : {"requests", "tokens", "input-tokens", "output-tokens"}) {
        const std::string name = "anthropic-ratelimit-" + std::string(limit);
        if (response.fields.find(name + "-remaining") != "0") continue;
        const auto reset = parse_future_reset(response.fields.find(name + "-reset"), now);
        if (reset) latest = std::max(latest, *reset);
    }
    return latest;
}

/// Utilization as the vendor writes it: two decimals.
std::string two_decimals(double value)
{
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "%.2f", value);
    return text.data();
}

void append_field(std::string& head, std::string_view rest, std::string_view value)
{
    head += kUnified;
    head += rest;
    head += ": ";
    head += value;
    head += "\r\n";
}

std::string seconds_of(UnixMillis point)
{
    return std::to_string((point.value + 999) / 1000);
}

json window_json(const PoolSummary::Window& window)
{
    if (!window.used.is_known()) return nullptr;
    json entry;
    entry["utilization"] = window.used.basis_points / 100.0;
    entry["resets_at"] =
        window.resets_at.is_set() ? json(format_rfc3339(window.resets_at)) : json(nullptr);
    return entry;
}

json pool_counts(const PoolSummary& pool)
{
    return {
        {"total_accounts", pool.all_accounts},
        {"healthy_accounts", pool.all_healthy},
        {"claude_accounts", pool.accounts},
        {"healthy_claude_accounts", pool.healthy}};
}

std::string_view error_type(PoolError::Kind kind)
{
    switch (kind) {
    case PoolError::Kind::bad_request:
        return "invalid_request_error";
    case PoolError::Kind::unauthorized:
        return "authentication_error";
    case PoolError::Kind::forbidden:
    case PoolError::Kind::user_disabled:
        return "permission_error";
    case PoolError::Kind::not_found:
        return "not_found_error";
    case PoolError::Kind::body_too_large:
        return "request_too_large";
    case PoolError::Kind::exhausted:
    case PoolError::Kind::user_limit:
        return "rate_limit_error";
    case PoolError::Kind::deadline:
        return "timeout_error";
    case PoolError::Kind::overloaded:
        return "overloaded_error";
    case PoolError::Kind::no_account:
    case PoolError::Kind::upstream_failed:
        break;
    }
    return "api_error";
}

} // namespace

QuotaUpdate read_quota(const http::ResponseHead& response)
{
    QuotaUpdate update;
    for (const WindowName& window : kWindows) {
        QuotaWindow entry;
        entry.seconds = window.seconds;
        entry.resets_at = window_reset(response, window);
        if (const auto used = fraction(window_field(response, window, "utilization")))
            entry.used = UsedShare::from_fraction(*used);
        if (is_rejected(response, window)) entry.used = {UsedShare::kFull};
        if (entry.used.is_known() || entry.resets_at.is_set()) update.add(entry);
    }
    return update;
}

Verdict read_rate_limit(const http::ResponseHead& response, UnixMillis now)
{
    UnixMillis until;
    for (const WindowName& window : kWindows) {
        if (!is_rejected(response, window)) continue;
        const UnixMillis reset = window_reset(response, window);
        if (reset > now && reset.since(now) <= kResetHorizonMax) until = std::max(until, reset);
    }
    if (until.is_set()) return used_up("usage_limit", until);

    const UnixMillis soon = retry_after_of(response, now);
    // "allowed" beside a 429: not the subscription's windows but a short limit or one of the model.
    const std::string_view status = unified(response, "status");
    const std::string_view claim = unified(response, "representative-claim");
    const bool of_one_model =
        contains_any_case(claim, "opus") || contains_any_case(claim, "sonnet");
    const bool of_the_account =
        !of_one_model && (status.empty() || http::iequals(status, "rejected"));
    if (of_the_account) {
        if (const auto reset = parse_future_reset(unified(response, "reset"), now))
            return used_up("usage_limit", *reset);
    }
    // The reset of one model's window is days away; the account still serves the others.
    if (of_one_model) return verdict(Outcome::rate_limited, "model_limit");
    return verdict(
        Outcome::rate_limited, "rate_limit", soon.is_set() ? soon : spent_key_limit(response, now));
}

bool is_quota_field(std::string_view name) noexcept
{
    // The organization id is no quota, but names the account as surely.
    return starts_with_any_case(name, "anthropic-ratelimit-") ||
           starts_with_any_case(name, "anthropic-priority-") ||
           http::iequals(name, "anthropic-organization-id");
}

void append_quota(const PoolSummary& pool, UnixMillis now, std::string& head)
{
    constexpr double kWarnFrom = 0.8;
    const std::array<const PoolSummary::Window*, 2> windows{&pool.short_window, &pool.long_window};
    const PoolSummary::Window* fullest = nullptr;
    std::size_t fullest_index = 0;
    for (std::size_t i = 0; i < windows.size(); ++i) {
        const PoolSummary::Window& window = *windows[i];
        if (!window.used.is_known()) continue;
        const std::string prefix(kWindows[i].field);
        // Never "rejected": the answer that carries these fields was served.
        append_field(
            head,
            prefix + "-status",
            window.used.fraction() > kWarnFrom ? "allowed_warning" : "allowed");
        append_field(head, prefix + "-utilization", two_decimals(window.used.fraction()));
        if (window.resets_at > now)
            append_field(head, prefix + "-reset", seconds_of(window.resets_at));
        if (!fullest || window.used > fullest->used) {
            fullest = &window;
            fullest_index = i;
        }
    }
    if (!fullest) return;
    append_field(
        head, "status", fullest->used.fraction() > kWarnFrom ? "allowed_warning" : "allowed");
    append_field(head, "representative-claim", kWindows[fullest_index].claim);
    if (fullest->resets_at > now) append_field(head, "reset", seconds_of(fullest->resets_at));
}

LocalReply usage_reply(const PoolSummary& pool)
{
    json body;
    body["five_hour"] = window_json(pool.short_window);
    body["seven_day"] = window_json(pool.long_window);
    body["seven_day_opus"] = nullptr;
    body["seven_day_sonnet"] = nullptr;
    body["extra_usage"] = {{"is_enabled", false}, {"utilization", nullptr}};
    body["is_pooled"] = true;
    body["pool"] = pool_counts(pool);
    return json_reply(200, body);
}

LocalReply profile_reply(const PoolSummary& pool)
{
    // Ids that are nobody's: the pool's accounts stay unnamed.
    json body;
    body["account"] = {
        {"uuid", "00000000-0000-4000-8000-000000000001"},
        {"email", "pool@codex-pool.local"},
        {"full_name", "codex-pool"},
        {"display_name", "codex-pool"},
        {"has_claude_max", true},
        {"has_claude_pro", false}};
    body["organization"] = {
        {"uuid", "00000000-0000-4000-8000-000000000002"},
        {"name", "codex-pool"},
        {"organization_type", "claude_max"},
        {"rate_limit_tier", "default_claude_max_20x"},
        {"billing_type", "none"},
        {"has_extra_usage_enabled", false}};
    body["email"] = "pool@codex-pool.local";
    body["email_verified"] = true;
    body["name"] = "codex-pool";
    body["subscription_type"] = "max";
    body["plan_type"] = "max";
    body["is_pooled"] = true;
    body["pool_stats"] = pool_counts(pool);
    return json_reply(200, body);
}

LocalReply client_data_reply()
{
    return json_reply(200, {{"client_data", json::object()}});
}

LocalReply hello_reply()
{
    LocalReply reply;
    reply.headers.push_back({"Content-Type", "text/plain"});
    return reply;
}

LocalReply error_reply(const PoolError& error)
{
    json body;
    body["type"] = "error";
    body["error"] = {{"type", error_type(error.kind)}, {"message", message_with_reset(error)}};
    LocalReply reply = json_reply(error.status(), body);
    add_retry_after(error, reply);
    add_should_retry(error, reply);
    // With a subscription's token the CLI shows "You've hit your usage limit · resets …" if it is told as by the
    // vendor. Without a reset that fits a user's own limit only: an account may come back at any time.
    const bool known_end = error.retry_at.is_set();
    const bool limit = error.status() == 429 && !ends_soon(error) &&
                       (known_end || error.kind == PoolError::Kind::user_limit);
    if (!limit) return reply;
    const std::string unified_name(kUnified);
    reply.headers.push_back({unified_name + "status", "rejected"});
    // Names no window, so that the CLI names none either.
    reply.headers.push_back({unified_name + "representative-claim", "pool"});
    if (known_end) reply.headers.push_back({unified_name + "reset", seconds_of(error.retry_at)});
    return reply;
}

} // namespace shared::providers::claude
