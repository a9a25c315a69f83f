/// Whom a request comes from, also behind a reverse proxy.
#pragma once

#include "shared/base/ip_address.hpp"
#include "shared/http/head.hpp"

#include <span>
#include <string_view>
#include <vector>

namespace worker {

/// "10.0.0.0/8, ::1" as the configuration has it (already checked).
[[nodiscard]] std::vector<shared::IpNetwork> networks_of(std::string_view list);

/// The peer itself, or, where it is one of `trusted`, whom it names in X-Forwarded-For or Forwarded (RFC 7239): the
/// last one that is no trusted proxy. What others say of themselves counts nothing.
[[nodiscard]] shared::IpAddress client_address(
    const shared::IpAddress& peer,
    const shared::http::RequestHead& request,
    std::span<const shared::IpNetwork> trusted);

/// Whether the client came by https, as far as a trusted proxy says so (X-Forwarded-Proto, Forwarded).
[[nodiscard]] bool came_by_https(
    const shared::IpAddress& peer,
    const shared::http::RequestHead& request,
    std::span<const shared::IpNetwork> trusted);

} // namespace worker
