/// Who is calling, and may they? Pure; the only place that decides about access.
#pragma once

#include "shared/base/fixed_string.hpp"
#include "shared/base/secret.hpp"
#include "shared/http/head.hpp"
#include "shared/providers/provider.hpp"

#include <cstdint>

namespace worker {

/// What access depends on, from the configuration.
struct AccessPolicy {
    bool shared_mode = false;
    shared::Secret admin_password; ///< HTTP Basic, user "admin"
    shared::Secret admin_token;    ///< Bearer or X-Admin-Token
};

enum class Refusal : std::uint8_t {
    none,
    unauthorized, ///< 401: no or wrong credential
    forbidden,    ///< 403: foreign origin, foreign Host, or a peer beyond loopback in local mode
};

struct AccessDecision {
    Refusal refusal = Refusal::none;
    shared::FixedString<40> user; ///< whom the request is counted for; "local" in local mode
    const char* reason = "";      ///< of a refusal, one clause for the answer
};

/// Local mode: whoever sits on this machine, but no web page: loopback peer, loopback Host, no foreign Origin.
/// Shared mode: open routes for all; user routes need a pool user's credential (there are no users yet:
/// always 401); owner routes the owner's.
[[nodiscard]] AccessDecision authenticate(
    const AccessPolicy& policy,
    shared::Access needed,
    const shared::http::RequestHead& request,
    bool peer_is_loopback);

/// True for a Host that names this machine: localhost, *.localhost, 127.0.0.0/8, [::1], any port.
[[nodiscard]] bool is_loopback_host(std::string_view host) noexcept;

} // namespace worker
