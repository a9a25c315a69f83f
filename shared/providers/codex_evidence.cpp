#include "shared/providers/codex.hpp"
#include "shared/providers/reset_time.hpp"
#include "shared/providers/verdicts.hpp"

#include <algorithm>

namespace shared::providers::codex {
namespace {

using http::JsonPicker;
using http::PickedValue;

enum ErrorValue : std::size_t {
    err_code,
    err_type,
    err_message,
    err_resets_at,
    err_resets_in,
    err_detail,
    err_detail_code,
};

constexpr std::array<std::string_view, 7> kErrorPaths{
    "error.code",
    "error.type",
    "error.message",
    "error.resets_at",
    "error.resets_in_seconds",
    "detail",
    "detail.code"};

/// The reasons this file gives. Nothing else of an error body goes anywhere.
constexpr std::array<std::string_view, 10> kVocabulary{
    "usage_limit_reached",
    "rate_limit_exceeded",
    "insufficient_quota",
    "usage_not_included",
    "deactivated_workspace",
    "server_error",
    "server_is_overloaded",
    "slow_down",
    "unsupported_country_region_territory",
    "missing_scope"};

/// "The 'x' model is not supported when using Codex with a ChatGPT account." and its relatives: another account may
/// well have the model.
bool says_model_unavailable(std::string_view text) noexcept
{
    return contains_any_case(text, "model") &&
           (contains_any_case(text, "not supported when using codex") ||
            contains_any_case(text, "not available") ||
            contains_any_case(text, "do not have access") ||
            contains_any_case(text, "does not have access"));
}

/// The platform's own way: "x-ratelimit-reset-requests: 6m0s". Of the limits that are used up the last to end;
/// if none says that it is, of all.
UnixMillis ratelimit_reset(const http::ResponseHead& response, UnixMillis now)
{
    constexpr std::array<std::string_view, 2> kKinds{"requests", "tokens"};
    UnixMillis of_exhausted;
    UnixMillis of_any;
    for (const std::string_view kind : kKinds) {
        const std::string suffix(kind);
        const std::string_view value = response.fields.find("x-ratelimit-reset-" + suffix);
        auto wait = parse_duration(value);
        if (!wait) wait = parse_seconds(value);
        if (!wait || wait->count() <= 0) continue;
        const UnixMillis end = after(now, *wait).value_or(UnixMillis{});
        of_any = std::max(of_any, end);
        if (response.fields.find("x-ratelimit-remaining-" + suffix) == "0")
            of_exhausted = std::max(of_exhausted, end);
    }
    if (of_exhausted.is_set()) return of_exhausted;
    if (of_any.is_set()) return of_any;
    return parse_future_reset(response.fields.find("x-ratelimit-reset"), now)
        .value_or(UnixMillis{});
}

/// Of the windows that are used up, the last to end.
UnixMillis exhausted_window_reset(const QuotaUpdate& quota, UnixMillis now) noexcept
{
    UnixMillis latest;
    for (std::size_t i = 0; i < quota.count; ++i) {
        const QuotaWindow& window = quota.windows[i];
        if (window.used.is_full() && window.resets_at > now)
            latest = std::max(latest, window.resets_at);
    }
    return latest;
}

} // namespace

std::string_view known_word(const PickedValue& code, const PickedValue& type) noexcept
{
    for (const std::string_view word : kVocabulary)
        if (code.text == word || type.text == word) return word;
    return {};
}

UnixMillis reset_in_body(const PickedValue& at, const PickedValue& in, UnixMillis now)
{
    if (const auto point = parse_future_reset(at.text, now)) return *point;
    if (const auto wait = parse_seconds(in.text); wait && wait->count() > 0)
        return after(now, *wait).value_or(UnixMillis{});
    return {};
}

std::span<const std::string_view> error_path_list() noexcept
{
    return kErrorPaths;
}

Verdict CodexProvider::classify(
    const http::ResponseHead& response, std::string_view body, UnixMillis now) const
{
    if (response.status < 400 || response.status == 404) return {};
    if (is_cloudflare_challenge(response) && response.status < 500)
        return verdict(Outcome::upstream_failed, "cloudflare_challenge");

    JsonPicker picker(error_paths_);
    picker.feed(body);
    const std::string_view word = known_word(picker[err_code], picker[err_type]);
    switch (response.status) {
    case 400: {
        if (!says_model_unavailable(picker[err_message].text) &&
            !says_model_unavailable(picker[err_detail].text))
            return {};
        Verdict unavailable = verdict(Outcome::account_refused, kModelUnavailable);
        unavailable.about_request = true;
        return unavailable;
    }
    case 401:
        // The key is good, but may not do this.
        if (word == "missing_scope") return verdict(Outcome::account_refused, word);
        break;
    case 402:
        if (picker[err_detail_code].text == "deactivated_workspace" ||
            word == "deactivated_workspace")
            return verdict(Outcome::account_refused, "deactivated_workspace");
        break;
    case 403:
        // The machine's place, not the account: every other one would be refused as well.
        if (word == "unsupported_country_region_territory")
            return verdict(Outcome::upstream_failed, word);
        if (!word.empty()) return verdict(Outcome::account_refused, word);
        break;
    case 429: {
        if (word == "usage_not_included") return verdict(Outcome::account_refused, word);
        UnixMillis until = reset_in_body(picker[err_resets_at], picker[err_resets_in], now);
        if (!until.is_set() && word == kUsedUp)
            until = exhausted_window_reset(quota_from_headers(response, now), now);
        if (!until.is_set()) until = retry_after_of(response, now);
        if (!until.is_set()) until = ratelimit_reset(response, now);
        if (word == kUsedUp) return used_up(word, until);
        return verdict(Outcome::rate_limited, word.empty() ? "http_429" : word, until);
    }
    default:
        break;
    }
    return verdict_of_status(response.status);
}

} // namespace shared::providers::codex
