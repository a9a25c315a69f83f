/// One look at the whole pool, as plain values: what pages, JSON and metrics are made from.
#pragma once

#include "shared/base/time_text.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/forecast.hpp"
#include "shared/segment/layout.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace admin_ui {

/// What requests cost. `input` includes cached input and cache creation, `output` includes reasoning.
struct TokenSums {
    std::int64_t requests = 0;
    std::int64_t failed_requests = 0;
    std::int64_t input = 0;
    std::int64_t cached_input = 0;
    std::int64_t cache_creation = 0;
    std::int64_t output = 0;
    std::int64_t reasoning = 0;
    shared::UnixMillis last_used;

    /// What was not served from a cache.
    [[nodiscard]] std::int64_t billable() const noexcept { return input - cached_input + output; }

    [[nodiscard]] std::int64_t tokens() const noexcept { return input + output; }

    /// Neither read from a cache nor written to one.
    [[nodiscard]] std::int64_t fresh_input() const noexcept
    {
        return std::max<std::int64_t>(0, input - cached_input - cache_creation);
    }

    void add(const TokenSums& other) noexcept
    {
        requests += other.requests;
        failed_requests += other.failed_requests;
        input += other.input;
        cached_input += other.cached_input;
        cache_creation += other.cache_creation;
        output += other.output;
        reasoning += other.reasoning;
        last_used = std::max(last_used, other.last_used);
    }
};

/// One account's share of one model, from the database.
struct ModelSums {
    std::string account;
    std::string model;
    TokenSums sums;
};

struct AccountView {
    shared::AccountIdentity identity;
    shared::AccountRouting routing;
    std::uint32_t in_flight = 0;
    shared::AccountStatus status; ///< with reason, since, until and source
    shared::Forecast short_forecast;
    shared::Forecast long_forecast;
    double penalty = 0;           ///< lowers its score
    std::uint64_t moved_away = 0; ///< conversations that left it for another account
    std::uint64_t moved_here = 0;
    shared::UsedShare short_used;
    shared::UsedShare long_used;
    bool token_expired = false;
    TokenSums totals;
    std::vector<ModelSums> models;

    /// "codex"
    [[nodiscard]] std::string_view provider() const noexcept
    {
        const std::string_view id = identity.id.view();
        return id.substr(0, id.find(':'));
    }
};

struct WorkerView {
    std::uint16_t slot = 0;
    std::int32_t pid = 0;
    std::uint16_t listener = 0;
    std::uint32_t generation = 0;
    shared::SlotState state = shared::SlotState::free;
    std::uint32_t open_connections = 0;
    std::uint32_t running_requests = 0;
    std::int64_t silent_ms = 0; ///< since its last sign of life
};

/// A Histogram of all workers since the start.
struct HistogramView {
    std::array<std::uint64_t, shared::kHistogramBounds + 1> counts{};
    std::uint64_t sum_us = 0;
};

struct PoolView {
    shared::UnixMillis now;
    shared::UnixMillis started_at;
    shared::PoolInfo info;
    std::vector<AccountView> accounts;
    std::vector<WorkerView> workers;
    /// Of all workers since the start.
    std::uint64_t requests = 0;
    std::array<std::uint64_t, 6> by_status_class{};
    std::uint64_t retries = 0;
    std::uint64_t websockets = 0;
    std::uint64_t upstream_connects = 0;
    std::uint64_t upstream_reuses = 0;
    std::uint64_t pins_moved = 0;
    HistogramView first_byte;
    HistogramView total;
    HistogramView own;
    std::uint32_t waiting = 0; ///< requests in the queue for an account
    std::uint64_t worker_restarts = 0;
    std::uint64_t rows_waiting = 0;
    std::uint64_t rows_folded = 0;
    std::size_t pins = 0;

    [[nodiscard]] std::int64_t uptime_seconds() const noexcept
    {
        return (now.value - started_at.value) / 1000;
    }

    [[nodiscard]] std::size_t count(shared::AccountCondition condition) const noexcept;
    [[nodiscard]] std::uint32_t in_flight() const noexcept;
};

[[nodiscard]] PoolView
observe(shared::Segment& segment, shared::UnixMillis now, std::int64_t monotonic_us);

/// Gives each account its models, largest first.
void add_models(PoolView& pool, const std::vector<ModelSums>& sums);

/// The name of an account's state for people: "needs login".
[[nodiscard]] std::string state_words(std::string_view name);

[[nodiscard]] std::string_view to_string(shared::SlotState state) noexcept;

/// The state of the pool in one word (ok, degraded, exhausted, empty) and in one sentence.
struct Verdict {
    std::string_view word;
    std::string sentence;
};

[[nodiscard]] Verdict verdict(const PoolView& pool);

using shared::duration_text;
using shared::iso_time;
using shared::relative_time;

} // namespace admin_ui
