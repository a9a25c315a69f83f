#include "worker/own_routes.hpp"

#include <array>

namespace worker {
namespace {

using shared::Access;

constexpr std::array kRoutes{
    OwnRoute{"/", false, Access::open, OwnTarget::admin},
    OwnRoute{"/favicon.ico", false, Access::open, OwnTarget::admin},
    OwnRoute{"/static", true, Access::open, OwnTarget::admin},
    OwnRoute{"/healthz", false, Access::open, OwnTarget::healthz},
    // What a pool user may see too, less than the owner does; all else below is the owner's.
    OwnRoute{"/status", false, Access::user, OwnTarget::admin},
    OwnRoute{"/status/usage", false, Access::user, OwnTarget::admin},
    OwnRoute{"/status/setup", false, Access::user, OwnTarget::admin},
    OwnRoute{"/api/pool", true, Access::user, OwnTarget::admin},
    OwnRoute{"/api/openapi.json", false, Access::open, OwnTarget::admin},
    OwnRoute{"/status", true, Access::owner, OwnTarget::admin},
    OwnRoute{"/metrics", false, Access::owner, OwnTarget::admin},
    OwnRoute{"/admin", true, Access::owner, OwnTarget::admin},
    OwnRoute{"/setup", true, Access::open, OwnTarget::admin},
    OwnRoute{"/config", true, Access::open, OwnTarget::admin},
    OwnRoute{"/api/friend", true, Access::open, OwnTarget::admin},
    OwnRoute{"/login", false, Access::open, OwnTarget::admin},
    OwnRoute{"/logout", false, Access::open, OwnTarget::admin},
    OwnRoute{"/oauth/token", true, Access::open, OwnTarget::admin},
    OwnRoute{"/me", true, Access::user, OwnTarget::admin},
};

} // namespace

std::optional<OwnRoute> own_route(std::string_view path) noexcept
{
    for (const OwnRoute& route : kRoutes) {
        // Most requests are for none of them: the first letter tells.
        if (path.size() > 1 && route.path.size() > 1 && path[1] != route.path[1]) continue;
        if (path == route.path) return route;
        const bool below = route.prefix && path.size() > route.path.size() &&
                           path.starts_with(route.path) && path[route.path.size()] == '/';
        if (below) return route;
    }
    return std::nullopt;
}

} // namespace worker
