#include "shared/config/config_keys.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <vector>

namespace shared {

namespace {

constexpr std::uint64_t kWeekSeconds = 7ULL * 24 * 3600;
constexpr std::uint64_t kGiB = 1ULL << 30U;

constexpr auto kSettings = std::to_array<Setting>({
    {"listen_addr",
     "PROXY_LISTEN_ADDR",
     "--listen",
     &Config::listen,
     0,
     0,
     "",
     "\"127.0.0.1:8989\"",
     "Address and port to serve on; \":8989\" means every IPv4 address of this machine."},
    {"pool_dir",
     "POOL_DIR",
     "--pool-dir",
     &Config::pool_dir,
     0,
     0,
     "",
     "\"pool\"",
     "Folder of the credential files."},
    {"db_path",
     "PROXY_DB_PATH",
     "--db-path",
     &Config::db_path,
     0,
     0,
     "",
     "\"./data/proxy.db\"",
     "SQLite file of usage and history."},
    {"public_url",
     "PUBLIC_URL",
     "",
     &Config::public_url,
     0,
     0,
     "",
     "\"\"",
     "Address that clients reach the pool at, if it is not the listen address.",
     TextRule::public_url},
    {"debug", "PROXY_DEBUG", "--debug", &Config::debug, 0, 0, "", "false", "Log every decision."},
    {"disable_refresh",
     "PROXY_DISABLE_REFRESH",
     "",
     &Config::disable_refresh,
     0,
     0,
     "",
     "false",
     "Never refresh tokens; expired accounts then need a new login."},

    {"workers",
     "PROXY_WORKERS",
     "--workers",
     &Config::workers,
     0,
     16,
     "processes",
     "0",
     "Worker processes; 0 = one per core, at most 4."},
    {"worker_hang_seconds",
     "PROXY_WORKER_HANG_SECONDS",
     "",
     &Config::worker_hang_seconds,
     2,
     3600,
     "seconds",
     "10",
     "A worker silent for this long is killed and replaced."},
    {"worker_memory_mb",
     "PROXY_WORKER_MEMORY_MB",
     "",
     &Config::worker_memory_mb,
     64,
     1U << 20U,
     "MiB",
     "512",
     "A worker over this size is replaced once its requests are done."},
    {"shutdown_grace_seconds",
     "PROXY_SHUTDOWN_GRACE_SECONDS",
     "",
     &Config::shutdown_grace_seconds,
     0,
     kWeekSeconds,
     "seconds",
     "30",
     "How long open requests may finish after SIGTERM."},

    {"max_attempts",
     "PROXY_MAX_ATTEMPTS",
     "",
     &Config::max_attempts,
     1,
     100,
     "attempts",
     "3",
     "Transient failures per request before the pool gives up."},
    {"max_replay_bytes",
     "PROXY_MAX_INMEM_BODY_BYTES",
     "",
     &Config::max_replay_bytes,
     0,
     kGiB,
     "bytes",
     "16777216",
     "Bodies up to this size are held to be sent again; larger ones get one attempt."},
    {"max_body_bytes",
     "PROXY_MAX_BODY_BYTES",
     "",
     &Config::max_body_bytes,
     1024,
     64 * kGiB,
     "bytes",
     "67108864",
     "Larger request bodies are refused with 413."},
    {"first_byte_timeout_seconds",
     "PROXY_FIRST_BYTE_TIMEOUT_SECONDS",
     "",
     &Config::first_byte_timeout_seconds,
     1,
     kWeekSeconds,
     "seconds",
     "120",
     "Wait for the first byte of a stream, per attempt."},
    {"nonstream_timeout_seconds",
     "PROXY_NONSTREAM_TIMEOUT_SECONDS",
     "",
     &Config::nonstream_timeout_seconds,
     1,
     kWeekSeconds,
     "seconds",
     "600",
     "Wait for the first byte of an answer that is no stream."},
    {"all_attempts_timeout_seconds",
     "PROXY_ALL_ATTEMPTS_TIMEOUT_SECONDS",
     "",
     &Config::all_attempts_timeout_seconds,
     1,
     kWeekSeconds,
     "seconds",
     "300",
     "Wait for the first byte of a stream over all attempts."},
    {"request_timeout_seconds",
     "PROXY_REQUEST_TIMEOUT_SECONDS",
     "",
     &Config::request_timeout_seconds,
     0,
     kWeekSeconds,
     "seconds",
     "0",
     "Limit for a whole request that is no stream; 0 = none."},
    {"stream_timeout_seconds",
     "PROXY_STREAM_TIMEOUT_SECONDS",
     "",
     &Config::stream_timeout_seconds,
     0,
     kWeekSeconds,
     "seconds",
     "0",
     "Limit for a whole stream; 0 = none."},
    {"stream_idle_timeout_seconds",
     "STREAM_IDLE_TIMEOUT_SECONDS",
     "",
     &Config::stream_idle_timeout_seconds,
     0,
     kWeekSeconds,
     "seconds",
     "0",
     "Limit for silence inside a stream; 0 = none (models think for minutes)."},
    {"client_header_timeout_seconds",
     "PROXY_CLIENT_HEADER_TIMEOUT_SECONDS",
     "",
     &Config::client_header_timeout_seconds,
     1,
     3600,
     "seconds",
     "15",
     "A client must send its whole request head in this time."},
    {"client_body_timeout_seconds",
     "PROXY_CLIENT_BODY_TIMEOUT_SECONDS",
     "",
     &Config::client_body_timeout_seconds,
     1,
     kWeekSeconds,
     "seconds",
     "60",
     "Limit for silence inside a request body."},
    {"client_idle_timeout_seconds",
     "PROXY_CLIENT_IDLE_TIMEOUT_SECONDS",
     "",
     &Config::client_idle_timeout_seconds,
     1,
     kWeekSeconds,
     "seconds",
     "300",
     "How long a client's connection is kept between requests."},
    {"websocket_heartbeat_seconds",
     "WEBSOCKET_HEARTBEAT_SECONDS",
     "",
     &Config::websocket_heartbeat_seconds,
     0,
     3600,
     "seconds",
     "15",
     "Ping both sides of a WebSocket this often; 0 = never."},
    {"websocket_idle_timeout_seconds",
     "WEBSOCKET_IDLE_TIMEOUT_SECONDS",
     "",
     &Config::websocket_idle_timeout_seconds,
     0,
     kWeekSeconds,
     "seconds",
     "0",
     "Close a WebSocket without messages for this long; 0 = never."},
    {"websocket_read_limit_bytes",
     "WEBSOCKET_READ_LIMIT_BYTES",
     "",
     &Config::websocket_read_limit_bytes,
     65536,
     64 * kGiB,
     "bytes",
     "536870912",
     "Largest WebSocket message."},

    {"strategy",
     "PROXY_STRATEGY",
     "",
     &Config::strategy,
     0,
     0,
     "",
     "\"balanced\"",
     "How accounts are picked: balanced, reset_soonest, fill_first, round_robin or least_used."},
    {"pin_ttl_hours",
     "PROXY_PIN_TTL_HOURS",
     "",
     &Config::pin_ttl_hours,
     1,
     8760,
     "hours",
     "24",
     "A conversation keeps its account for this long after its last request."},
    {"usage_refresh_seconds",
     "PROXY_USAGE_REFRESH_SECONDS",
     "",
     &Config::usage_refresh_seconds,
     1,
     kWeekSeconds,
     "seconds",
     "300",
     "An account's quota is asked for when nothing fresher than this is known of it."},
    {"usage_retention_days",
     "PROXY_USAGE_RETENTION_DAYS",
     "",
     &Config::usage_retention_days,
     1,
     36500,
     "days",
     "30",
     "How long single requests are kept; hourly sums stay."},

    {"friend_code",
     "FRIEND_CODE",
     "",
     &Config::friend_code,
     0,
     0,
     "",
     "\"\"",
     "Share the pool with whoever knows this code."},
    {"friend_name",
     "FRIEND_NAME",
     "",
     &Config::friend_name,
     0,
     0,
     "",
     "\"\"",
     "Your name on the friends' landing page."},
    {"friend_tagline",
     "FRIEND_TAGLINE",
     "",
     &Config::friend_tagline,
     0,
     0,
     "",
     "\"\"",
     "The sentence below it."},
    {"admin_token",
     "ADMIN_TOKEN",
     "",
     &Config::admin_token,
     0,
     0,
     "",
     "\"\"",
     "Owner's bearer token for /status, /metrics and /admin."},
    {"refresh_lead_minutes",
     "PROXY_REFRESH_LEAD_MINUTES",
     "",
     &Config::refresh_lead_minutes,
     1,
     1440,
     "minutes",
     "10",
     "How long before its end an access token is renewed."},
    {"refresh_proxy_url",
     "REFRESH_PROXY_URL",
     "",
     &Config::refresh_proxy_url,
     0,
     0,
     "",
     "\"\"",
     "HTTP proxy for token refreshes only.",
     TextRule::proxy_url},
    {"gemini_oauth_client_id",
     "GEMINI_OAUTH_CLIENT_ID",
     "",
     &Config::gemini_oauth_client_id,
     0,
     0,
     "",
     "\"\"",
     "OAuth client to refresh Gemini tokens with; empty = Gemini CLI's own."},
    {"gemini_oauth_client_secret",
     "GEMINI_OAUTH_CLIENT_SECRET",
     "",
     &Config::gemini_oauth_client_secret,
     0,
     0,
     "",
     "\"\"",
     "Its secret."},

    {"pool_users.admin_password",
     "POOL_ADMIN_PASSWORD",
     "",
     &Config::admin_password,
     0,
     0,
     "",
     "\"\"",
     "Owner's password (user admin) for /status, /metrics and /admin."},
    {"pool_users.jwt_secret",
     "POOL_JWT_SECRET",
     "",
     &Config::jwt_secret,
     0,
     0,
     "",
     "\"\"",
     "Signs what users get; at least 32 characters."},
    {"pool_users.storage_path",
     "POOL_USERS_PATH",
     "",
     &Config::users_path,
     0,
     0,
     "",
     "\"./data/pool_users.json\"",
     "File of the pool users."},
});

constexpr std::string_view kNoTracing = "bodies and tokens are never logged";
constexpr std::string_view kNoDisguise = "clients' traffic is passed on as it is, without disguise";
constexpr std::string_view kNoProvider = "this provider is not built";

constexpr auto kIgnored = std::to_array<IgnoredSetting>({
    {"log_bodies", "PROXY_LOG_BODIES", kNoTracing},
    {"body_log_limit", "PROXY_BODY_LOG_LIMIT", kNoTracing},
    {"", "PROXY_CLAUDE_TRACE_*", kNoTracing},
    {"", "PROXY_IMAGE_TRACE_DIR", kNoTracing},
    {"flush_interval_ms", "PROXY_FLUSH_INTERVAL_MS", "every event is passed on at once"},
    {"tier_threshold", "TIER_THRESHOLD", "accounts have no tiers; the score decides"},
    {"model_aliases", "", "models are passed on as the client names them"},
    {"", "WEBSOCKET_COMPRESSION", "WebSocket frames are passed on as they are"},
    {"", "UPSTREAM_REALTIME_BASE", "realtime voice is not built"},
    {"", "UPSTREAM_*_BASE", kNoProvider},
    {"grok_base", "", kNoProvider},
    {"", "CODEX_TLS_FINGERPRINT", kNoDisguise},
    {"", "CODEX_REQUEST_PACE_MS", kNoDisguise},
    {"", "CODEX_ANTHROPIC_PROXY_URL", "use HTTPS_PROXY and NO_PROXY"},
});

std::string lower(std::string_view text)
{
    std::string out(text);
    for (char& c : out)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

/// Edit distance with swaps of neighbours; `limit` or more is reported as `limit`.
std::size_t distance(std::string_view a, std::string_view b, std::size_t limit)
{
    if ((a.size() > b.size() ? a.size() - b.size() : b.size() - a.size()) >= limit) return limit;
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return std::min(last[b.size()], limit);
}

} // namespace

std::span<const Setting> settings() noexcept
{
    return kSettings;
}

std::span<const IgnoredSetting> ignored_settings() noexcept
{
    return kIgnored;
}

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates)
{
    constexpr std::size_t kNameBytesMax = 64; // what is longer is no typing mistake
    if (name.size() > kNameBytesMax) return {};
    const std::string wanted = lower(name);
    const std::string wanted_key = wanted.substr(wanted.rfind('.') + 1);
    std::string_view best;
    std::size_t best_distance = std::numeric_limits<std::size_t>::max();
    for (const std::string_view candidate : candidates) {
        const std::string whole = lower(candidate);
        const std::string_view key = std::string_view(whole).substr(whole.rfind('.') + 1);
        const std::size_t limit = 2 + key.size() / 5;
        // The same name in another table is one mistake, not as many as the table's name has letters.
        const std::size_t found =
            std::min(distance(wanted, whole, limit), distance(wanted_key, key, limit - 1) + 1);
        if (found < limit && found < best_distance) {
            best = candidate;
            best_distance = found;
        }
    }
    return best;
}

} // namespace shared
