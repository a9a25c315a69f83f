/// What the vendors' dialects for the pool's own errors have in common. Which words make which CLI stop or wait is in
/// docs/errors.md, as measured.
#pragma once

#include "shared/providers/provider.hpp"

#include <cstdint>
#include <string>

namespace shared::providers {

/// A limit that ends within so many seconds is best waited for by the client itself.
inline constexpr std::int64_t kSoonSeconds = 60;

/// Seconds from error.now to error.retry_at, rounded up, at least 1; 0 if no time is known.
[[nodiscard]] std::int64_t retry_seconds(const PoolError& error) noexcept;

/// A limit whose end is known and at most kSoonSeconds away.
[[nodiscard]] bool ends_soon(const PoolError& error) noexcept;

/// Asking again within the next minutes is pointless: a refusal, a limit that does not end soon (or nobody knows
/// when), or a wait that has lasted as long as this pool allows. What may pass at any moment (a failing upstream, a
/// pool that is busy) is not final.
[[nodiscard]] bool is_final(const PoolError& error) noexcept;

/// error.message, and until when, for clients that show nothing but the message.
[[nodiscard]] std::string message_with_reset(const PoolError& error);

/// Adds Retry-After in whole seconds (rounded up, at least 1) if the error knows when to come back.
void add_retry_after(const PoolError& error, LocalReply& reply);

/// Adds "X-Should-Retry: false" if the error is final: the vendors' own client libraries and Claude Code obey it.
void add_should_retry(const PoolError& error, LocalReply& reply);

} // namespace shared::providers
