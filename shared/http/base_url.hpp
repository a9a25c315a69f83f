/// The address of an upstream server.
#pragma once

#include "shared/base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace shared::http {

/// scheme://host[:port][/prefix] of an upstream.
struct BaseUrl {
    bool tls = true;
    std::string host; ///< without brackets
    std::uint16_t port = 443;
    std::string prefix; ///< path prefix without trailing '/', may be empty

    /// Value of the Host header: host, and port if it is not the scheme's own.
    [[nodiscard]] std::string authority() const;
    void append_authority(std::string& to) const;
    friend bool operator==(const BaseUrl&, const BaseUrl&) = default;
};

/// https anywhere, http for loopback addresses only (127.0.0.0/8, ::1, localhost); no query, fragment or user info.
/// The Problem's `where` is left for the caller to fill in; it never repeats the address, which may hold a password.
[[nodiscard]] Result<BaseUrl> parse_base_url(std::string_view url);

/// The same with http allowed for every host: for forward proxies, never for upstreams.
[[nodiscard]] Result<BaseUrl> parse_any_base_url(std::string_view url);

/// 127.0.0.0/8, ::1 and "localhost" (any case; no brackets).
[[nodiscard]] bool is_loopback_host(std::string_view host);

} // namespace shared::http
