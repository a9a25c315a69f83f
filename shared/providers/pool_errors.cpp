#include "shared/providers/pool_errors.hpp"

#include "shared/providers/reset_time.hpp"

#include <algorithm>

namespace shared::providers {

std::int64_t retry_seconds(const PoolError& error) noexcept
{
    if (!error.retry_at.is_set()) return 0;
    const std::int64_t millis = error.retry_at.since(error.now).count();
    return std::max<std::int64_t>(1, (millis + 999) / 1000);
}

bool ends_soon(const PoolError& error) noexcept
{
    const std::int64_t seconds = retry_seconds(error);
    return error.status() == 429 && seconds > 0 && seconds <= kSoonSeconds;
}

bool is_final(const PoolError& error) noexcept
{
    using Kind = PoolError::Kind;
    switch (error.kind) {
    case Kind::bad_request:
    case Kind::unauthorized:
    case Kind::forbidden:
    case Kind::not_found:
    case Kind::body_too_large:
    case Kind::no_account:
    case Kind::deadline:
    case Kind::user_disabled:
        return true;
    case Kind::exhausted:
    case Kind::user_limit:
        return !ends_soon(error);
    case Kind::upstream_failed:
    case Kind::overloaded:
        break;
    }
    return false;
}

std::string message_with_reset(const PoolError& error)
{
    if (!error.retry_at.is_set()) return error.message;
    // Rounded up: whoever comes back at the minute named is not turned away once more.
    constexpr std::chrono::milliseconds kNearlyAMinute{59'999};
    const std::string stamp = format_rfc3339(error.retry_at.plus(kNearlyAMinute));
    const bool sentence = error.message.ends_with('.');
    std::string text = error.message.substr(0, error.message.size() - (sentence ? 1 : 0));
    text += " (until " + stamp.substr(0, 10) + " " + stamp.substr(11, 5) + " UTC)";
    if (sentence) text += '.';
    return text;
}

void add_retry_after(const PoolError& error, LocalReply& reply)
{
    const std::int64_t seconds = retry_seconds(error);
    if (seconds > 0) reply.headers.push_back({"Retry-After", std::to_string(seconds)});
}

void add_should_retry(const PoolError& error, LocalReply& reply)
{
    if (is_final(error)) reply.headers.push_back({"X-Should-Retry", "false"});
}

} // namespace shared::providers
