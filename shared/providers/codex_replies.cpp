#include "shared/providers/codex.hpp"
#include "shared/providers/pool_errors.hpp"
#include "shared/providers/verdicts.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <utility>

namespace shared::providers::codex {
namespace {

using Json = nlohmann::json;
using http::JsonKind;

// ---- errors --------------------------------------------------------------------------------------------

/// OpenAI's `type` and `code` for each kind of error. Source: the public API's error page, seen 2026-11-22.
struct ErrorWords {
    const char* type;
    const char* code;
};

ErrorWords words_for(const PoolError& error) noexcept
{
    using Kind = PoolError::Kind;
    // This type makes the CLI wait for Retry-After and go on; usage_limit_reached ends its turn at once.
    if (ends_soon(error)) return {"rate_limit_exceeded", "rate_limit_exceeded"};
    switch (error.kind) {
    case Kind::bad_request:
        return {"invalid_request_error", "invalid_request"};
    case Kind::unauthorized:
        return {"invalid_request_error", "invalid_api_key"};
    case Kind::forbidden:
        return {"invalid_request_error", "forbidden"};
    case Kind::not_found:
        return {"invalid_request_error", "not_found"};
    case Kind::body_too_large:
        return {"invalid_request_error", "request_too_large"};
    case Kind::exhausted:
        return {"usage_limit_reached", "usage_limit_reached"};
    case Kind::no_account:
        return {"server_error", "no_account"};
    case Kind::upstream_failed:
        return {"server_error", "upstream_failed"};
    case Kind::deadline:
        return {"server_error", "upstream_timeout"};
    case Kind::overloaded:
        return {"server_error", "overloaded"};
    case Kind::user_limit:
        return {"usage_limit_reached", "user_limit_reached"};
    case Kind::user_disabled:
        return {"invalid_request_error", "user_disabled"};
    }
    return {"server_error", "upstream_failed"};
}

Json error_object(const PoolError& error)
{
    const ErrorWords words = words_for(error);
    Json object{{"message", message_with_reset(error)}, {"type", words.type}, {"code", words.code}};
    if (error.status() != 429) {
        object["param"] = nullptr;
        return object;
    }
    // Codex takes this type for the end of the quota and prints when it comes back; a time that nobody
    // stated is left out.
    if (error.retry_at.is_set()) {
        object["resets_at"] = (error.retry_at.value + 999) / 1000;
        object["resets_in_seconds"] = retry_seconds(error);
    }
    return object;
}

/// What the CLI puts between "You've hit your usage limit." and ", or try again at …": it shows nothing else of the
/// error. Empty where its own words suffice. A field's value, so printable ASCII only.
std::string promo_message(const PoolError& error)
{
    std::string text;
    if (error.kind != PoolError::Kind::user_limit || ends_soon(error)) return text;
    for (const char c : error.message)
        text += c >= ' ' && c <= '~' ? c : '?';
    while (text.ends_with('.') || text.ends_with(' '))
        text.pop_back();
    return text;
}

constexpr const char* kPromoHeader = "x-codex-promo-message";

std::string text_of(const Json& json)
{
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// ---- the account's side of the CLI ----------------------------------------------------------------------

/// One window as `/wham/usage` shows it; null unless use and reset are both known. Whole percent: the CLI
/// reads an integer (openai/codex codex-backend-openapi-models/…/rate_limit_window_snapshot.rs).
Json window_json(const PoolSummary::Window& window, UnixMillis now)
{
    if (!window.used.is_known() || !window.resets_at.is_set()) return nullptr;
    const std::int64_t left = std::max<std::int64_t>(window.resets_at.since(now).count() / 1000, 0);
    return {
        {"used_percent", (window.used.basis_points + 50) / 100},
        {"limit_window_seconds", window.seconds},
        {"reset_after_seconds", left},
        {"reset_at", window.resets_at.value / 1000}};
}

Json percent_or_null(UsedShare used)
{
    if (!used.is_known()) return nullptr;
    return used.basis_points / 100.0;
}

LocalReply usage_reply(const PoolSummary& pool, UnixMillis now)
{
    constexpr std::uint16_t kNearlyAll = 9000;
    const UsedShare week = pool.long_window.used;
    const unsigned dead = pool.all_accounts - std::min(pool.all_healthy, pool.all_accounts);
    return json_reply(
        200,
        {{"plan_type", "pool"},
         {"rate_limit",
          {{"allowed", pool.healthy > 0},
           {"limit_reached", week.is_known() && week.basis_points > kNearlyAll},
           {"primary_window", window_json(pool.short_window, now)},
           {"secondary_window", window_json(pool.long_window, now)}}},
         {"rate_limit_reset_credits", {{"available_count", 0}}},
         {"pool",
          {{"total_accounts", pool.all_accounts},
           {"healthy_accounts", pool.all_healthy},
           {"dead_accounts", dead},
           {"codex_accounts", pool.accounts},
           {"avg_primary_pct", percent_or_null(pool.short_window.used)},
           {"avg_secondary_pct", percent_or_null(week)}}}});
}

/// The interactive CLI ends at start-up unless it finds its own account here. With this origin and no constraint its
/// traffic stays where it is. Source: Codex 0.169.0, measured 2026-11-22 (clients.md 1.5).
LocalReply accounts_check_reply(const http::RequestHead& request)
{
    const BearerClaims claims = bearer_claims(bearer_token(request));
    std::string id(request.fields.find("chatgpt-account-id"));
    if (id.empty()) id = claims.account_id;
    if (id.empty()) id = "pool";
    const Json account{
        {"id", id},
        {"structure", "personal"},
        {"plan_type", claims.plan.empty() ? "pro" : claims.plan},
        {"workspace_backend_origin", "https://chatgpt.com"},
        {"account_routing_override", "NO_CONSTRAINT"}};
    return json_reply(200, {{"accounts", Json::array({account})}, {"default_account_id", id}});
}

// ---- Model Context Protocol --------------------------------------------------------------------------------

LocalReply empty_reply(unsigned status)
{
    LocalReply reply;
    reply.status = status;
    return reply;
}

enum McpValue : std::size_t { mcp_method, mcp_id, mcp_version };

Json mcp_result(std::string_view method, const http::PickedValue& version, bool& known)
{
    known = true;
    if (method == "initialize") {
        constexpr const char* kDefaultVersion = "2025-06-18";
        return {
            {"protocolVersion", version.text.empty() ? kDefaultVersion : version.text},
            {"capabilities", {{"tools", Json::object()}}},
            {"serverInfo", {{"name", "codex-pool"}, {"version", CODEX_POOL_VERSION}}}};
    }
    if (method == "tools/list") return {{"tools", Json::array()}};
    if (method == "resources/list") return {{"resources", Json::array()}};
    if (method == "resources/templates/list") return {{"resourceTemplates", Json::array()}};
    if (method == "prompts/list") return {{"prompts", Json::array()}};
    if (method == "ping") return Json::object();
    known = false;
    return {};
}

/// A server without tools, over streamable HTTP.
LocalReply mcp_reply(const http::RequestHead& request, std::string_view body)
{
    if (request.method == "OPTIONS" || request.method == "DELETE") return empty_reply(204);
    if (request.method == "GET" || request.method == "HEAD") {
        LocalReply reply;
        reply.headers.push_back({"Content-Type", "text/event-stream"});
        return reply;
    }
    constexpr std::array<std::string_view, 3> kPaths{"method", "id", "params.protocolVersion"};
    const http::JsonPaths paths(kPaths);
    http::JsonPicker picker(paths);
    picker.feed(body);
    const auto fault = [](int code, const char* message, Json id) {
        return json_reply(
            code == -32601 ? 200 : 400,
            {{"jsonrpc", "2.0"},
             {"id", std::move(id)},
             {"error", {{"code", code}, {"message", message}}}});
    };
    // (A batch, an array, was never sent and is no longer part of the protocol.)
    const bool object = body.substr(0, body.find_first_not_of(" \t\r\n") + 1).ends_with('{');
    if (!object || picker.malformed() || !picker.complete())
        return fault(-32700, "Parse error", nullptr);

    const http::PickedValue& id = picker[mcp_id];
    // Without an id it is a notification, without a method a reply: neither is answered.
    if (id.kind == JsonKind::absent || !picker[mcp_method].is_string()) return empty_reply(202);
    Json answered_id = nullptr;
    if (id.is_string())
        answered_id = id.text;
    else if (id.kind == JsonKind::number)
        answered_id = Json::parse(id.text, nullptr, false);
    if (answered_id.is_discarded()) answered_id = nullptr;
    bool known = false;
    Json result = mcp_result(picker[mcp_method].text, picker[mcp_version], known);
    if (!known) return fault(-32601, "Method not found", answered_id);
    return json_reply(
        200, {{"jsonrpc", "2.0"}, {"id", std::move(answered_id)}, {"result", std::move(result)}});
}

/// Endpoints there are none of: signing in at the pool is not offered.
LocalReply oauth_discovery_reply()
{
    return json_reply(
        200,
        {{"issuer", ""},
         {"authorization_endpoint", ""},
         {"token_endpoint", ""},
         {"registration_endpoint", ""},
         {"scopes_supported", Json::array()},
         {"response_types_supported", Json::array()},
         {"grant_types_supported", Json::array()},
         {"code_challenge_methods_supported", Json::array()}});
}

} // namespace

LocalReply CodexProvider::answer_locally(
    const Route& route,
    const http::RequestHead& request,
    std::string_view body,
    const PoolSummary& pool,
    UnixMillis now) const
{
    switch (static_cast<Local>(route.local_id)) {
    case Local::usage:
        return usage_reply(pool, now);
    case Local::accounts_check:
        return accounts_check_reply(request);
    case Local::empty_object:
        return json_reply(200, Json::object());
    case Local::empty_body:
        return empty_reply(200);
    case Local::plugins:
        return json_reply(
            200,
            {{"plugins", Json::array()},
             {"pagination", {{"limit", 200}, {"next_page_token", nullptr}}}});
    case Local::plugins_suggested:
        return json_reply(200, {{"enabled", false}, {"plugins", Json::array()}});
    case Local::connectors:
        return json_reply(200, {{"apps", Json::array()}, {"nextToken", nullptr}});
    case Local::mcp:
        return mcp_reply(request, body);
    case Local::oauth_discovery:
        return oauth_discovery_reply();
    case Local::traces:
        return json_reply(200, {{"ok", true}});
    case Local::reset_credits:
        return json_reply(200, {{"available_count", 0}, {"credits", Json::array()}});
    case Local::reset_consume:
        return json_reply(200, {{"code", "no_credit"}, {"windows_reset", 0}});
    case Local::models:
        return json_reply(200, {{"models", Json::array()}});
    case Local::openai_models:
        return json_reply(
            200, {{"object", "list"}, {"data", Json::array()}, {"models", Json::array()}});
    case Local::none:
    case Local::not_served:
        break;
    }
    PoolError error;
    error.kind = PoolError::Kind::not_found;
    error.message =
        "The pool has no account that serves this path; it needs one with an OpenAI API key.";
    error.now = now;
    return error_reply(error, request);
}

LocalReply
CodexProvider::error_reply(const PoolError& error, const http::RequestHead& /*request*/) const
{
    LocalReply reply = json_reply(error.status(), {{"error", error_object(error)}});
    add_retry_after(error, reply);
    add_should_retry(error, reply);
    const std::string promo = promo_message(error);
    if (!promo.empty()) reply.headers.push_back({kPromoHeader, promo});
    return reply;
}

std::string CodexProvider::start_over_message() const
{
    return text_of(
        {{"type", "error"},
         {"status",
          400}, // never together with "status_code": the CLI then ignores the event and hangs
         {"error",
          {{"type", "invalid_request_error"},
           {"code", "previous_response_not_found"},
           {"message", "The previous response is not available here. Send the whole conversation."},
           {"param", "previous_response_id"}}}});
}

std::string CodexProvider::error_message(const PoolError& error) const
{
    Json message{{"type", "error"}, {"status", error.status()}, {"error", error_object(error)}};
    if (const std::int64_t seconds = retry_seconds(error); seconds > 0)
        message["headers"]["retry-after"] = std::to_string(seconds);
    if (const std::string promo = promo_message(error); !promo.empty())
        message["headers"][kPromoHeader] = promo;
    return text_of(message);
}

} // namespace shared::providers::codex
