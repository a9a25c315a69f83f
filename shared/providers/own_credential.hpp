/// A vendor's credential of the client's own, which is passed through where the pool's owner allows it
/// (allow_passthrough). Pure.
#pragma once

#include "shared/http/head.hpp"
#include "shared/providers/provider.hpp"

#include <optional>
#include <string_view>

namespace shared {

struct OwnCredential {
    CredentialKind kind = CredentialKind::none;
    std::string_view token; ///< in the request
};

/// A key or token that only this provider hands out, by its prefix; nothing of what the pool itself hands out, and no
/// sign-in (a JWT): Codex shows its own wherever it is pointed to.
[[nodiscard]] std::optional<OwnCredential>
own_credential(const Provider& provider, const http::RequestHead& request);

} // namespace shared
