// Asking ChatGPT for an account's quota, and the smallest request that shows whether an account serves.
#include "shared/providers/codex.hpp"
#include "shared/providers/credential_json.hpp"
#include "shared/providers/reset_time.hpp"
#include "shared/providers/verdicts.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace shared::providers::codex {
namespace {

using nlohmann::json;

enum UsageValue : std::size_t {
    us_plan,
    us_rate_limit,
    us_primary, // + UsageWindow
    us_secondary = us_primary + 4,
    us_has_credits = us_secondary + 4,
    us_unlimited,
    us_balance,
};

enum UsageWindow : std::size_t { uw_percent, uw_seconds, uw_reset_at, uw_reset_after };

// Source: reference/wire.md 5.1; numbers have been seen as strings.
constexpr std::array<std::string_view, 13> kUsagePaths{
    "plan_type",
    "rate_limit",
    "rate_limit.primary_window.used_percent",
    "rate_limit.primary_window.limit_window_seconds",
    "rate_limit.primary_window.reset_at",
    "rate_limit.primary_window.reset_after_seconds",
    "rate_limit.secondary_window.used_percent",
    "rate_limit.secondary_window.limit_window_seconds",
    "rate_limit.secondary_window.reset_at",
    "rate_limit.secondary_window.reset_after_seconds",
    "credits.has_credits",
    "credits.unlimited",
    "credits.balance"};

/// Any model of the CLI's own list will do; this one was served in every measured configuration.
constexpr std::string_view kTestModel = "gpt-5.5";

SentWindow window_at(const http::JsonPicker& picker, std::size_t first, UnixMillis now)
{
    SentWindow window;
    window.percent = picker[first + uw_percent].number();
    window.seconds = picker[first + uw_seconds].integer();
    if (const auto point = parse_reset_point(picker[first + uw_reset_at].text))
        window.resets_at = *point;
    else
        window.resets_at = after_seconds(picker[first + uw_reset_after].text, now);
    return window;
}

std::optional<bool> boolean(const http::PickedValue& value)
{
    if (value.kind != http::JsonKind::boolean) return std::nullopt;
    return value.is_true();
}

void add_credentials(const Credential& credential, UpstreamCall& call)
{
    call.headers.push_back(
        {"Authorization", "Bearer " + std::string(credential.access_token.reveal())});
    if (credential.kind == CredentialKind::oauth && !credential.account_id.empty())
        call.headers.push_back({"ChatGPT-Account-ID", credential.account_id});
}

} // namespace

std::span<const std::string_view> usage_path_list() noexcept
{
    return kUsagePaths;
}

std::optional<UpstreamCall> CodexProvider::usage_call(const Credential& credential) const
{
    if (credential.kind != CredentialKind::oauth) return std::nullopt; // keys have no windows
    UpstreamCall call;
    call.upstream = upstream(Upstream::chatgpt);
    call.method = "GET";
    call.path = "/wham/usage";
    call.headers.push_back({"Accept", "application/json"});
    add_credentials(credential, call);
    return call;
}

Result<UsageReading> CodexProvider::parse_usage(const CallReply& reply, UnixMillis now) const
{
    http::JsonPicker picker(usage_paths_);
    picker.feed(reply.body);
    const bool is_usage = picker[us_rate_limit].kind != http::JsonKind::absent ||
                          picker[us_plan].kind != http::JsonKind::absent;
    if (!picker.complete() || !is_usage)
        return Problem{"", "the answer holds no usage", "if it stays so, the vendor changed it"};
    UsageReading reading;
    add_windows(
        window_at(picker, us_primary, now), window_at(picker, us_secondary, now), reading.quota);
    reading.quota.has_credits = boolean(picker[us_has_credits]);
    reading.quota.unlimited = boolean(picker[us_unlimited]);
    reading.quota.credits_balance = picker[us_balance].number();
    if (picker[us_plan].is_string() && !picker[us_plan].truncated)
        reading.plan = to_lower(picker[us_plan].text);
    return reading;
}

std::optional<UpstreamCall> CodexProvider::test_call(const Credential& credential) const
{
    const bool signed_in = credential.kind == CredentialKind::oauth;
    UpstreamCall call;
    call.upstream = upstream(signed_in ? Upstream::codex : Upstream::openai_api);
    call.path = "/responses";
    call.headers.push_back({"Content-Type", "application/json"});
    call.headers.push_back({"Accept", signed_in ? "text/event-stream" : "application/json"});
    add_credentials(credential, call);
    const json text = {{"type", "input_text"}, {"text", "Say ok."}};
    json body = {
        {"model", kTestModel},
        {"instructions", "Answer with one word."},
        {"input",
         json::array({{{"type", "message"}, {"role", "user"}, {"content", json::array({text})}}})},
        {"store", false},
        {"stream", signed_in}};
    if (!signed_in) body["max_output_tokens"] = 16; // the least the public API takes
    call.body = body.dump();
    return call;
}

} // namespace shared::providers::codex
