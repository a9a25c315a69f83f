#include "admin_ui/route_table.hpp"

#include <algorithm>
#include <array>

namespace admin_ui {
namespace {

constexpr bool kCompressed = true;

constexpr std::array kRoutes{
    RouteInfo{Page::landing, "GET", "/"},
    RouteInfo{Page::pool, "GET", "/status", kCompressed},
    RouteInfo{Page::usage, "GET", "/status/usage", kCompressed},
    RouteInfo{Page::requests, "GET", "/status/requests", kCompressed},
    RouteInfo{Page::events, "GET", "/status/events", kCompressed},
    RouteInfo{Page::why, "GET", "/status/why"},
    RouteInfo{Page::metrics, "GET", "/metrics"},
    RouteInfo{Page::icon, "GET", "/favicon.ico"},
    RouteInfo{Page::file, "GET", "/static/{file}"},
    RouteInfo{Page::admin_accounts, "GET", "/admin/accounts", kCompressed},
    RouteInfo{Page::admin_usage, "GET", "/admin/usage", kCompressed},
    RouteInfo{Page::admin_requests, "GET", "/admin/requests", kCompressed},
    RouteInfo{Page::admin_events, "GET", "/admin/events"},
    RouteInfo{Page::admin_live, "GET", "/admin/live"},
    RouteInfo{Page::admin_why, "GET", "/admin/why"},
    RouteInfo{Page::admin_reload, "POST", "/admin/reload"},
    RouteInfo{Page::admin_upgrade, "POST", "/admin/upgrade"},
    RouteInfo{Page::admin_add, "POST", "/admin/accounts"},
    RouteInfo{Page::admin_action, "POST", "/admin/accounts/{id}/{action}"},
    RouteInfo{Page::stats, "GET", "/api/pool/stats", kCompressed},
    RouteInfo{Page::stats_users, "GET", "/api/pool/users", kCompressed},
    RouteInfo{Page::stats_user_daily, "GET", "/api/pool/users/{id}/daily"},
    RouteInfo{Page::stats_user_hourly, "GET", "/api/pool/users/{id}/hourly"},
    RouteInfo{Page::stats_daily, "GET", "/api/pool/daily-breakdown"},
    RouteInfo{Page::stats_hourly, "GET", "/api/pool/hourly"},
    RouteInfo{Page::own_accounts, "GET", "/api/pool/accounts"},
    RouteInfo{Page::own_add, "POST", "/api/pool/accounts"},
    RouteInfo{Page::own_action, "POST", "/api/pool/accounts/{id}/{action}"},
    RouteInfo{Page::whoami, "GET", "/api/pool/whoami"},
    RouteInfo{Page::openapi, "GET", "/api/openapi.json", kCompressed},
};

/// Takes the part up to the next '/' (or all) off `path`.
std::string_view next_part(std::string_view& path)
{
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    return part;
}

bool matches(std::string_view pattern, std::string_view path)
{
    if (pattern == path) return true;
    if (pattern.find('{') == std::string_view::npos) return false;
    while (!pattern.empty() && !path.empty()) {
        const std::string_view wanted = next_part(pattern);
        const bool any = wanted.starts_with('{');
        if (any && pattern.empty()) return wanted == "{file}" || path.find('/') == path.npos;
        const std::string_view part = next_part(path);
        if (any ? part.empty() : part != wanted) return false;
    }
    return pattern.empty() && path.empty();
}

} // namespace

std::span<const RouteInfo> route_table() noexcept
{
    return kRoutes;
}

const RouteInfo* find_route(std::string_view path, std::string_view method) noexcept
{
    const RouteInfo* first = nullptr;
    for (const RouteInfo& route : kRoutes) {
        if (!matches(route.path, path)) continue;
        if (route.method == method) return &route;
        if (first == nullptr) first = &route;
    }
    return first;
}

} // namespace admin_ui
