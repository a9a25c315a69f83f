#include "worker/authenticate.hpp"

#include "shared/base/base64.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string>

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

bool is_owner(const AccessPolicy& policy, const RequestHead& request)
{
    const std::string_view header = request.fields.find("x-admin-token");
    if (header.data() != nullptr && policy.admin_token.matches(header)) return true;
    const std::string_view authorization = request.fields.find("authorization");
    if (const auto bearer = credential_of_scheme(authorization, "bearer")) {
        return policy.admin_token.matches(*bearer);
    }
    if (const auto basic = credential_of_scheme(authorization, "basic")) {
        std::string decoded;
        if (!shared::decode_base64(*basic, decoded)) return false;
        const std::size_t colon = decoded.find(':');
        if (colon == std::string::npos || decoded.substr(0, colon) != "admin") return false;
        return policy.admin_password.matches(std::string_view(decoded).substr(colon + 1));
    }
    return false;
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
    decision.user = "local";
    return decision;
}

} // namespace

AccessDecision authenticate(
    const AccessPolicy& policy, Access needed, const RequestHead& request, bool peer_is_loopback)
{
    const bool harmless = policy.shared_mode && needed == Access::open;
    if (!harmless && from_foreign_page(request)) {
        return refuse(Refusal::forbidden, "requests from other web pages are refused");
    }
    if (!policy.shared_mode) return local_mode(request, peer_is_loopback);
    if (needed == Access::open) return {};
    if (needed == Access::owner) {
        if (!is_owner(policy, request))
            return refuse(Refusal::unauthorized, "the owner's credential is needed");
        AccessDecision decision;
        decision.user = "owner";
        return decision;
    }
    return refuse(Refusal::unauthorized, "a pool user's credential is needed");
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
