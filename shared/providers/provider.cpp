#include "shared/providers/provider.hpp"

#include <algorithm>
#include <array>

namespace shared {
namespace {

bool has_prefix(std::string_view name, std::string_view prefix) noexcept
{
    return name.size() >= prefix.size() && http::iequals(name.substr(0, prefix.size()), prefix);
}

template <std::size_t N>
bool is_one_of(std::string_view name, const std::array<std::string_view, N>& names) noexcept
{
    return std::any_of(names.begin(), names.end(), [name](std::string_view candidate) {
        return http::iequals(name, candidate);
    });
}

} // namespace

double Provider::plan_weight(std::string_view /*plan*/) const noexcept
{
    return 1.0;
}

DiscoveryStep Provider::discover(
    const Credential& credential,
    const UpstreamCall* /*previous*/,
    const CallReply* /*reply*/) const
{
    DiscoveryStep step;
    step.project = credential.project;
    return step;
}

std::optional<UpstreamCall> Provider::usage_call(const Credential& /*credential*/) const
{
    return std::nullopt;
}

Result<UsageReading> Provider::parse_usage(const CallReply& /*reply*/, UnixMillis /*now*/) const
{
    return Problem{"", "this vendor tells no quota", ""};
}

std::optional<UpstreamCall> Provider::test_call(const Credential& /*credential*/) const
{
    return std::nullopt;
}

RequestFacts Provider::inspect_message(std::string_view /*json*/) const
{
    return {};
}

std::string Provider::start_over_message() const
{
    return {};
}

std::optional<ClientTokens> Provider::client_tokens(
    const ClientSetupFacts& /*facts*/, const CredentialKey& /*key*/) const
{
    return std::nullopt;
}

std::string Provider::error_message(const PoolError& /*error*/) const
{
    return {};
}

unsigned PoolError::status() const noexcept
{
    switch (kind) {
    case Kind::bad_request:
        return 400;
    case Kind::unauthorized:
        return 401;
    case Kind::forbidden:
    case Kind::user_disabled:
        return 403;
    case Kind::not_found:
        return 404;
    case Kind::body_too_large:
        return 413;
    case Kind::exhausted:
    case Kind::user_limit:
        return 429;
    case Kind::upstream_failed:
        return 502;
    case Kind::no_account:
    case Kind::overloaded:
        return 503;
    case Kind::deadline:
        return 504;
    }
    return 502;
}

bool is_credential_header(std::string_view name) noexcept
{
    constexpr std::array<std::string_view, 8> kNames{
        "authorization",
        "chatgpt-account-id",
        "x-api-key",
        "x-goog-api-key",
        "cookie",
        "proxy-authorization",
        "x-admin-token",
        "x-friend-code"};
    return is_one_of(name, kNames) || has_prefix(name, "x-codex-pool-");
}

bool is_proxy_trace_header(std::string_view name) noexcept
{
    constexpr std::array<std::string_view, 5> kNames{
        "cdn-loop", "forwarded", "via", "x-real-ip", "true-client-ip"};
    return is_one_of(name, kNames) || has_prefix(name, "cf-") || has_prefix(name, "x-forwarded-");
}

} // namespace shared
