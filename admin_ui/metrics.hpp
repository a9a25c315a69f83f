/// `/metrics`: the pool in Prometheus' text format 0.0.4.
///
/// Labels are accounts (at most kMaxAccounts), worker slots (at most kMaxSlots), users if they are wanted (at most
/// kMetricsUsersMax) and fixed words: the number of series is bounded whatever clients send.
#pragma once

#include "admin_ui/pool_stats.hpp"
#include "admin_ui/pool_view.hpp"

#include <cstddef>
#include <optional>
#include <string>

namespace admin_ui {

inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

inline constexpr std::size_t kMetricsUsersMax = 1000;

/// `users` only if they are to be named (metrics_users).
[[nodiscard]] std::string
metrics_text(const PoolView& pool, const std::optional<UserList>& users = {});

} // namespace admin_ui
