#include "shared/net/forward_proxy.hpp"

#include "shared/base/base64.hpp"
#include "shared/base/percent.hpp"

#include <algorithm>

namespace shared::net {
namespace {

constexpr std::uint16_t kSocksPort = 1080;
/// RFC 1929 gives each a length of one byte.
constexpr std::size_t kSocksNameBytesMax = 255;

/// Takes the scheme off if it is one of SOCKS'.
bool strip_socks(std::string_view& url)
{
    for (const std::string_view scheme : {"socks5://", "socks5h://"}) {
        if (!url.starts_with(scheme)) continue;
        url.remove_prefix(scheme.size());
        return true;
    }
    return false;
}

/// Whether "host", "host:port", "[address]" or "[address]:port" names a port.
bool names_port(std::string_view authority)
{
    const std::size_t bracket = authority.find(']');
    const std::size_t from = bracket == std::string_view::npos ? 0 : bracket;
    return authority.find(':', from) != std::string_view::npos;
}

Problem unusable(std::string what)
{
    return {"", std::move(what), "write it as http://host:port or socks5://host:port"};
}

} // namespace

Result<ForwardProxy> ForwardProxy::parse(std::string_view url)
{
    ForwardProxy out;
    if (strip_socks(url)) out.protocol = Protocol::socks5;
    const bool socks = out.protocol == Protocol::socks5;
    std::string text(url);
    if (socks || text.find("://") == std::string::npos) text.insert(0, "http://");
    const std::size_t start = text.find("://") + 3;
    const std::size_t end = std::min(text.find('/', start), text.size());
    const std::size_t at = text.rfind('@', end);
    if (at != std::string::npos && at >= start) {
        const std::string_view user_info = std::string_view(text).substr(start, at - start);
        const std::size_t colon = user_info.find(':');
        std::string user = percent_decoded(user_info.substr(0, colon));
        std::string password;
        if (colon != std::string_view::npos)
            password = percent_decoded(user_info.substr(colon + 1));
        if (socks && (user.size() > kSocksNameBytesMax || password.size() > kSocksNameBytesMax))
            return unusable("user and password of a SOCKS proxy have 255 bytes at most");
        if (socks) {
            out.user = std::move(user);
            out.password = std::move(password);
        } else {
            out.authorization = "Basic " + base64(user + ":" + password);
        }
        text.erase(start, at + 1 - start);
    }
    Result<http::BaseUrl> base = http::parse_any_base_url(text);
    if (base.has_error()) return unusable(base.error().what);
    out.address = *std::move(base);
    if (!out.address.prefix.empty()) return unusable("a proxy's address has no path");
    if (socks && !names_port(std::string_view(text).substr(start))) out.address.port = kSocksPort;
    return {boost::system::in_place_value, std::move(out)};
}

} // namespace shared::net
