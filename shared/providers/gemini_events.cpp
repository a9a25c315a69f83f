#include "shared/providers/gemini_wire.hpp"
#include "shared/providers/pool_errors.hpp"
#include "shared/providers/reset_time.hpp"
#include "shared/providers/verdicts.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace shared::providers::gemini {

namespace {

/// The paths of an error, then those of an answer: plain (public API) and inside `response` (Code Assist).
enum EventPath : std::size_t {
    ev_error_code,
    ev_error_status,
    ev_error_message,
    ev_error_reason,
    ev_error_retry_delay,
    ev_error_reset_delay,
    ev_error_reset_point,
    ev_error_quota_id,
    ev_plain,
    ev_wrapped = ev_plain + 9,
    ev_count = ev_wrapped + 9,
};

constexpr std::array<std::string_view, ev_count> kEventPaths{
    "error.code",
    "error.status",
    "error.message",
    "error.details.reason",
    "error.details.retryDelay",
    "error.details.metadata.quotaResetDelay",
    "error.details.metadata.quotaResetTimeStamp",
    "error.details.violations.quotaId",
    "usageMetadata.promptTokenCount",
    "usageMetadata.cachedContentTokenCount",
    "usageMetadata.candidatesTokenCount",
    "usageMetadata.thoughtsTokenCount",
    "usageMetadata.toolUsePromptTokenCount",
    "modelVersion",
    "responseId",
    "candidates[]",
    "candidates.finishReason",
    "response.usageMetadata.promptTokenCount",
    "response.usageMetadata.cachedContentTokenCount",
    "response.usageMetadata.candidatesTokenCount",
    "response.usageMetadata.thoughtsTokenCount",
    "response.usageMetadata.toolUsePromptTokenCount",
    "response.modelVersion",
    "response.responseId",
    "response.candidates[]",
    "response.candidates.finishReason"};

/// Offsets from ev_plain or ev_wrapped.
enum AnswerPath : std::size_t {
    an_prompt,
    an_cached,
    an_candidates_tokens,
    an_thoughts,
    an_tool_prompt,
    an_model,
    an_id,
    an_candidates,
    an_finish_reason,
};

/// Each chunk tells the sums so far: what it tells replaces what was known.
void fold_usage(std::span<const http::PickedValue> answer, ResponseFacts& facts)
{
    const auto prompt = token_count(answer[an_prompt]);
    const auto cached = token_count(answer[an_cached]);
    const auto candidates = token_count(answer[an_candidates_tokens]);
    const auto thoughts = token_count(answer[an_thoughts]);
    if (!prompt && !cached && !candidates && !thoughts) return;

    Usage& sum = facts.usage;
    const std::int64_t known_candidates = sum.output.value - sum.reasoning.value;
    // What tools fed back is billed as input and counted beside the prompt.
    if (prompt) sum.input.value = *prompt + token_count(answer[an_tool_prompt]).value_or(0);
    if (cached) sum.cached_input.value = std::min(*cached, sum.input.value);
    if (thoughts) sum.reasoning.value = *thoughts;
    sum.output.value = candidates.value_or(known_candidates) + sum.reasoning.value;
    facts.has_usage = true;
}

void fold_answer(std::span<const http::PickedValue> answer, ResponseFacts& facts)
{
    fold_usage(answer, facts);
    if (!answer[an_model].text.empty()) facts.model.assign(answer[an_model].text);
    if (!answer[an_id].text.empty()) facts.response_id.assign(answer[an_id].text);
    if (answer[an_candidates].kind != http::JsonKind::absent) facts.generated = true;
    if (answer[an_finish_reason].is_string()) {
        facts.generated = true;
        facts.terminal = true;
    }
}

/// The first "12.5s" or "1h2m3s" after `words` in a message.
std::optional<std::chrono::milliseconds>
duration_after(std::string_view message, std::string_view words)
{
    const auto found =
        std::search(message.begin(), message.end(), words.begin(), words.end(), [](char a, char b) {
            return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
        });
    if (found == message.end()) return std::nullopt;
    std::string_view rest =
        message.substr(static_cast<std::size_t>(found - message.begin()) + words.size());
    rest = rest.substr(0, rest.find_first_not_of("0123456789.dhmsun"));
    while (!rest.empty() && rest.back() == '.') // the end of the sentence
        rest.remove_suffix(1);
    return parse_duration(rest);
}

/// Whether a 429 is about the quota of a day.
bool is_daily(std::span<const http::PickedValue> values)
{
    return contains_any_case(values[ev_error_message].text, "per day") ||
           contains_any_case(values[ev_error_quota_id].text, "PerDay");
}

/// When a 429 ends, from the most exact statement to the vaguest.
UnixMillis reset_of(std::span<const http::PickedValue> values, UnixMillis now)
{
    const std::string_view message = values[ev_error_message].text;
    if (const auto point = parse_future_reset(values[ev_error_reset_point].text, now))
        return *point;
    const auto in = [now](std::optional<std::chrono::milliseconds> wait) {
        return wait ? after(now, *wait).value_or(UnixMillis{}) : UnixMillis{};
    };
    if (const UnixMillis point = in(parse_duration(values[ev_error_reset_delay].text));
        point.is_set())
        return point;
    if (const UnixMillis point = in(duration_after(message, "quota will reset after "));
        point.is_set())
        return point;
    // A day's quota is given out at midnight in California. The RetryInfo beside it is the seconds of another limit.
    if (is_daily(values)) return next_midnight_pacific(now);
    if (const UnixMillis point = in(parse_duration(values[ev_error_retry_delay].text));
        point.is_set())
        return point;
    return in(duration_after(message, "please retry in "));
}

/// Reasons that may stand in logs: a closed list, because the text is the vendor's.
constexpr std::array<std::string_view, 14> kReasons{
    "SERVICE_DISABLED",
    "PERMISSION_DENIED",
    "CONSUMER_INVALID",
    "CONSUMER_SUSPENDED",
    "BILLING_DISABLED",
    "ACCESS_TOKEN_EXPIRED",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    "API_KEY_INVALID",
    "API_KEY_SERVICE_BLOCKED",
    "IAM_PERMISSION_DENIED",
    "VALIDATION_REQUIRED",
    "QUOTA_EXHAUSTED",
    "RATE_LIMIT_EXCEEDED",
    "MODEL_CAPACITY_EXHAUSTED"};

std::string known_reason(std::span<const http::PickedValue> values, std::string_view otherwise)
{
    for (const EventPath path : {ev_error_reason, ev_error_status}) {
        const std::string& text = values[path].text;
        if (std::find(kReasons.begin(), kReasons.end(), text) == kReasons.end()) continue;
        std::string lower(text);
        std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        });
        return lower;
    }
    return std::string(otherwise);
}

std::string_view status_name(PoolError::Kind kind)
{
    switch (kind) {
    case PoolError::Kind::bad_request:
    case PoolError::Kind::body_too_large:
        return "INVALID_ARGUMENT";
    case PoolError::Kind::unauthorized:
        return "UNAUTHENTICATED";
    case PoolError::Kind::forbidden:
    case PoolError::Kind::user_disabled:
        return "PERMISSION_DENIED";
    case PoolError::Kind::not_found:
        return "NOT_FOUND";
    case PoolError::Kind::exhausted:
    case PoolError::Kind::user_limit:
        return "RESOURCE_EXHAUSTED";
    case PoolError::Kind::deadline:
        return "DEADLINE_EXCEEDED";
    case PoolError::Kind::no_account:
    case PoolError::Kind::upstream_failed:
    case PoolError::Kind::overloaded:
        break;
    }
    return "UNAVAILABLE";
}

} // namespace

std::span<const std::string_view> error_path_list() noexcept
{
    return std::span(kEventPaths).first(ev_plain);
}

std::span<const std::string_view> event_path_list() noexcept
{
    return kEventPaths;
}

Verdict read_error(unsigned status, std::span<const http::PickedValue> values, UnixMillis now)
{
    const std::string_view reason = values[ev_error_reason].text;
    switch (status) {
    case 400: // how the public API refuses a key
        if (reason == "API_KEY_INVALID")
            return verdict(Outcome::credential_rejected, "api_key_invalid");
        return {};
    case 401:
        return verdict(Outcome::credential_rejected, known_reason(values, "http_401"));
    case 403:
        return verdict(Outcome::account_refused, known_reason(values, "http_403"));
    case 429: {
        if (reason == "MODEL_CAPACITY_EXHAUSTED") // the model is full for everybody
            return verdict(Outcome::upstream_failed, "model_capacity_exhausted");
        Verdict limited = verdict(
            Outcome::rate_limited,
            known_reason(values, "resource_exhausted"),
            reset_of(values, now));
        limited.used_up = reason == "QUOTA_EXHAUSTED" || is_daily(values);
        return limited;
    }
    default:
        return verdict_of_status(status);
    }
}

void read_event(std::span<const http::PickedValue> values, UnixMillis now, ResponseFacts& facts)
{
    fold_answer(values.subspan(ev_plain, 9), facts);
    fold_answer(values.subspan(ev_wrapped, 9), facts);
    const auto code = values[ev_error_code].integer();
    if (!code) return;
    const auto status = static_cast<unsigned>(*code >= 400 && *code < 600 ? *code : 500);
    const Verdict failure = read_error(status, values, now);
    if (failure.outcome == Outcome::served)
        facts.terminal = true; // the request's own fault: nothing for another account
    else
        facts.failure = failure;
}

LocalReply error_reply(const PoolError& error)
{
    const std::int64_t seconds = retry_seconds(error);
    std::string message = message_with_reset(error);
    nlohmann::json details = nlohmann::json::array();
    // Up to five minutes of RetryInfo the CLI waits, beyond that it stops at once and shows our message.
    if (seconds > 0)
        details.push_back(
            {{"@type", "type.googleapis.com/google.rpc.RetryInfo"},
             {"retryDelay", std::to_string(seconds) + "s"}});
    // Without one it would ask for three minutes: this reason makes it stop, of this domain only.
    else if (error.status() == 429)
        details.push_back(
            {{"@type", "type.googleapis.com/google.rpc.ErrorInfo"},
             {"reason", "QUOTA_EXHAUSTED"},
             {"domain", "cloudcode-pa.googleapis.com"}});
    // A 503 is repeated for as long, unless the message says that the limit is none at all.
    if (error.kind == PoolError::Kind::no_account) message += " (limit: 0)";

    nlohmann::json body;
    body["error"] = {
        {"code", error.status()},
        {"message", std::move(message)},
        {"status", status_name(error.kind)},
        {"details", std::move(details)}};
    LocalReply reply = json_reply(error.status(), body);
    add_retry_after(error, reply);
    return reply;
}

} // namespace shared::providers::gemini
