#include "shared/net/proxy_settings.hpp"

#include "shared/base/ip_address.hpp"
#include "shared/net/forward_proxy.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace shared::net {
namespace {

struct Variable {
    const char* name = nullptr;
    std::string_view value;
};

/// The first of the variables that is set and not empty.
template <std::size_t N>
Variable first_of(
    const std::function<const char*(const char*)>& get, const std::array<const char*, N>& names)
{
    for (const char* name : names) {
        const char* value = get(name);
        if (value != nullptr && *value != '\0') return {name, value};
    }
    return {};
}

Problem unusable(const Variable& variable, std::string what)
{
    return Problem{
        variable.name,
        std::move(what),
        "write it as http://host:port, or unset it to connect directly"};
}

std::vector<std::string> split_exceptions(std::string_view list)
{
    std::vector<std::string> out;
    while (!list.empty()) {
        const std::size_t end = list.find_first_of(", \t");
        if (end != 0) {
            std::string entry(list.substr(0, end));
            std::transform(entry.begin(), entry.end(), entry.begin(), [](char c) {
                return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
            });
            out.push_back(std::move(entry));
        }
        if (end == std::string_view::npos) break;
        list.remove_prefix(end + 1);
    }
    return out;
}

/// Takes the port off "host:port" or "[address]:port"; brackets too. True unless it names another port.
bool strip_port(std::string_view& entry, std::uint16_t port)
{
    std::string_view number;
    if (entry.starts_with('[')) {
        const std::size_t close = entry.find(']');
        if (close == std::string_view::npos) return false;
        if (entry.size() > close + 2 && entry[close + 1] == ':') number = entry.substr(close + 2);
        entry = entry.substr(1, close - 1);
    } else if (std::count(entry.begin(), entry.end(), ':') == 1) {
        number = entry.substr(entry.find(':') + 1);
        entry = entry.substr(0, entry.find(':'));
    }
    return number.empty() || number == std::to_string(port);
}

bool matches(std::string_view entry, const http::BaseUrl& upstream)
{
    if (entry == "*") return true;
    const auto network = IpNetwork::parse(entry);
    if (network && network->contains(IpAddress::parse(upstream.host))) return true;
    if (!strip_port(entry, upstream.port)) return false;
    if (entry.starts_with("*.")) entry.remove_prefix(1);
    std::string_view domain = entry;
    if (domain.starts_with('.')) domain.remove_prefix(1);
    if (domain.empty()) return false;
    const std::string_view host = upstream.host;
    if (host == domain) return true;
    // "example.com" covers its subdomains too, as curl and most others have it; addresses have none.
    return !IpAddress::parse(host).is_set() && host.size() > domain.size() &&
           host.ends_with(domain) && host[host.size() - domain.size() - 1] == '.';
}

} // namespace

Result<ProxySettings>
ProxySettings::from_environment(const std::function<const char*(const char*)>& get)
{
    // Lower case first, as curl does. http_proxy is for clear-text upstreams, and those are loopback.
    const Variable proxy =
        first_of(get, std::array{"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"});
    const Variable exceptions = first_of(get, std::array{"no_proxy", "NO_PROXY"});
    ProxySettings out;
    out.exceptions = split_exceptions(exceptions.value);
    if (proxy.name == nullptr) return out;

    Result<ForwardProxy> parsed = ForwardProxy::parse(proxy.value);
    if (parsed.has_error()) return unusable(proxy, parsed.error().what);
    if (parsed->protocol != ForwardProxy::Protocol::http)
        return unusable(proxy, "SOCKS is for single accounts (proxy_url), not for this variable");
    out.proxy = parsed->address;
    out.authorization = parsed->authorization;
    return out;
}

const http::BaseUrl* ProxySettings::proxy_for(const http::BaseUrl& upstream) const
{
    if (!proxy || http::is_loopback_host(upstream.host)) return nullptr;
    const bool excepted =
        std::any_of(exceptions.begin(), exceptions.end(), [&upstream](const std::string& entry) {
            return matches(entry, upstream);
        });
    return excepted ? nullptr : &*proxy;
}

} // namespace shared::net
