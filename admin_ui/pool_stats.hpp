/// `/api/pool/…`: numbers of the pool for its users, under the predecessor's names. A friend learns neither which
/// accounts there are nor who else uses them. Pure.
#pragma once

#include "admin_ui/pool_view.hpp"
#include "admin_ui/usage_query.hpp"
#include "admin_ui/usage_report.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace admin_ui {

/// Who asks.
struct StatsViewer {
    bool is_owner = true;
    std::string user; ///< a friend's id
};

using UserList = std::vector<UsageQuery::UserSums>;

/// `/api/pool/stats`. `last_day` is everything of the last 24 hours.
[[nodiscard]] std::string stats_json(
    const PoolView& pool, const TokenSums& last_day, std::size_t users, const StatsViewer& viewer);

/// `/api/pool/users`, the largest first; a friend sees the others numbered.
[[nodiscard]] std::string users_json(UserList users, const StatsViewer& viewer);

/// `/api/pool/users/<id>/daily` and `…/hourly`: those steps in which there was any use, oldest first.
[[nodiscard]] std::string user_steps_json(std::string_view user, const UsageReport& report);

/// `/api/pool/daily-breakdown` and `/api/pool/hourly`: by provider ("surface").
[[nodiscard]] std::string daily_breakdown_json(const UsageReport& report, std::size_t accounts);
[[nodiscard]] std::string hourly_json(const UsageReport& report);

/// `/api/pool/whoami`
[[nodiscard]] std::string whoami_json(const StatsViewer& viewer);

/// "/api/pool/users/<id>/daily" in its parts; false if it is no such path.
struct UserPath {
    std::string user; ///< percent escapes undone
    bool hourly = false;
};

[[nodiscard]] bool parse_user_path(std::string_view path, UserPath& parsed);

} // namespace admin_ui
