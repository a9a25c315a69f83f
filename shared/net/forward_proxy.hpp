/// One forward proxy by its address: HTTP CONNECT or SOCKS5.
#pragma once

#include "shared/base/result.hpp"
#include "shared/http/base_url.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace shared::net {

struct ForwardProxy {
    enum class Protocol : std::uint8_t { http, socks5 };

    Protocol protocol = Protocol::http;
    http::BaseUrl address;     ///< `tls`: the proxy itself is reached over TLS (http only)
    std::string authorization; ///< http: value of Proxy-Authorization, may be empty
    std::string user;          ///< socks5: may be empty
    std::string password;

    /// "http://[user:password@]host[:port]", "https://…", "socks5://…" or "socks5h://…" (names are always resolved by the
    /// proxy; port 1080 if none is named); without a scheme http. User and password are percent-encoded. The Problem's
    /// `where` is left for the caller; it never repeats the address, which may hold a password.
    [[nodiscard]] static Result<ForwardProxy> parse(std::string_view url);
};

} // namespace shared::net
