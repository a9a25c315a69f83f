/// What an answer's status means at every vendor, and the small look-ups their classifiers share. A vendor's own file
/// decides first; what it does not know better ends here.
#pragma once

#include "shared/providers/provider.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace shared::providers {

/// By status alone: 401, 402, 403, 429 condemn the account, 408 and 5xx (524, 529) are transient, anything else is
/// the client's own business.
[[nodiscard]] Verdict verdict_of_status(unsigned status) noexcept;

/// A verdict with a word of the fixed vocabulary.
[[nodiscard]] Verdict
verdict(Outcome outcome, std::string_view reason, UnixMillis until = {}) noexcept;

/// rate_limited because a quota window is used up, until `until` if that is set.
[[nodiscard]] Verdict used_up(std::string_view reason, UnixMillis until) noexcept;

/// The edge in front of the vendor wants to see a browser: says nothing about the account. (An HTML page from
/// Cloudflare in place of a JSON error counts as one.)
[[nodiscard]] bool is_cloudflare_challenge(const http::ResponseHead& response) noexcept;

/// The Retry-After field as a point after `now`; unset if there is none, or none that makes sense.
[[nodiscard]] UnixMillis
retry_after_of(const http::ResponseHead& response, UnixMillis now) noexcept;

/// The head of an answer to a call of the pool's own, as Provider reads it. Its views point into `reply`.
[[nodiscard]] http::ResponseHead head_of(const CallReply& reply);
/// How long its Retry-After asks to wait, 0 for a date in the past; nothing if it has none that makes sense.
[[nodiscard]] std::optional<std::chrono::milliseconds>
retry_after_of(const CallReply& reply, UnixMillis now);

/// A count of tokens: not negative, not absurd (kTokensMax); nothing for what is no number.
[[nodiscard]] std::optional<std::int64_t> token_count(const http::PickedValue& value);

/// More tokens than any request can cost; beyond it a count is nonsense.
inline constexpr std::int64_t kTokensMax = 1'000'000'000'000;

/// ASCII case-insensitive.
[[nodiscard]] bool starts_with_any_case(std::string_view text, std::string_view prefix) noexcept;
[[nodiscard]] bool contains_any_case(std::string_view text, std::string_view part) noexcept;

/// `path` is `prefix` or lies below it ("/v1/messages" and "/v1/messages/…", not "/v1/messagesX").
[[nodiscard]] bool is_at_or_below(std::string_view path, std::string_view prefix) noexcept;

/// A reply of the pool's own: application/json, invalid UTF-8 replaced.
[[nodiscard]] LocalReply json_reply(unsigned status, const nlohmann::json& body);

} // namespace shared::providers
