// Asking Anthropic for a subscription's quota, and the smallest request that shows whether an account serves.
#include "shared/providers/claude_wire.hpp"
#include "shared/providers/reset_time.hpp"
#include "shared/providers/verdicts.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace shared::providers::claude {

namespace {

enum UsageValue : std::size_t {
    us_five_hour_used,
    us_five_hour_reset,
    us_seven_day_used,
    us_seven_day_reset,
    us_sonnet_used,
    us_sonnet_reset,
    us_opus_used,
    us_opus_reset,
    us_five_hour,
    us_seven_day,
};

constexpr std::array<std::string_view, 10> kUsagePaths{
    "five_hour.utilization",
    "five_hour.resets_at",
    "seven_day.utilization",
    "seven_day.resets_at",
    "seven_day_sonnet.utilization",
    "seven_day_sonnet.resets_at",
    "seven_day_opus.utilization",
    "seven_day_opus.resets_at",
    "five_hour",
    "seven_day"};

/// What Claude Code itself asks when it wants to know whether the subscription serves.
constexpr std::string_view kTestModel = "claude-haiku-4-5";

/// A window whose utilization (0 to 100) is stated; an empty one otherwise.
QuotaWindow
window_at(std::span<const http::PickedValue> values, std::size_t used_at, std::uint32_t seconds)
{
    QuotaWindow window;
    const auto percent = values[used_at].number();
    if (!percent || !std::isfinite(*percent) || *percent < 0) return window;
    window.seconds = seconds;
    window.used = UsedShare::from_fraction(*percent / 100);
    if (const auto point = parse_reset_point(values[used_at + 1].text)) window.resets_at = *point;
    return window;
}

} // namespace

std::span<const std::string_view> usage_path_list() noexcept
{
    return kUsagePaths;
}

UpstreamCall usage_call(const Credential& credential)
{
    UpstreamCall call;
    call.upstream = {ProviderId::claude, 0};
    call.method = "GET";
    call.path = "/api/oauth/usage";
    call.headers = {
        {"Accept", "application/json"},
        {"anthropic-beta", std::string(kOauthBeta)},
        {"Authorization", "Bearer " + std::string(credential.access_token.reveal())}};
    return call;
}

Result<UsageReading> parse_usage(std::span<const http::PickedValue> values, bool complete)
{
    const bool is_usage = values[us_five_hour].kind != http::JsonKind::absent ||
                          values[us_seven_day].kind != http::JsonKind::absent ||
                          values[us_sonnet_used].kind != http::JsonKind::absent ||
                          values[us_opus_used].kind != http::JsonKind::absent;
    if (!complete || !is_usage)
        return Problem{"", "the answer holds no usage", "if it stays so, the vendor changed it"};
    UsageReading reading;
    const QuotaWindow five_hour = window_at(values, us_five_hour_used, kFiveHoursSeconds);
    if (five_hour.seconds != 0) reading.quota.add(five_hour);
    QuotaWindow week = window_at(values, us_seven_day_used, kWeekSeconds);
    if (week.seconds == 0) {
        // Plans without a window of their own: the fuller of the models' weeks.
        const QuotaWindow sonnet = window_at(values, us_sonnet_used, kWeekSeconds);
        const QuotaWindow opus = window_at(values, us_opus_used, kWeekSeconds);
        const bool opus_is_fuller =
            opus.seconds != 0 && (sonnet.seconds == 0 || opus.used > sonnet.used);
        week = opus_is_fuller ? opus : sonnet;
    }
    if (week.seconds != 0) reading.quota.add(week);
    return reading;
}

UpstreamCall test_call(const Credential& credential)
{
    const bool signed_in = credential.kind == CredentialKind::oauth;
    const std::string token(credential.access_token.reveal());
    UpstreamCall call;
    call.upstream = {ProviderId::claude, 0};
    call.path = signed_in ? "/v1/messages?beta=true" : "/v1/messages";
    call.headers = {
        {"Content-Type", "application/json"},
        {"Accept", "application/json"},
        {"anthropic-version", "2023-06-01"}};
    if (signed_in) {
        call.headers.push_back({"anthropic-beta", std::string(kOauthBeta)});
        call.headers.push_back({"Authorization", "Bearer " + token});
    } else {
        call.headers.push_back({"X-Api-Key", token});
    }
    const nlohmann::json body = {
        {"model", kTestModel},
        {"max_tokens", 1},
        {"messages", nlohmann::json::array({{{"role", "user"}, {"content", "quota"}}})}};
    call.body = body.dump();
    return call;
}

} // namespace shared::providers::claude
