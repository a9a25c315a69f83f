/// Who is calling, and may they? The only place that decides about access.
///
/// Local mode: whoever sits on this machine, but no web page: loopback peer, loopback Host, no foreign Origin.
/// Shared mode: open routes for all; user routes need a pool user's credential, owner routes the owner's (HTTP Basic,
/// bearer or X-Admin-Token, or the session cookie of whoever signed in on the pages). A cookie opens the pool's own
/// routes only: no page can make a browser spend the pool.
#pragma once

#include "shared/base/fixed_string.hpp"
#include "shared/base/ip_address.hpp"
#include "shared/base/secret.hpp"
#include "shared/http/head.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/layout.hpp"
#include "shared/users/credential.hpp"
#include "shared/users/credential_memo.hpp"

#include <cstdint>
#include <string_view>

namespace worker {

/// What access depends on, from the configuration.
struct AccessPolicy {
    bool shared_mode = false;
    shared::Secret admin_password; ///< HTTP Basic, user "admin"
    shared::Secret admin_token;    ///< Bearer or X-Admin-Token
    shared::Secret user_key;       ///< signs what users get
};

enum class Refusal : std::uint8_t {
    none,
    unauthorized, ///< 401: no or wrong credential
    forbidden, ///< 403: foreign origin, foreign Host, a peer beyond loopback in local mode, not the owner
    user_disabled, ///< 403: a pool user who may not call any more
    slow_down,     ///< 429: too many wrong tries from this address
    starting,      ///< 503: users are not known yet
};

enum class Role : std::uint8_t { nobody, user, owner };

struct AccessDecision {
    Refusal refusal = Refusal::none;
    Role role = Role::nobody;
    bool by_session = false; ///< by cookie
    bool beside =
        false; ///< by X-Codex-Pool-Key: what stands in the usual places may be the client's own
    shared::FixedString<40>
        user;                   ///< whom the request is counted for: a user's id, "local", "owner"
    shared::UserSlot pool_user; ///< whose limits hold; none for the owner
    std::uint32_t generation = 0; ///< of the user's keys
    shared::UnixMillis retry_at;  ///< slow_down
    const char* reason = "";      ///< of a refusal, one clause for the answer
};

/// One request, as far as access looks at it.
struct Approach {
    shared::Access needed = shared::Access::owner;
    bool own_route = false; ///< the pool's own: sessions and the owner's credential count
    bool peer_is_loopback = false;
    shared::IpAddress client; ///< for wrong tries
    shared::UnixMillis now;
};

class Authenticator {
public:
    /// The segment outlives it.
    Authenticator(AccessPolicy policy, shared::Segment& segment);
    Authenticator(const Authenticator&) = delete;
    Authenticator& operator=(const Authenticator&) = delete;

    [[nodiscard]] AccessDecision
    decide(const Approach& approach, const shared::http::RequestHead& request);

private:
    [[nodiscard]] AccessDecision
    as_caller(const Approach& approach, const shared::http::RequestHead& request);
    [[nodiscard]] AccessDecision
    by_session(const shared::http::RequestHead& request, shared::UnixMillis now);
    [[nodiscard]] AccessDecision
    as_user(const shared::UserCredential& credential, shared::UnixMillis now) const;
    [[nodiscard]] AccessDecision
    owner_by_secret(const Approach& approach, const shared::http::RequestHead& request);
    [[nodiscard]] bool is_owner(const shared::http::RequestHead& request) const;

    AccessPolicy policy_;
    shared::Segment& segment_;
    shared::CredentialKey key_;
    shared::CredentialMemo memo_;
    std::uint32_t owner_generation_;
};

/// True for a Host that names this machine: localhost, *.localhost, 127.0.0.0/8, [::1], any port.
[[nodiscard]] bool is_loopback_host(std::string_view host) noexcept;

} // namespace worker
