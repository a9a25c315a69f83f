/// Google's dialect where it stands on its own: errors, events, the pool's replies, and the calls that learn a
/// Code Assist account's project. Private to gemini*.cpp.
#pragma once

#include "shared/providers/provider.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace shared::providers::gemini {

inline constexpr UpstreamRef kCodeAssist{ProviderId::gemini, 0};
inline constexpr UpstreamRef kPublicApi{ProviderId::gemini, 1};

/// What read_error() wants of an error body.
[[nodiscard]] std::span<const std::string_view> error_path_list() noexcept;
/// What an error means. `values` are in the order of error_path_list(); all absent if the body was no JSON.
[[nodiscard]] Verdict
read_error(unsigned status, std::span<const http::PickedValue> values, UnixMillis now);

/// What read_event() wants of each event, or of a whole answer; begins with the members of error_path_list().
[[nodiscard]] std::span<const std::string_view> event_path_list() noexcept;
void read_event(std::span<const http::PickedValue> values, UnixMillis now, ResponseFacts& facts);

[[nodiscard]] LocalReply error_reply(const PoolError& error);

/// Provider::discover() for Code Assist.
[[nodiscard]] DiscoveryStep
discover(const Credential& credential, const UpstreamCall* previous, const CallReply* reply);

// The parts of Provider's token refresh that are this vendor's own. (gemini_refresh.cpp)
[[nodiscard]] std::optional<UpstreamCall>
refresh_call(const Credential& credential, const OAuthClient& client);
[[nodiscard]] Result<Secret>
updated_file(std::string_view text, const RenewedTokens& tokens, UnixMillis now);
[[nodiscard]] std::string login_remedy(std::string_view file);

/// Provider::test_call() for both kinds; nothing while a sign-in has no project.
[[nodiscard]] std::optional<UpstreamCall> test_call(const Credential& credential);

/// Provider::client_setup(). (gemini_setup.cpp)
[[nodiscard]] ClientSetup client_setup(const ClientSetupFacts& facts, const CredentialKey& key);

} // namespace shared::providers::gemini
