#include "shared/http/base_url.hpp"

#include "shared/http/head.hpp"

#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace shared::http {
namespace {

constexpr std::size_t kHostBytesMax = 253; // RFC 1035 2.3.4

Problem problem(std::string what, std::string remedy = "write it as https://host[:port][/prefix]")
{
    return Problem{"", std::move(what), std::move(remedy)};
}

bool is_host_name(std::string_view host) noexcept
{
    if (host.empty() || host.size() > kHostBytesMax || host.front() == '-') return false;
    for (const char c : host) {
        const char folded = static_cast<char>(c | 0x20);
        const bool letter = folded >= 'a' && folded <= 'z';
        if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '-' && c != '_') return false;
    }
    return host.find("..") == std::string_view::npos && host.front() != '.';
}

/// What a path prefix may be made of: visible ASCII without what would end the path or escape from it.
bool is_prefix(std::string_view prefix) noexcept
{
    for (const char c : prefix) {
        const auto byte = static_cast<unsigned char>(c); // a plain char has no sign on arm64
        if (byte <= 0x20 || byte >= 0x7F || c == '?' || c == '#' || c == '\\') return false;
    }
    return (std::string(prefix) + "/").find("/../") == std::string::npos;
}

std::optional<std::uint16_t> port_of(std::string_view text) noexcept
{
    std::uint16_t port = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), port);
    if (result.ec != std::errc() || result.ptr != text.data() + text.size() || port == 0)
        return std::nullopt;
    return port;
}

/// host, [address] or host:port from the front of `rest`; a missing port leaves `base.port` as it is.
Result<BaseUrl> with_authority(std::string_view authority, BaseUrl base)
{
    std::string_view port;
    bool has_port = false;
    if (authority.starts_with('[')) {
        const std::size_t close = authority.find(']');
        if (close == std::string_view::npos) return problem("the address lacks its ']'");
        base.host = authority.substr(1, close - 1);
        in6_addr address{};
        const bool clean =
            base.host.find_first_not_of("0123456789abcdefABCDEF:.") == std::string::npos;
        if (!clean || inet_pton(AF_INET6, base.host.c_str(), &address) != 1)
            return problem("the address in brackets is no IPv6 address");
        const std::string_view rest = authority.substr(close + 1);
        has_port = !rest.empty();
        if (has_port && rest.front() != ':') return problem("there is text after the ']'");
        if (has_port) port = rest.substr(1);
    } else {
        const std::size_t colon = authority.find(':');
        has_port = colon != std::string_view::npos;
        base.host = authority.substr(0, colon);
        if (has_port) port = authority.substr(colon + 1);
        if (!is_host_name(base.host)) return problem("the host name is empty or malformed");
    }
    if (has_port) {
        const std::optional<std::uint16_t> number = port_of(port);
        if (!number) return problem("the port is not a number from 1 to 65535");
        base.port = *number;
    }
    for (char& c : base.host) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
    return base;
}

} // namespace

std::string BaseUrl::authority() const
{
    std::string out;
    append_authority(out);
    return out;
}

void BaseUrl::append_authority(std::string& to) const
{
    const bool v6 = host.find(':') != std::string::npos;
    if (v6) to += '[';
    to += host;
    if (v6) to += ']';
    if (port == (tls ? 443 : 80)) return;
    std::array<char, 8> digits{':'};
    const auto end = std::to_chars(digits.data() + 1, digits.data() + digits.size(), port);
    to.append(digits.data(), static_cast<std::size_t>(end.ptr - digits.data()));
}

bool is_loopback_host(std::string_view host)
{
    if (iequals(host, "localhost")) return true;
    const std::string text(host);
    if (text.find('\0') != std::string::npos) return false; // inet_pton() would stop reading there
    in_addr v4{};
    if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24U) == 127;
    in6_addr v6{};
    return inet_pton(AF_INET6, text.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

Result<BaseUrl> parse_any_base_url(std::string_view url)
{
    BaseUrl base;
    const std::size_t colon = url.find("://");
    const std::string_view scheme = url.substr(0, colon);
    if (colon == std::string_view::npos) return problem("the address has no scheme");
    if (iequals(scheme, "http")) {
        base.tls = false;
        base.port = 80;
    } else if (!iequals(scheme, "https")) {
        return problem("the scheme is neither https nor http");
    }
    const std::string_view rest = url.substr(colon + 3);
    const std::size_t slash = rest.find_first_of("/?#\\");
    const std::string_view authority = rest.substr(0, slash);
    std::string_view prefix = slash == std::string_view::npos ? "" : rest.substr(slash);
    if (authority.find('@') != std::string_view::npos)
        return problem("the address holds a user name or password", "take it out of the address");
    if (!is_prefix(prefix))
        return problem("the path prefix has a query, a fragment, \"..\" or an invalid character");
    while (prefix.ends_with('/'))
        prefix.remove_suffix(1);
    base.prefix = prefix;
    return with_authority(authority, std::move(base));
}

Result<BaseUrl> parse_base_url(std::string_view url)
{
    Result<BaseUrl> base = parse_any_base_url(url);
    if (base.has_value() && !base->tls && !is_loopback_host(base->host))
        return problem(
            "http is allowed for loopback addresses only, and this host is not one", "use https");
    return base;
}

} // namespace shared::http
