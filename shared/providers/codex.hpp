/// The Codex (OpenAI) provider, shared between the codex*.cpp files and nobody else: callers use provider.hpp.
///
///   codex.cpp           who it is, credentials in files and on requests
///   codex_routes.cpp    which path goes where
///   codex_requests.cpp  what a request or WebSocket message is about
///   codex_evidence.cpp  what an answer's head and error body mean
///   codex_quota.cpp     quota windows, read and written
///   codex_usage.cpp     the refresher's own calls: quota, and a test
///   codex_events.cpp    usage, quota and errors inside answers
///   codex_replies.cpp   what the pool answers itself
///   codex_refresh.cpp   new tokens for old ones
///   codex_setup.cpp     what the CLI gets to call the pool
#pragma once

#include "shared/providers/provider.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shared::providers::codex {

/// Index into CodexProvider::upstreams().
enum class Upstream : std::uint8_t { codex, chatgpt, openai_api, codex_auth };

[[nodiscard]] constexpr UpstreamRef upstream(Upstream which) noexcept
{
    return {ProviderId::codex, static_cast<std::uint8_t>(which)};
}

/// Route::local_id: what answer_locally() says.
enum class Local : std::uint16_t {
    none,
    usage,          ///< the pool's quota in the shape of the account's
    accounts_check, ///< the client's own account, as it must see it at start-up
    empty_object,   ///< {}
    empty_body,     ///< 200 and nothing
    plugins,        ///< no plugin is installed
    plugins_suggested,
    connectors,
    mcp, ///< a Model Context Protocol server without tools
    oauth_discovery,
    traces,
    reset_credits,
    reset_consume,
    models,        ///< no account can tell: an empty catalogue
    openai_models, ///< the same in the shape of the public API
    not_served,    ///< 404: only an API key could serve it and there is none
};

/// Verdict::reason where the account lacks the model that is asked for.
inline constexpr std::string_view kModelUnavailable = "model_unavailable";

/// The word of an error that says that a quota window is used up.
inline constexpr std::string_view kUsedUp = "usage_limit_reached";

/// The Codex CLI's own, public client. Source: reference/wire.md 4.1.
inline constexpr std::string_view kClientId = "app_EMoamEEZ73f0CkXaXp7hrann";

/// Claims of OpenAI's tokens stand in this object.
inline constexpr std::string_view kAuthClaims = "https://api.openai.com/auth";

class CodexProvider final : public Provider {
public:
    CodexProvider();

    [[nodiscard]] ProviderId id() const noexcept override { return ProviderId::codex; }

    [[nodiscard]] std::string_view name() const noexcept override { return "codex"; }

    [[nodiscard]] std::string_view display_name() const noexcept override { return "Codex"; }

    [[nodiscard]] std::span<const UpstreamSpec> upstreams() const noexcept override;

    [[nodiscard]] std::string_view file_prefix() const noexcept override { return ""; }

    [[nodiscard]] Result<Credential> parse_credential(std::string_view json) const override;
    [[nodiscard]] double plan_weight(std::string_view plan) const noexcept override;

    [[nodiscard]] std::optional<UpstreamCall>
    refresh_call(const Credential& credential, const OAuthClient& client) const override;
    [[nodiscard]] RefreshOutcome
    parse_refresh(const CallReply& reply, const Credential& old, UnixMillis now) const override;
    [[nodiscard]] Result<Secret>
    updated_file(std::string_view text, const RenewedTokens& tokens, UnixMillis now) const override;
    [[nodiscard]] std::string login_remedy(std::string_view file) const override;
    [[nodiscard]] std::optional<UpstreamCall>
    usage_call(const Credential& credential) const override;
    [[nodiscard]] Result<UsageReading>
    parse_usage(const CallReply& reply, UnixMillis now) const override;
    [[nodiscard]] std::optional<UpstreamCall>
    test_call(const Credential& credential) const override;

    [[nodiscard]] Match match(const http::RequestHead& request) const noexcept override;
    [[nodiscard]] Route route(const http::RequestHead& request) const override;
    [[nodiscard]] LocalReply answer_locally(
        const Route& route,
        const http::RequestHead& request,
        std::string_view body,
        const PoolSummary& pool,
        UnixMillis now) const override;
    [[nodiscard]] RequestFacts inspect(
        const Route& route, const http::RequestHead& request, std::string_view body) const override;
    [[nodiscard]] std::string upstream_target(
        const Leg& leg,
        const http::RequestHead& request,
        const AccountCredential& account) const override;
    [[nodiscard]] bool
    replaces_header(std::string_view name, CredentialKind kind) const noexcept override;
    void append_credentials(
        const AccountCredential& account,
        const http::RequestHead& request,
        std::string& head) const override;

    [[nodiscard]] Verdict classify(
        const http::ResponseHead& response, std::string_view body, UnixMillis now) const override;
    [[nodiscard]] QuotaUpdate
    quota_from_headers(const http::ResponseHead& response, UnixMillis now) const override;
    [[nodiscard]] bool is_quota_header(std::string_view name) const noexcept override;
    void
    append_pool_quota(const PoolSummary& pool, UnixMillis now, std::string& head) const override;
    [[nodiscard]] const http::JsonPaths& event_paths() const noexcept override;
    void read_event(std::span<const http::PickedValue> values, UnixMillis now, ResponseFacts& facts)
        const override;

    [[nodiscard]] LocalReply
    error_reply(const PoolError& error, const http::RequestHead& request) const override;

    [[nodiscard]] RequestFacts inspect_message(std::string_view json) const override;
    [[nodiscard]] std::string start_over_message() const override;
    [[nodiscard]] std::string error_message(const PoolError& error) const override;

    [[nodiscard]] ClientSetup
    client_setup(const ClientSetupFacts& facts, const CredentialKey& key) const override;
    [[nodiscard]] std::optional<ClientTokens>
    client_tokens(const ClientSetupFacts& facts, const CredentialKey& key) const override;

private:
    http::JsonPaths short_paths_;   ///< of a request whose head names the conversation
    http::JsonPaths body_paths_;    ///< of any other request body
    http::JsonPaths message_paths_; ///< of a client's WebSocket message
    http::JsonPaths error_paths_;   ///< of an error body
    http::JsonPaths event_paths_;
    http::JsonPaths usage_paths_; ///< of the answer to usage_call()
};

// The lists of the members above; each stands beside the code that reads its values.
[[nodiscard]] std::span<const std::string_view> short_path_list() noexcept;
[[nodiscard]] std::span<const std::string_view> body_path_list() noexcept;
[[nodiscard]] std::span<const std::string_view> message_path_list() noexcept;
[[nodiscard]] std::span<const std::string_view> error_path_list() noexcept;
[[nodiscard]] std::span<const std::string_view> event_path_list() noexcept;
[[nodiscard]] std::span<const std::string_view> usage_path_list() noexcept;

// ---- shared by codex_quota, codex_evidence and codex_events ------------------------------------------

/// A quota window as sent: everything may be missing.
struct SentWindow {
    std::optional<double> percent;
    std::optional<std::int64_t> seconds;
    UnixMillis resets_at;
};

/// Adds what can be believed of an account's two windows.
void add_windows(const SentWindow& primary, const SentWindow& secondary, QuotaUpdate& update);
/// The length of a window stated in minutes; 0 (no window) for nonsense.
[[nodiscard]] std::int64_t seconds_of_minutes(double minutes) noexcept;
/// `now` plus a number of seconds as text; unset if it is none.
[[nodiscard]] UnixMillis after_seconds(std::string_view text, UnixMillis now) noexcept;
/// The word of the fixed vocabulary that one of the two texts is; empty if neither is.
[[nodiscard]] std::string_view
known_word(const http::PickedValue& code, const http::PickedValue& type) noexcept;
/// The end of a limit as an error states it: a point or a number of seconds; unset if it lies not ahead.
[[nodiscard]] UnixMillis
reset_in_body(const http::PickedValue& at, const http::PickedValue& in, UnixMillis now);

/// Plan and account id as the bearer of a token may state them about itself; empty if it is no JWT.
struct BearerClaims {
    std::string plan; ///< lower case
    std::string account_id;
};

[[nodiscard]] BearerClaims bearer_claims(std::string_view token);

/// The account id that a pool user's CLI believes to have: shaped like a UUID, the same for ever.
[[nodiscard]] std::string client_account(std::string_view user, const CredentialKey& key);

/// The token of "Authorization: Bearer …"; empty if there is none.
[[nodiscard]] std::string_view bearer_token(const http::RequestHead& request) noexcept;

} // namespace shared::providers::codex
