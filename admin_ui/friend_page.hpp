/// The Pool page as a pool user sees it: how the pool is, without its accounts, and their own use. Pure.
#pragma once

#include "admin_ui/pool_view.hpp"
#include "admin_ui/usage_report.hpp"

#include <string>
#include <string_view>

namespace admin_ui {

/// `own` is the user's last week.
[[nodiscard]] std::string
friend_page(const PoolView& pool, std::string_view user, const UsageReport& own);

} // namespace admin_ui
