/// The pool's own paths: which they are, who may call them, who answers.
#pragma once

#include "shared/providers/provider.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace worker {

enum class OwnTarget : std::uint8_t {
    healthz, ///< answered by the worker, from the segment
    admin,   ///< relayed to the admin child
};

struct OwnRoute {
    std::string_view path;
    bool prefix = false; ///< everything below `path` too
    shared::Access access = shared::Access::owner;
    OwnTarget target = OwnTarget::admin;
};

/// The route for a request path; nothing if the path is not the pool's own. A path below a known prefix always
/// matches, so that nothing under it is ever sent to a vendor.
[[nodiscard]] std::optional<OwnRoute> own_route(std::string_view path) noexcept;

} // namespace worker
