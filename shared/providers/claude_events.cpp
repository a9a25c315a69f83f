#include "shared/providers/claude_wire.hpp"
#include "shared/providers/reset_time.hpp"
#include "shared/providers/verdicts.hpp"

#include <array>

namespace shared::providers::claude {

namespace {

/// In the order of kEventPaths.
enum EventPath : std::size_t {
    ev_type,
    ev_error_type,
    ev_error_message,
    // A whole message, or message_delta's usage.
    ev_model,
    ev_id,
    ev_input,
    ev_cache_read,
    ev_cache_creation,
    ev_output,
    // message_start
    ev_start_model,
    ev_start_id,
    ev_start_input,
    ev_start_cache_read,
    ev_start_cache_creation,
    ev_start_output,
};

constexpr std::array<std::string_view, 15> kEventPaths{
    "type",
    "error.type",
    "error.message",
    "model",
    "id",
    "usage.input_tokens",
    "usage.cache_read_input_tokens",
    "usage.cache_creation_input_tokens",
    "usage.output_tokens",
    "message.model",
    "message.id",
    "message.usage.input_tokens",
    "message.usage.cache_read_input_tokens",
    "message.usage.cache_creation_input_tokens",
    "message.usage.output_tokens"};

/// Folds an event's token counts over what earlier events told: they are cumulative, and fields may be missing.
void fold_usage(
    std::span<const http::PickedValue> values, std::size_t input_at, ResponseFacts& facts)
{
    const auto input = token_count(values[input_at]);
    const auto cache_read = token_count(values[input_at + 1]);
    const auto cache_creation = token_count(values[input_at + 2]);
    const auto output = token_count(values[input_at + 3]);
    if (!input && !cache_read && !cache_creation && !output) return;

    Usage& sum = facts.usage;
    const std::int64_t known_fresh =
        sum.input.value - sum.cached_input.value - sum.cache_creation.value;
    if (cache_read) sum.cached_input.value = *cache_read;
    if (cache_creation) sum.cache_creation.value = *cache_creation;
    // Anthropic's input_tokens leave the cached ones out; ours include them.
    sum.input.value =
        input.value_or(known_fresh) + sum.cached_input.value + sum.cache_creation.value;
    if (output) sum.output.value = *output;
    facts.has_usage = true;
}

/// What the vendor's word for an error means.
std::optional<Verdict> verdict_of_error_type(std::string_view type)
{
    if (type == "overloaded_error") return verdict(Outcome::upstream_failed, "overloaded_error");
    if (type == "api_error") return verdict(Outcome::upstream_failed, "api_error");
    if (type == "timeout_error") return verdict(Outcome::upstream_failed, "timeout_error");
    if (type == "rate_limit_error") return verdict(Outcome::rate_limited, "rate_limit_error");
    if (type == "authentication_error")
        return verdict(Outcome::credential_rejected, "authentication_error");
    if (type == "permission_error") return verdict(Outcome::account_refused, "permission_error");
    if (type == "billing_error") return verdict(Outcome::account_refused, "billing_error");
    return std::nullopt; // invalid_request_error …: the client's own business
}

} // namespace

std::span<const std::string_view> event_path_list() noexcept
{
    return kEventPaths;
}

std::optional<Verdict> verdict_of_message(std::string_view message, UnixMillis now)
{
    // Longer texts may quote the client's own request.
    constexpr std::size_t kRefusalBytesMax = 256;
    if (message.size() > kRefusalBytesMax) return std::nullopt;
    if (contains_any_case(message, "organization has been disabled"))
        return verdict(Outcome::account_refused, "organization_disabled");
    if (contains_any_case(message, "OAuth authentication is currently not"))
        return verdict(Outcome::account_refused, "oauth_not_allowed");
    if (starts_with_any_case(message, "Your credit balance is too low"))
        return verdict(Outcome::account_refused, "credit_balance_too_low");
    if (starts_with_any_case(message, "You have reached your specified API usage limits")) {
        // "… You will regain access on 2026-01-01 at 00:00 UTC."
        const std::size_t on = message.find(" on 20");
        UnixMillis until;
        if (on != std::string_view::npos && message.size() >= on + 23) {
            const std::string point = std::string(message.substr(on + 4, 10)) + "T" +
                                      std::string(message.substr(on + 18, 5)) + ":00Z";
            until = parse_future_reset(point, now).value_or(UnixMillis{});
        }
        return verdict(Outcome::rate_limited, "spend_limit", until);
    }
    return std::nullopt;
}

void read_event(std::span<const http::PickedValue> values, UnixMillis now, ResponseFacts& facts)
{
    const std::string_view type = values[ev_type].text;
    if (type == "content_block_delta" || type == "content_block_start") {
        facts.generated = true;
        return;
    }
    if (type == "message_start") {
        fold_usage(values, ev_start_input, facts);
        if (!values[ev_start_model].text.empty()) facts.model.assign(values[ev_start_model].text);
        facts.response_id.assign(values[ev_start_id].text);
        return;
    }
    if (type == "message_delta" || type == "message") fold_usage(values, ev_input, facts);
    if (type == "message_delta") facts.generated = true;
    if (type == "message") {
        if (!values[ev_model].text.empty()) facts.model.assign(values[ev_model].text);
        facts.response_id.assign(values[ev_id].text);
    }
    if (type == "message" || type == "message_stop") {
        facts.generated = true;
        facts.terminal = true;
    }
    if (type == "error") {
        auto failure = verdict_of_message(values[ev_error_message].text, now);
        if (!failure) failure = verdict_of_error_type(values[ev_error_type].text);
        if (failure)
            facts.failure = failure;
        else
            facts.terminal = true;
    }
}

} // namespace shared::providers::claude
