/// Which paths the admin child answers, and how. docs/openapi.json describes the same ones; a test compares them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace admin_ui {

enum class Page : std::uint8_t {
    landing,
    pool,
    usage,
    requests,
    events,
    why,
    metrics,
    icon,
    file,
    admin_accounts,
    admin_usage,
    admin_requests,
    admin_events,
    admin_live,
    admin_why,
    admin_reload,
    admin_upgrade,
    admin_action,
    admin_add,
    own_accounts,
    own_add,
    own_action,
    stats,
    stats_users,
    stats_user_daily,
    stats_user_hourly,
    stats_daily,
    stats_hourly,
    whoami,
    openapi,
};

struct RouteInfo {
    Page page;
    std::string_view method; ///< "GET" (HEAD too) or "POST"
    std::string_view
        path; ///< a part in braces stands for anything but '/'; at the end also for more of the path
    bool compressed = false; ///< large, and without secrets
};

[[nodiscard]] std::span<const RouteInfo> route_table() noexcept;

/// The route of a path; nothing if there is none. Of several the first that takes the method counts, else the first.
[[nodiscard]] const RouteInfo*
find_route(std::string_view path, std::string_view method = "GET") noexcept;

} // namespace admin_ui
