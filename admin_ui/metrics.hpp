/// `/metrics`: the pool in Prometheus' text format 0.0.4.
///
/// Labels are accounts (at most kMaxAccounts), worker slots (at most kMaxSlots) and fixed words: the number of series
/// is bounded whatever clients send.
#pragma once

#include "admin_ui/pool_view.hpp"

#include <string>

namespace admin_ui {

inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

[[nodiscard]] std::string metrics_text(const PoolView& pool);

} // namespace admin_ui
