/// Anthropic's constants and the parts of its dialect that stand on their own: quota fields, events and the
/// pool's replies. Private to claude*.cpp.
#pragma once

#include "shared/providers/provider.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace shared::providers::claude {

/// Access tokens of a subscription begin so; anything else is an API key.
/// Source: reference/wire.md 2.2, seen in Claude Code 2.1.330.
inline constexpr std::string_view kOauthTokenPrefix = "sk-ant-oat";
/// The beta flag without which the API refuses subscription tokens.
inline constexpr std::string_view kOauthBeta = "oauth-2025-04-20";

inline constexpr std::uint32_t kFiveHoursSeconds = 18'000;
inline constexpr std::uint32_t kWeekSeconds = 604'800;

/// `anthropic-ratelimit-unified-*`: a subscription's windows. Sets may be partial.
[[nodiscard]] QuotaUpdate read_quota(const http::ResponseHead& response);
/// The end of the limit that a 429 is about; unset if the answer does not say, or says it of one model only.
[[nodiscard]] Verdict read_rate_limit(const http::ResponseHead& response, UnixMillis now);
[[nodiscard]] bool is_quota_field(std::string_view name) noexcept;
void append_quota(const PoolSummary& pool, UnixMillis now, std::string& head);

/// Refusals of the account that come as 400 or 403 and are known by their text only.
[[nodiscard]] std::optional<Verdict> verdict_of_message(std::string_view message, UnixMillis now);

/// What read_event() wants of each event, or of a whole message.
[[nodiscard]] std::span<const std::string_view> event_path_list() noexcept;
void read_event(std::span<const http::PickedValue> values, UnixMillis now, ResponseFacts& facts);

/// The call that asks for a subscription's windows, and what parse_usage() wants of its answer.
[[nodiscard]] UpstreamCall usage_call(const Credential& credential);
[[nodiscard]] std::span<const std::string_view> usage_path_list() noexcept;
[[nodiscard]] Result<UsageReading>
parse_usage(std::span<const http::PickedValue> values, bool complete);
[[nodiscard]] UpstreamCall test_call(const Credential& credential);

[[nodiscard]] LocalReply usage_reply(const PoolSummary& pool);
[[nodiscard]] LocalReply profile_reply(const PoolSummary& pool);
[[nodiscard]] LocalReply client_data_reply();
[[nodiscard]] LocalReply hello_reply();
[[nodiscard]] LocalReply error_reply(const PoolError& error);

// The parts of Provider's token refresh that are this vendor's own. (claude_refresh.cpp)
[[nodiscard]] std::optional<UpstreamCall>
refresh_call(const Credential& credential, const OAuthClient& client);
[[nodiscard]] Result<Secret>
updated_file(std::string_view text, const RenewedTokens& tokens, UnixMillis now);
[[nodiscard]] std::string login_remedy(std::string_view file);

/// Provider::client_setup(). (claude_setup.cpp)
[[nodiscard]] ClientSetup client_setup(const ClientSetupFacts& facts, const CredentialKey& key);

} // namespace shared::providers::claude
