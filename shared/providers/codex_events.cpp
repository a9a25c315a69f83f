#include "shared/providers/codex.hpp"
#include "shared/providers/reset_time.hpp"
#include "shared/providers/verdicts.hpp"

#include <algorithm>

namespace shared::providers::codex {
using http::PickedValue;

namespace {

enum EventValue : std::size_t {
    ev_type,
    ev_id,
    ev_model,
    ev_object,
    ev_finish_reason,
    ev_status,
    ev_code,
    ev_error,
    ev_error_code,
    ev_error_type,
    ev_error_resets_at,
    ev_error_resets_in,
    ev_headers_retry_after,
    ev_response_id,
    ev_response_model,
    ev_response_error_code,
    ev_response_error_type,
    ev_response_error_resets_at,
    ev_response_error_resets_in,
    ev_response_usage, ///< five values, see UsageValue
    ev_usage = ev_response_usage + 5,
    ev_prompt_tokens = ev_usage + 5,
    ev_completion_tokens,
    ev_prompt_cached,
    ev_completion_reasoning,
    ev_last_input,
    ev_last_cached,
    ev_last_output,
    ev_last_reasoning,
    ev_primary, ///< seven values, see WindowValue
    ev_secondary = ev_primary + 7,
    ev_legacy_primary = ev_secondary + 7, ///< percent, seconds, reset_at
    ev_legacy_secondary = ev_legacy_primary + 3,
    ev_has_credits = ev_legacy_secondary + 3,
    ev_unlimited,
    ev_balance,
    ev_metered_limit,
    ev_count,
};

enum UsageValue : std::size_t { us_input, us_cached, us_cache_read, us_output, us_reasoning };

enum WindowValue : std::size_t {
    win_percent,
    win_minutes,
    win_limit_minutes,
    win_limit_seconds,
    win_seconds,
    win_reset_at,
    win_reset_after,
};

constexpr std::array<std::string_view, ev_count> kEventPaths{
    "type",
    "id",
    "model",
    "object",
    "choices.finish_reason",
    "status",
    "code",
    "error",
    "error.code",
    "error.type",
    "error.resets_at",
    "error.resets_in_seconds",
    "headers.retry-after",
    "response.id",
    "response.model",
    "response.error.code",
    "response.error.type",
    "response.error.resets_at",
    "response.error.resets_in_seconds",
    "response.usage.input_tokens",
    "response.usage.input_tokens_details.cached_tokens",
    "response.usage.cache_read_input_tokens",
    "response.usage.output_tokens",
    "response.usage.output_tokens_details.reasoning_tokens",
    "usage.input_tokens",
    "usage.input_tokens_details.cached_tokens",
    "usage.cache_read_input_tokens",
    "usage.output_tokens",
    "usage.output_tokens_details.reasoning_tokens",
    "usage.prompt_tokens",
    "usage.completion_tokens",
    "usage.prompt_tokens_details.cached_tokens",
    "usage.completion_tokens_details.reasoning_tokens",
    "info.last_token_usage.input_tokens",
    "info.last_token_usage.cached_input_tokens",
    "info.last_token_usage.output_tokens",
    "info.last_token_usage.reasoning_output_tokens",
    "rate_limits.primary.used_percent",
    "rate_limits.primary.window_minutes",
    "rate_limits.primary.limit_window_minutes",
    "rate_limits.primary.limit_window_seconds",
    "rate_limits.primary.window_seconds",
    "rate_limits.primary.reset_at",
    "rate_limits.primary.reset_after_seconds",
    "rate_limits.secondary.used_percent",
    "rate_limits.secondary.window_minutes",
    "rate_limits.secondary.limit_window_minutes",
    "rate_limits.secondary.limit_window_seconds",
    "rate_limits.secondary.window_seconds",
    "rate_limits.secondary.reset_at",
    "rate_limits.secondary.reset_after_seconds",
    "rate_limit.primary_window.used_percent",
    "rate_limit.primary_window.limit_window_seconds",
    "rate_limit.primary_window.reset_at",
    "rate_limit.secondary_window.used_percent",
    "rate_limit.secondary_window.limit_window_seconds",
    "rate_limit.secondary_window.reset_at",
    "credits.has_credits",
    "credits.unlimited",
    "credits.balance",
    "metered_limit_name"};
static_assert(kEventPaths.back() == "metered_limit_name" && ev_count <= http::JsonPaths::kPathsMax);
static_assert(kEventPaths[ev_primary] == "rate_limits.primary.used_percent");

using Values = std::span<const PickedValue>;

TokenCount tokens(const PickedValue& value)
{
    return {token_count(value).value_or(0)};
}

/// Sets the facts' usage; what OpenAI calls input already includes what came from its cache.
void set_usage(const Usage& usage, ResponseFacts& facts)
{
    facts.usage = usage;
    facts.usage.cached_input = std::min(usage.cached_input, usage.input);
    facts.usage.reasoning = std::min(usage.reasoning, usage.output);
    facts.has_usage = true;
}

void read_usage(Values values, std::size_t at, ResponseFacts& facts)
{
    const Values u = values.subspan(at, 5);
    const auto input = token_count(u[us_input]);
    const auto output = token_count(u[us_output]);
    if (!input && !output) return;
    const PickedValue& cached =
        u[us_cached].kind == http::JsonKind::number ? u[us_cached] : u[us_cache_read];
    set_usage(
        {.input = {input.value_or(0)},
         .cached_input = tokens(cached),
         .cache_creation = {},
         .output = {output.value_or(0)},
         .reasoning = tokens(u[us_reasoning])},
        facts);
}

/// The older spellings: Chat Completions and `token_count`.
void read_older_usage(Values v, ResponseFacts& facts)
{
    if (token_count(v[ev_prompt_tokens]))
        set_usage(
            {.input = tokens(v[ev_prompt_tokens]),
             .cached_input = tokens(v[ev_prompt_cached]),
             .cache_creation = {},
             .output = tokens(v[ev_completion_tokens]),
             .reasoning = tokens(v[ev_completion_reasoning])},
            facts);
    if (token_count(v[ev_last_input]))
        set_usage(
            {.input = tokens(v[ev_last_input]),
             .cached_input = tokens(v[ev_last_cached]),
             .cache_creation = {},
             .output = tokens(v[ev_last_output]),
             .reasoning = tokens(v[ev_last_reasoning])},
            facts);
}

SentWindow window_in_event(Values w, UnixMillis now)
{
    SentWindow window;
    window.percent = w[win_percent].number();
    if (!window.percent) return window;
    if (const auto seconds = w[win_limit_seconds].integer())
        window.seconds = seconds;
    else if (const auto other = w[win_seconds].integer())
        window.seconds = other;
    else if (const auto minutes = w[win_minutes].number())
        window.seconds = seconds_of_minutes(*minutes);
    else if (const auto limit = w[win_limit_minutes].number())
        window.seconds = seconds_of_minutes(*limit);
    if (const auto point = parse_reset_point(w[win_reset_at].text))
        window.resets_at = *point;
    else
        window.resets_at = after_seconds(w[win_reset_after].text, now);
    return window;
}

SentWindow legacy_window(Values w)
{
    SentWindow window;
    window.percent = w[0].number();
    window.seconds = w[1].integer();
    if (const auto point = parse_reset_point(w[2].text)) window.resets_at = *point;
    return window;
}

void read_quota(Values v, UnixMillis now, QuotaUpdate& quota)
{
    const Values mine = v.subspan(ev_primary);
    const bool any = std::any_of(mine.begin(), mine.end(), [](const PickedValue& value) {
        return value.kind != http::JsonKind::absent;
    });
    if (!any) return; // as of nearly all answers
    // Limits of single models or features are named; only the account's own counts for the pick.
    const PickedValue& limit = v[ev_metered_limit];
    if (limit.is_string() && !limit.text.empty() && limit.text != "codex") return;
    QuotaUpdate update;
    add_windows(
        window_in_event(v.subspan(ev_primary, 7), now),
        window_in_event(v.subspan(ev_secondary, 7), now),
        update);
    if (update.count == 0)
        add_windows(
            legacy_window(v.subspan(ev_legacy_primary, 3)),
            legacy_window(v.subspan(ev_legacy_secondary, 3)),
            update);
    if (v[ev_has_credits].kind == http::JsonKind::boolean)
        update.has_credits = v[ev_has_credits].is_true();
    if (v[ev_unlimited].kind == http::JsonKind::boolean)
        update.unlimited = v[ev_unlimited].is_true();
    update.credits_balance = v[ev_balance].number();

    if (update.count > 0) {
        quota.windows = update.windows;
        quota.count = update.count;
    }
    if (update.has_credits) quota.has_credits = update.has_credits;
    if (update.unlimited) quota.unlimited = update.unlimited;
    if (update.credits_balance) quota.credits_balance = update.credits_balance;
}

/// The same judgement as classify(), of an error that came inside a stream. `status` is 0 if it states none.
Verdict judge(unsigned status, std::string_view word, UnixMillis until)
{
    if (word == kUsedUp) return used_up(word, until);
    if (word == "rate_limit_exceeded" || word == "insufficient_quota")
        return verdict(Outcome::rate_limited, word, until);
    if (word == "usage_not_included" || word == "deactivated_workspace" || word == "missing_scope")
        return verdict(Outcome::account_refused, word);
    if (!word.empty()) return verdict(Outcome::upstream_failed, word);
    if (status != 0) {
        Verdict by_status = verdict_of_status(status);
        if (by_status.outcome == Outcome::rate_limited) by_status.until = until;
        if (by_status.outcome != Outcome::served) return by_status;
    }
    return verdict(
        Outcome::served,
        "request_error"); // the client's own business: too long, refused, unknown id
}

void fail(const Verdict& why, ResponseFacts& facts)
{
    facts.failure = why;
    facts.terminal = true;
    // Nobody else would answer better: nothing is to be held back.
    if (why.outcome == Outcome::served) facts.generated = true;
}

void read_error_event(Values v, UnixMillis now, ResponseFacts& facts)
{
    std::string_view word = known_word(v[ev_error_code], v[ev_error_type]);
    if (word.empty()) word = known_word(v[ev_code], v[ev_code]);
    UnixMillis until = reset_in_body(v[ev_error_resets_at], v[ev_error_resets_in], now);
    if (!until.is_set()) until = after_seconds(v[ev_headers_retry_after].text, now);
    const std::int64_t status = v[ev_status].integer().value_or(0);
    fail(
        judge(status > 0 && status < 1000 ? static_cast<unsigned>(status) : 0, word, until), facts);
}

/// The events that carry the response itself; all others carry output.
enum class Stage : std::uint8_t { begun, output, ended, failed };

Stage stage_of(std::string_view type) noexcept
{
    type.remove_prefix(std::string_view("response.").size());
    if (type == "created" || type == "in_progress" || type == "queued") return Stage::begun;
    if (type == "completed" || type == "incomplete" || type == "done") return Stage::ended;
    return type == "failed" ? Stage::failed : Stage::output;
}

void read_response_event(Values v, Stage stage, UnixMillis now, ResponseFacts& facts)
{
    if (v[ev_response_id].is_string()) facts.response_id.assign(v[ev_response_id].text);
    if (v[ev_response_model].is_string()) facts.model.assign(v[ev_response_model].text);
    read_usage(v, ev_response_usage, facts);
    if (stage == Stage::failed)
        fail(
            judge(
                0,
                known_word(v[ev_response_error_code], v[ev_response_error_type]),
                reset_in_body(v[ev_response_error_resets_at], v[ev_response_error_resets_in], now)),
            facts);
    if (stage == Stage::ended) {
        facts.generated = true;
        facts.terminal = true;
    }
}

/// An answer that is one document, or a chunk of Chat Completions.
void read_document(Values v, UnixMillis now, ResponseFacts& facts)
{
    if (v[ev_error].kind == http::JsonKind::object && v[ev_object].text != "response") {
        read_error_event(v, now, facts);
        return;
    }
    if (v[ev_id].is_string()) facts.response_id.assign(v[ev_id].text);
    if (v[ev_model].is_string()) facts.model.assign(v[ev_model].text);
    facts.generated = true;
    const bool chunk = v[ev_object].text == "chat.completion.chunk";
    if (!chunk || v[ev_finish_reason].is_string()) facts.terminal = true;
    if (v[ev_object].text == "response" && v[ev_status].text == "failed")
        fail(
            judge(
                0,
                known_word(v[ev_error_code], v[ev_error_type]),
                reset_in_body(v[ev_error_resets_at], v[ev_error_resets_in], now)),
            facts);
}

} // namespace

std::span<const std::string_view> event_path_list() noexcept
{
    return kEventPaths;
}

const http::JsonPaths& CodexProvider::event_paths() const noexcept
{
    return event_paths_;
}

// Source: Codex 0.169.0 and the Responses API; `codex.rate_limits` is what openai/codex
// codex-rs/codex-api/src/rate_limits.rs reads.
void CodexProvider::read_event(
    std::span<const http::PickedValue> values, UnixMillis now, ResponseFacts& facts) const
{
    const std::string_view type = values[ev_type].text;
    const bool of_response = type.starts_with("response.");
    const Stage stage = of_response ? stage_of(type) : Stage::begun;
    if (stage == Stage::output) { // nearly all events are such, and they say nothing else
        facts.generated = true;
        return;
    }
    read_quota(values, now, facts.quota);
    read_usage(values, ev_usage, facts);
    read_older_usage(values, facts);
    if (of_response)
        read_response_event(values, stage, now, facts);
    else if (type == "error")
        read_error_event(values, now, facts);
    else if (type.empty())
        read_document(values, now, facts);
}

} // namespace shared::providers::codex
