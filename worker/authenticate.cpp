#include "worker/authenticate.hpp"

#include "shared/base/base64.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string>
#include <utility>

namespace worker {
namespace {

using shared::Access;
using shared::http::iequals;
using shared::http::RequestHead;

std::string_view without_port(std::string_view host) noexcept
{
    if (host.starts_with('[')) {
        const std::size_t end = host.find(']');
        return end == std::string_view::npos ? host : host.substr(0, end + 1);
    }
    return host.substr(0, host.find(':'));
}

bool is_ipv4(std::string_view text) noexcept
{
    int dots = 0;
    int digits = 0;
    for (const char c : text) {
        if (c == '.') {
            if (digits == 0) return false;
            ++dots;
            digits = 0;
        } else if (c < '0' || c > '9' || ++digits > 3) {
            return false;
        }
    }
    return dots == 3 && digits > 0;
}

/// A request that a web page of another site made a browser send. Browsers always say so.
bool from_foreign_page(const RequestHead& request) noexcept
{
    const std::string_view site = request.fields.find("sec-fetch-site");
    if (iequals(site, "cross-site") || iequals(site, "same-site")) return true;
    std::string_view origin = request.fields.find("origin");
    if (origin.data() == nullptr) return false;
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (origin.starts_with(scheme)) {
            return !iequals(origin.substr(scheme.size()), request.fields.find("host"));
        }
    }
    return true; // "null", extensions, other schemes
}

/// The rest of an Authorization value behind its scheme; nothing if the scheme is another.
std::optional<std::string_view>
credential_of_scheme(std::string_view value, std::string_view scheme)
{
    if (value.size() <= scheme.size() || !iequals(value.substr(0, scheme.size()), scheme))
        return {};
    if (value[scheme.size()] != ' ') return {};
    value.remove_prefix(scheme.size());
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    return value;
}

AccessDecision refuse(Refusal refusal, const char* reason)
{
    AccessDecision decision;
    decision.refusal = refusal;
    decision.reason = reason;
    return decision;
}

AccessDecision local_mode(const RequestHead& request, bool peer_is_loopback)
{
    if (!peer_is_loopback)
        return refuse(Refusal::forbidden, "in local mode only this machine is served");
    if (!is_loopback_host(request.fields.find("host")) && request.minor_version != 0) {
        return refuse(
            Refusal::forbidden,
            "in local mode the Host must be a loopback name; set friend_code or admin_password to "
            "share the pool");
    }
    AccessDecision decision;
    decision.role = Role::owner;
    decision.user = "local";
    return decision;
}

/// The value of a cookie; empty if there is none.
std::string_view cookie(const RequestHead& request, std::string_view name)
{
    for (const shared::http::Field& field : request.fields.list) {
        if (!iequals(field.name, "cookie")) continue;
        std::string_view rest = field.value;
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find(';'), rest.size());
            std::string_view pair = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            while (pair.starts_with(' '))
                pair.remove_prefix(1);
            const std::size_t equals = pair.find('=');
            if (equals != std::string_view::npos && pair.substr(0, equals) == name)
                return pair.substr(equals + 1);
        }
    }
    return {};
}

AccessDecision owner(bool by_session)
{
    AccessDecision decision;
    decision.role = Role::owner;
    decision.user = shared::kOwnerUser;
    decision.by_session = by_session;
    return decision;
}

} // namespace

Authenticator::Authenticator(AccessPolicy policy, shared::Segment& segment)
    : policy_(std::move(policy)),
      segment_(segment),
      key_(policy_.user_key),
      memo_(key_),
      owner_generation_(key_.owner_generation(policy_.admin_password))
{}

AccessDecision Authenticator::decide(const Approach& approach, const RequestHead& request)
{
    const bool harmless = policy_.shared_mode && approach.needed == Access::open;
    if (!harmless && from_foreign_page(request))
        return refuse(Refusal::forbidden, "requests from other web pages are refused");
    if (!policy_.shared_mode) return local_mode(request, approach.peer_is_loopback);

    AccessDecision caller = as_caller(approach, request);
    if (approach.needed == Access::open) {
        // Whoever is not let in elsewhere is a stranger here.
        return caller.refusal == Refusal::none ? caller : AccessDecision();
    }
    if (caller.refusal != Refusal::none) return caller;
    if (approach.needed == Access::user) {
        if (caller.role == Role::nobody)
            return refuse(Refusal::unauthorized, "a pool user's credential is needed");
        return caller;
    }
    if (caller.role == Role::owner) return caller;
    if (caller.role == Role::user)
        return refuse(Refusal::forbidden, "only the pool's owner may do this");
    return refuse(Refusal::unauthorized, "the owner's credential is needed");
}

AccessDecision Authenticator::as_caller(const Approach& approach, const RequestHead& request)
{
    const auto& fields = request.fields;
    const auto bearer = credential_of_scheme(fields.find("authorization"), "bearer");
    const std::string_view beside = fields.find("x-codex-pool-key");
    const std::array shown{
        beside,
        bearer.value_or(std::string_view()),
        fields.find("x-api-key"),
        fields.find("x-goog-api-key"),
        request.query_parameter("key")}; // Gemini's way to send an API key
    for (const std::string_view text : shown) {
        if (text.empty()) continue;
        const auto credential = memo_.verify(text, approach.now);
        if (!credential || credential->use != shared::CredentialUse::access) continue;
        AccessDecision decision = as_user(*credential, approach.now);
        decision.beside = text.data() == beside.data();
        return decision;
    }
    if (!approach.own_route) return {};

    const AccessDecision signed_in = by_session(request, approach.now);
    if (signed_in.role != Role::nobody) return signed_in;
    // A stranger's credential on an open page is no try at the owner's.
    if (approach.needed == Access::open) return {};
    return owner_by_secret(approach, request);
}

AccessDecision Authenticator::by_session(const RequestHead& request, shared::UnixMillis now)
{
    const std::string_view text = cookie(request, shared::kSessionCookie);
    if (text.empty()) return {};
    const auto credential = memo_.verify(text, now);
    if (!credential || credential->use != shared::CredentialUse::session) return {};
    if (credential->user == shared::kOwnerUser) {
        const bool still =
            credential->generation == owner_generation_ && !policy_.admin_password.empty();
        return still ? owner(true) : AccessDecision();
    }
    AccessDecision decision = as_user(*credential, now);
    decision.by_session = true;
    return decision;
}

AccessDecision
Authenticator::as_user(const shared::UserCredential& credential, shared::UnixMillis now) const
{
    if (segment_.users.version.load(std::memory_order_acquire) == 0)
        return refuse(Refusal::starting, "the pool is starting; try again in a moment");
    const shared::UserSlot slot = shared::find_user(segment_, credential.user);
    switch (shared::user_standing(segment_, slot, credential.generation, now)) {
    case shared::UserStanding::active:
        break;
    case shared::UserStanding::unknown:
        return refuse(Refusal::user_disabled, "this pool user does not exist any more");
    case shared::UserStanding::revoked:
        return refuse(
            Refusal::user_disabled, "this pool credential was replaced; set the CLI up again");
    case shared::UserStanding::disabled:
        return refuse(Refusal::user_disabled, "this pool user is disabled; ask the pool's owner");
    case shared::UserStanding::expired:
        return refuse(
            Refusal::user_disabled, "this pool user's time is over; ask the pool's owner");
    }
    AccessDecision decision;
    decision.role = Role::user;
    decision.user = credential.user.view();
    decision.pool_user = slot;
    decision.generation = credential.generation;
    return decision;
}

AccessDecision Authenticator::owner_by_secret(const Approach& approach, const RequestHead& request)
{
    const bool shown = request.fields.find("x-admin-token").data() != nullptr ||
                       request.fields.find("authorization").data() != nullptr;
    if (!shown) return {};
    const std::string client = shared::client_key(approach.client);
    const auto wait =
        shared::attempt_wait(segment_, shared::AttemptTarget::owner, client, approach.now);
    if (wait.count() > 0) {
        AccessDecision decision =
            refuse(Refusal::slow_down, "too many wrong credentials came from this address");
        decision.retry_at = approach.now.plus(wait);
        return decision;
    }
    const bool right = is_owner(request);
    shared::note_attempt(segment_, shared::AttemptTarget::owner, client, right, approach.now);
    return right ? owner(false) : AccessDecision();
}

bool Authenticator::is_owner(const RequestHead& request) const
{
    const std::string_view header = request.fields.find("x-admin-token");
    if (header.data() != nullptr && policy_.admin_token.matches(header)) return true;
    const std::string_view authorization = request.fields.find("authorization");
    if (const auto bearer = credential_of_scheme(authorization, "bearer"))
        return policy_.admin_token.matches(*bearer);
    if (const auto basic = credential_of_scheme(authorization, "basic")) {
        std::string decoded;
        if (!shared::decode_base64(*basic, decoded)) return false;
        const std::size_t colon = decoded.find(':');
        if (colon == std::string::npos || decoded.substr(0, colon) != "admin") return false;
        return policy_.admin_password.matches(std::string_view(decoded).substr(colon + 1));
    }
    return false;
}

bool is_loopback_host(std::string_view host) noexcept
{
    if (host.starts_with('[')) {
        const std::string_view bare = without_port(host);
        const std::string_view rest = host.substr(bare.size());
        return bare == "[::1]" && (rest.empty() || rest.starts_with(':'));
    }
    const std::string_view name = without_port(host);
    if (iequals(name, "localhost")) return true;
    constexpr std::string_view kSuffix = ".localhost";
    if (name.size() > kSuffix.size() &&
        iequals(name.substr(name.size() - kSuffix.size()), kSuffix)) {
        return true;
    }
    return name.starts_with("127.") && is_ipv4(name);
}

} // namespace worker
