#include "admin_ui/metrics.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace admin_ui {
namespace {

std::string escape_label(std::string_view value)
{
    std::string out;
    for (const char c : value) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '\\' || c == '"') out += '\\';
        out += c;
    }
    return out;
}

/// Writes one metric after the other; a family's HELP and TYPE come once, before its samples.
class Exposition {
public:
    void family(std::string_view name, std::string_view type, std::string_view help)
    {
        name_ = name;
        out_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
    }

    template <class Value>
    void
    sample(std::initializer_list<std::pair<std::string_view, std::string_view>> labels, Value value)
    {
        out_ += name_;
        char separator = '{';
        for (const auto& [label, text] : labels) {
            out_ += fmt::format("{}{}=\"{}\"", separator, label, escape_label(text));
            separator = ',';
        }
        if (separator == ',') out_ += '}';
        out_ += fmt::format(" {}\n", value);
    }

    /// A family of its own: cumulative buckets, sum and count, in seconds.
    void histogram(
        std::string_view name,
        std::string_view help,
        const shared::HistogramBounds& bounds_us,
        const HistogramView& view)
    {
        family(name, "histogram", help);
        std::uint64_t below = 0;
        for (std::size_t i = 0; i < view.counts.size(); ++i) {
            below += view.counts[i];
            const std::string bound =
                i < bounds_us.size() ? fmt::format("{}", static_cast<double>(bounds_us[i]) / 1e6)
                                     : std::string("+Inf");
            out_ += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, bound, below);
        }
        out_ += fmt::format("{}_sum {}\n", name, static_cast<double>(view.sum_us) / 1e6);
        out_ += fmt::format("{}_count {}\n", name, below);
    }

    [[nodiscard]] std::string take() { return std::move(out_); }

private:
    std::string_view name_;
    std::string out_;
};

void write_requests(Exposition& out, const PoolView& pool)
{
    constexpr std::array<std::string_view, 6> kClasses{"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    out.family("codexpool_requests_total", "counter", "Requests answered, by class of status.");
    for (std::size_t i = 0; i < kClasses.size(); ++i)
        out.sample({{"status", kClasses[i]}}, pool.by_status_class[i]);
    out.family("codexpool_retries_total", "counter", "Further attempts after a failed one.");
    out.sample({}, pool.retries);
    out.family("codexpool_websockets_total", "counter", "WebSocket connections relayed.");
    out.sample({}, pool.websockets);
    out.family("codexpool_upstream_connects_total", "counter", "New connections to upstreams.");
    out.sample({}, pool.upstream_connects);
    out.family(
        "codexpool_upstream_reuses_total", "counter", "Requests sent over a kept connection.");
    out.sample({}, pool.upstream_reuses);
}

void write_times(Exposition& out, const PoolView& pool)
{
    out.histogram(
        "codexpool_request_first_byte_seconds",
        "Time until the answer's head went to the client, of requests that were relayed.",
        shared::kAnswerBoundsUs,
        pool.first_byte);
    out.histogram(
        "codexpool_request_duration_seconds",
        "Time until the answer's end, of requests that were relayed.",
        shared::kAnswerBoundsUs,
        pool.total);
    out.histogram(
        "codexpool_request_overhead_seconds",
        "Of the time until the answer's head, what was spent in the pool itself.",
        shared::kOwnBoundsUs,
        pool.own);
}

void write_account_totals(Exposition& out, const PoolView& pool)
{
    out.family(
        "codexpool_account_requests_total",
        "counter",
        "Finished requests per account since the database began.");
    for (const AccountView& account : pool.accounts)
        out.sample({{"account", account.identity.id.view()}}, account.totals.requests);
    out.family(
        "codexpool_account_failed_requests_total",
        "counter",
        "Those of them that did not end well.");
    for (const AccountView& account : pool.accounts)
        out.sample({{"account", account.identity.id.view()}}, account.totals.failed_requests);
    out.family(
        "codexpool_account_tokens_total",
        "counter",
        "Tokens per account. input includes cached_input and cache_creation; output includes "
        "reasoning.");
    for (const AccountView& account : pool.accounts) {
        const std::string_view id = account.identity.id.view();
        out.sample({{"account", id}, {"kind", "input"}}, account.totals.input);
        out.sample({{"account", id}, {"kind", "cached_input"}}, account.totals.cached_input);
        out.sample({{"account", id}, {"kind", "cache_creation"}}, account.totals.cache_creation);
        out.sample({{"account", id}, {"kind", "output"}}, account.totals.output);
        out.sample({{"account", id}, {"kind", "reasoning"}}, account.totals.reasoning);
    }
}

void write_account_state(Exposition& out, const PoolView& pool)
{
    out.family("codexpool_account_in_flight", "gauge", "Requests now running on the account.");
    for (const AccountView& account : pool.accounts)
        out.sample({{"account", account.identity.id.view()}}, account.in_flight);
    out.family("codexpool_account_condition", "gauge", "1 for what the account is now, else 0.");
    for (const AccountView& account : pool.accounts) {
        for (const shared::StateInfo& state : shared::state_table()) {
            out.sample(
                {{"account", account.identity.id.view()}, {"condition", state.name}},
                account.status.condition == state.condition ? 1 : 0);
        }
    }
    out.family(
        "codexpool_account_window_used_ratio",
        "gauge",
        "Used share of a quota window (short: hours, long: a week); absent if unknown.");
    for (const AccountView& account : pool.accounts) {
        const std::string_view id = account.identity.id.view();
        if (account.short_used.is_known())
            out.sample({{"account", id}, {"window", "short"}}, account.short_used.fraction());
        if (account.long_used.is_known())
            out.sample({{"account", id}, {"window", "long"}}, account.long_used.fraction());
    }
    out.family(
        "codexpool_account_window_empty_timestamp_seconds",
        "gauge",
        "When a quota window runs empty at the present pace; absent if it does not, or if that is "
        "unknown.");
    for (const AccountView& account : pool.accounts) {
        const std::string_view id = account.identity.id.view();
        const auto sample = [&](std::string_view window, const shared::Forecast& forecast) {
            if (!forecast.empty_at.is_set()) return;
            out.sample(
                {{"account", id},
                 {"window", window},
                 {"confidence", shared::to_string(forecast.confidence)}},
                forecast.empty_at.value / 1000);
        };
        sample("short", account.short_forecast);
        sample("long", account.long_forecast);
    }
    out.family(
        "codexpool_account_token_expires_timestamp_seconds",
        "gauge",
        "When the access token expires; absent if unknown.");
    for (const AccountView& account : pool.accounts) {
        if (!account.identity.expires_at.is_set()) continue;
        out.sample(
            {{"account", account.identity.id.view()}}, account.identity.expires_at.value / 1000);
    }
}

void write_moves(Exposition& out, const PoolView& pool)
{
    out.family(
        "codexpool_account_pins_moved_total",
        "counter",
        "Conversations that left the account (away) or came to it (here).");
    for (const AccountView& account : pool.accounts) {
        const std::string_view id = account.identity.id.view();
        out.sample({{"account", id}, {"direction", "away"}}, account.moved_away);
        out.sample({{"account", id}, {"direction", "here"}}, account.moved_here);
    }
}

void write_processes(Exposition& out, const PoolView& pool)
{
    out.family(
        "codexpool_worker_restarts_total", "counter", "Workers that died and were replaced.");
    out.sample({}, pool.worker_restarts);
    out.family("codexpool_worker_connections", "gauge", "Client connections open in the worker.");
    for (const WorkerView& worker : pool.workers)
        out.sample({{"slot", std::to_string(worker.slot)}}, worker.open_connections);
    out.family("codexpool_worker_running_requests", "gauge", "Requests running in the worker.");
    for (const WorkerView& worker : pool.workers)
        out.sample({{"slot", std::to_string(worker.slot)}}, worker.running_requests);
    out.family("codexpool_usage_rows_waiting", "gauge", "Usage rows not yet in the database.");
    out.sample({}, pool.rows_waiting);
    out.family(
        "codexpool_usage_rows_folded_total",
        "counter",
        "Usage rows kept only as sums because the disk refused them.");
    out.sample({}, pool.rows_folded);
    out.family("codexpool_waiting_requests", "gauge", "Requests waiting for an account.");
    out.sample({}, pool.waiting);
    out.family("codexpool_pins", "gauge", "Conversations pinned to an account.");
    out.sample({}, pool.pins);
    out.family(
        "codexpool_pins_moved_total", "counter", "Conversations that had to change their account.");
    out.sample({}, pool.pins_moved);
    out.family("codexpool_broken_files", "gauge", "Credential files that cannot be used.");
    out.sample({}, pool.info.broken_files);
    out.family("codexpool_uptime_seconds", "gauge", "Time since the supervisor started.");
    out.sample({}, pool.uptime_seconds());
    out.family("codexpool_build_info", "gauge", "Always 1; the version is in the label.");
    out.sample({{"version", CODEX_POOL_VERSION}}, 1);
}

void write_users(Exposition& out, const UserList& users)
{
    out.family(
        "codexpool_user_requests_total",
        "counter",
        "Finished requests per user since the database began; of the 1000 largest users.");
    for (const UsageQuery::UserSums& user : users)
        out.sample({{"user", user.user}}, user.sums.requests);
    out.family(
        "codexpool_user_failed_requests_total", "counter", "Those of them that did not end well.");
    for (const UsageQuery::UserSums& user : users)
        out.sample({{"user", user.user}}, user.sums.failed_requests);
    out.family(
        "codexpool_user_tokens_total",
        "counter",
        "Tokens per user. input includes cached_input; output includes reasoning.");
    for (const UsageQuery::UserSums& user : users) {
        out.sample({{"user", user.user}, {"kind", "input"}}, user.sums.input);
        out.sample({{"user", user.user}, {"kind", "cached_input"}}, user.sums.cached_input);
        out.sample({{"user", user.user}, {"kind", "output"}}, user.sums.output);
    }
}

/// The largest, in order of their names.
UserList largest(UserList users)
{
    if (users.size() > kMetricsUsersMax) {
        std::nth_element(
            users.begin(),
            users.begin() + kMetricsUsersMax,
            users.end(),
            [](const UsageQuery::UserSums& a, const UsageQuery::UserSums& b) {
                return a.sums.tokens() > b.sums.tokens();
            });
        users.resize(kMetricsUsersMax);
    }
    std::sort(
        users.begin(),
        users.end(),
        [](const UsageQuery::UserSums& a, const UsageQuery::UserSums& b) {
            return a.user < b.user;
        });
    return users;
}

} // namespace

std::string metrics_text(const PoolView& pool, const std::optional<UserList>& users)
{
    Exposition out;
    write_requests(out, pool);
    write_times(out, pool);
    write_account_totals(out, pool);
    write_account_state(out, pool);
    write_moves(out, pool);
    write_processes(out, pool);
    if (users) write_users(out, largest(*users));
    return out.take();
}

} // namespace admin_ui
