#include "shared/providers/verdicts.hpp"

#include "shared/providers/reset_time.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace shared::providers {

namespace {

std::string status_reason(unsigned status)
{
    return "http_" + std::to_string(status);
}

} // namespace

Verdict verdict(Outcome outcome, std::string_view reason, UnixMillis until) noexcept
{
    Verdict result;
    result.outcome = outcome;
    result.until = until;
    result.reason.assign(reason);
    return result;
}

Verdict used_up(std::string_view reason, UnixMillis until) noexcept
{
    Verdict result = verdict(Outcome::rate_limited, reason, until);
    result.used_up = true;
    return result;
}

Verdict verdict_of_status(unsigned status) noexcept
{
    switch (status) {
    case 401:
        return verdict(Outcome::credential_rejected, "http_401");
    case 402:
        return verdict(Outcome::account_refused, "http_402");
    case 403:
        return verdict(Outcome::account_refused, "http_403");
    case 408:
        return verdict(Outcome::upstream_failed, "http_408");
    case 429:
        return verdict(Outcome::rate_limited, "http_429");
    default:
        break;
    }
    if (status >= 500) return verdict(Outcome::upstream_failed, status_reason(status));
    return {};
}

bool is_cloudflare_challenge(const http::ResponseHead& response) noexcept
{
    if (response.status < 400) return false;
    if (contains_any_case(response.fields.find("cf-mitigated"), "challenge")) return true;
    return contains_any_case(response.fields.find("server"), "cloudflare") &&
           contains_any_case(response.fields.find("content-type"), "text/html");
}

UnixMillis retry_after_of(const http::ResponseHead& response, UnixMillis now) noexcept
{
    const std::string_view value = response.fields.find("retry-after");
    if (value.empty()) return {};
    const auto point = parse_retry_after(value, now);
    return point && *point > now ? *point : UnixMillis{};
}

http::ResponseHead head_of(const CallReply& reply)
{
    http::ResponseHead head;
    head.status = reply.status;
    for (const http::Header& header : reply.headers)
        head.fields.list.push_back({header.name, header.value});
    return head;
}

std::optional<std::chrono::milliseconds> retry_after_of(const CallReply& reply, UnixMillis now)
{
    const auto point = parse_retry_after(head_of(reply).fields.find("retry-after"), now);
    return point ? std::optional(point->since(now)) : std::nullopt;
}

std::optional<std::int64_t> token_count(const http::PickedValue& value)
{
    const auto count = value.integer();
    if (!count || *count < 0 || *count > kTokensMax) return std::nullopt;
    return count;
}

bool starts_with_any_case(std::string_view text, std::string_view prefix) noexcept
{
    if (text.size() < prefix.size()) return false;
    // Nearly all that differ do so in the first byte; bit 0x20 is all that tells a letter from its other case.
    if (!prefix.empty() && ((text.front() ^ prefix.front()) & ~0x20) != 0) return false;
    return http::iequals(text.substr(0, prefix.size()), prefix);
}

bool contains_any_case(std::string_view text, std::string_view part) noexcept
{
    for (; text.size() > part.size(); text.remove_prefix(1)) {
        if (starts_with_any_case(text, part)) return true;
    }
    return starts_with_any_case(text, part);
}

bool is_at_or_below(std::string_view path, std::string_view prefix) noexcept
{
    return path.substr(0, prefix.size()) == prefix &&
           (path.size() == prefix.size() || path[prefix.size()] == '/');
}

LocalReply json_reply(unsigned status, const nlohmann::json& body)
{
    LocalReply reply;
    reply.status = status;
    reply.headers.push_back({"Content-Type", "application/json"});
    reply.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return reply;
}

} // namespace shared::providers
