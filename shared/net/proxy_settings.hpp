/// The forward proxy of this machine, from HTTPS_PROXY / https_proxy and NO_PROXY / no_proxy.
#pragma once

#include "shared/base/result.hpp"
#include "shared/http/base_url.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shared::net {

struct ProxySettings {
    std::optional<http::BaseUrl> proxy;  ///< reached in clear text or TLS; asked with CONNECT
    std::string authorization;           ///< value of Proxy-Authorization, may be empty
    std::vector<std::string> exceptions; ///< hosts, ".domain" suffixes, addresses, "*"

    /// `get` returns a variable's value or nullptr (std::getenv). A proxy URL that cannot be used is a Problem.
    [[nodiscard]] static Result<ProxySettings>
    from_environment(const std::function<const char*(const char*)>& get);

    /// The proxy to ask for this upstream; nullptr = connect directly. Loopback is never proxied.
    [[nodiscard]] const http::BaseUrl* proxy_for(const http::BaseUrl& upstream) const;
};

} // namespace shared::net
