/// The configuration: every setting with its unit and default, and where it may come from.
///
/// Precedence: flag > environment > file > default. Paths in the file are relative to its folder, those from flags
/// and environment to the working directory; here they are absolute. Children get the effective configuration as text
/// over a descriptor and read it with the same parser.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/http/base_url.hpp"
#include "shared/providers/provider.hpp"
#include "shared/selection/strategy.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shared {

struct ListenAddress {
    std::string host = "127.0.0.1"; ///< numeric IPv4 or IPv6 without brackets, or localhost
    std::uint16_t port = 8989;      ///< 0 = any free port (tests)
    [[nodiscard]] bool is_loopback() const;
    [[nodiscard]] std::string text() const;
};

struct Config {
    ListenAddress listen;
    std::filesystem::path pool_dir;
    std::filesystem::path db_path;
    std::string public_url; ///< without trailing '/', may be empty
    std::filesystem::path
        tls_cert; ///< PEM, the certificate first; with tls_key: clients come by https
    std::filesystem::path tls_key;
    /// What these files hold; read by the supervisor, so that workers open none.
    std::string tls_cert_pem;
    Secret tls_key_pem;
    /// Addresses and networks whose word about the client's address counts; comma-separated.
    std::string trusted_proxies;
    bool debug = false;
    std::string log_format = "auto"; ///< auto, text, json
    bool metrics_users = false;      ///< /metrics names pool users as well
    bool disable_refresh = false;

    std::uint32_t workers = 0; ///< resolved: cores, at most 4, if not set
    std::uint32_t worker_hang_seconds = 10;
    std::uint32_t worker_memory_mb = 512;
    std::uint32_t shutdown_grace_seconds = 30; ///< at a stop
    std::uint32_t drain_hours = 24; ///< after a reload, an upgrade or the supervisor's loss

    std::uint32_t max_attempts = 3; ///< transient failures per request
    std::uint64_t max_replay_bytes = 16ULL << 20U;
    std::uint64_t max_body_bytes = 64ULL << 20U;
    std::uint32_t first_byte_timeout_seconds = 120;   ///< per attempt, streams
    std::uint32_t nonstream_timeout_seconds = 600;    ///< first byte of a non-streamed answer
    std::uint32_t all_attempts_timeout_seconds = 300; ///< over all attempts, streams
    std::uint32_t request_timeout_seconds = 0;        ///< 0 = none: whole non-streamed request
    std::uint32_t stream_timeout_seconds = 0;         ///< 0 = none: whole stream
    std::uint32_t stream_idle_timeout_seconds = 0;    ///< 0 = none
    std::uint32_t client_header_timeout_seconds =
        15; ///< a client must send a whole head in this time
    std::uint32_t client_body_timeout_seconds = 60;  ///< without any byte of a body
    std::uint32_t client_idle_timeout_seconds = 300; ///< keep-alive between requests
    std::uint32_t websocket_heartbeat_seconds = 15;
    std::uint32_t websocket_idle_timeout_seconds = 0;         ///< 0 = none
    std::uint64_t websocket_read_limit_bytes = 512ULL << 20U; ///< one message

    Strategy strategy = Strategy::balanced;
    /// By provider name, where it is not `strategy`.
    std::map<std::string, Strategy, std::less<>> strategies;
    std::uint32_t queue_timeout_seconds = 30;       ///< a request waits so long for an account
    std::uint32_t max_wait_for_pinned_seconds = 20; ///< a conversation for its own; then it moves
    std::uint32_t pin_ttl_hours = 24;
    std::uint32_t usage_refresh_seconds = 300;
    std::uint32_t usage_retention_days = 30;
    std::filesystem::path prices_file; ///< may be absent

    Secret friend_code;
    std::string friend_name;
    std::string friend_tagline;
    bool allow_contributions = false; ///< pool users may add accounts of their own
    bool allow_passthrough = false;   ///< a client's own vendor key goes through as it is
    Secret admin_token;
    Secret admin_password;
    Secret jwt_secret;
    std::filesystem::path users_path;
    std::uint32_t setup_token_hours = 24;

    // Of every user that has none of its own; 0 or empty = no limit.
    std::uint32_t user_requests_per_minute = 0;
    std::uint64_t user_tokens_per_day = 0;
    std::uint64_t user_tokens_per_week = 0;
    std::uint32_t user_share_percent = 0;
    std::uint32_t user_concurrency = 0;
    std::string user_models;    ///< comma-separated, `*` at an end for any rest
    std::string user_providers; ///< names, comma-separated

    std::uint32_t refresh_lead_minutes = 10; ///< before an access token's end
    std::string refresh_proxy_url;
    std::string gemini_oauth_client_id;
    Secret gemini_oauth_client_secret;

    Secret webhook_url; ///< told of events; it may hold a token, so it is never shown
    std::string webhook_format = "json";
    std::uint32_t pool_low_percent = 10; ///< mean room left of a provider; 0 = never said

    /// By UpstreamSpec::key.
    std::map<std::string, http::BaseUrl, std::less<>> upstreams;

    /// friend_code, admin_password or users present, or a listener beyond loopback: nobody is served without a
    /// credential.
    bool shared_mode = false;

    std::filesystem::path source;      ///< the file that was read; empty = none
    std::vector<std::string> warnings; ///< named settings that are ignored, and the like

    [[nodiscard]] const http::BaseUrl&
    upstream(const ProviderRegistry& registry, UpstreamRef ref) const;
    [[nodiscard]] Strategy strategy_for(const Provider& provider) const;
    /// The OAuth client configured for this provider; empty = its CLI's own.
    [[nodiscard]] OAuthClient oauth_client(ProviderId provider) const;
};

/// What the command line said; unset = not given.
struct ConfigFlags {
    std::optional<std::string> config_path;
    std::optional<std::string> listen;
    std::optional<std::string> pool_dir;
    std::optional<std::string> db_path;
    std::optional<std::uint32_t> workers;
    std::optional<bool> debug;
};

using Environment = std::map<std::string, std::string, std::less<>>;

/// Finds, reads and checks the configuration. All problems at once; each names file:line:column, variable or
/// flag, and the nearest known name for unknown keys. Creates nothing.
struct ConfigLoad {
    std::optional<Config> config; ///< absent if there are problems
    std::vector<Problem> problems;
};

[[nodiscard]] ConfigLoad load_config(
    const ProviderRegistry& registry,
    const ConfigFlags& flags,
    const Environment& environment,
    const std::filesystem::path& working_directory,
    std::uint32_t cores);

/// The effective configuration as TOML text for children, secrets included: only ever written to a memfd.
[[nodiscard]] std::string to_toml(const Config& config);
[[nodiscard]] Result<Config> from_toml(const ProviderRegistry& registry, std::string_view text);

} // namespace shared
