#include "worker/client_address.hpp"

#include "shared/base/trim.hpp"

#include <algorithm>

namespace worker {
namespace {

using shared::IpAddress;
using shared::IpNetwork;
using shared::http::iequals;
using shared::http::RequestHead;

/// More hops than this are no path, but somebody's game.
constexpr std::size_t kHopsMax = 32;

/// Calls `take` with each part of a list.
template <class Take>
void each_part(std::string_view list, char separator, Take&& take)
{
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(separator), list.size());
        take(shared::trimmed(list.substr(0, end)));
        list.remove_prefix(std::min(end + 1, list.size()));
    }
}

/// "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", in quotes or not.
IpAddress address_of(std::string_view text)
{
    if (text.size() >= 2 && text.starts_with('"') && text.ends_with('"'))
        text = text.substr(1, text.size() - 2);
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        return end == std::string_view::npos ? IpAddress()
                                             : IpAddress::parse(text.substr(1, end - 1));
    }
    if (std::count(text.begin(), text.end(), ':') == 1) text = text.substr(0, text.find(':'));
    return IpAddress::parse(text);
}

/// The value of a parameter of one element of Forwarded; empty if it has none.
std::string_view parameter(std::string_view element, std::string_view name)
{
    std::string_view found;
    each_part(element, ';', [&](std::string_view pair) {
        const std::size_t equals = pair.find('=');
        if (equals != std::string_view::npos &&
            iequals(shared::trimmed(pair.substr(0, equals)), name))
            found = shared::trimmed(pair.substr(equals + 1));
    });
    return found;
}

/// The addresses that the request's fields name, in the order they were passed.
std::vector<IpAddress> hops_of(const RequestHead& request)
{
    std::vector<IpAddress> hops;
    for (const shared::http::Field& field : request.fields.list) {
        if (iequals(field.name, "x-forwarded-for"))
            each_part(
                field.value, ',', [&](std::string_view part) { hops.push_back(address_of(part)); });
    }
    if (!hops.empty()) return hops;
    for (const shared::http::Field& field : request.fields.list) {
        if (iequals(field.name, "forwarded"))
            each_part(field.value, ',', [&](std::string_view part) {
                hops.push_back(address_of(parameter(part, "for")));
            });
    }
    return hops;
}

bool is_trusted(const IpAddress& address, std::span<const IpNetwork> trusted)
{
    return std::any_of(trusted.begin(), trusted.end(), [&](const IpNetwork& network) {
        return network.contains(address);
    });
}

} // namespace

std::vector<IpNetwork> networks_of(std::string_view list)
{
    std::vector<IpNetwork> networks;
    each_part(list, ',', [&](std::string_view part) {
        if (const auto network = IpNetwork::parse(part)) networks.push_back(*network);
    });
    return networks;
}

IpAddress client_address(
    const IpAddress& peer, const RequestHead& request, std::span<const IpNetwork> trusted)
{
    if (trusted.empty() || !is_trusted(peer, trusted)) return peer;
    const std::vector<IpAddress> hops = hops_of(request);
    if (hops.size() > kHopsMax) return peer;
    IpAddress client = peer;
    for (auto hop = hops.rbegin(); hop != hops.rend(); ++hop) {
        if (!hop->is_set()) break; // "unknown", or junk: whoever passed it on is the last one known
        client = *hop;
        if (!is_trusted(client, trusted)) break;
    }
    return client;
}

bool came_by_https(
    const IpAddress& peer, const RequestHead& request, std::span<const IpNetwork> trusted)
{
    if (trusted.empty() || !is_trusted(peer, trusted)) return false;
    const std::string_view protocol = request.fields.find("x-forwarded-proto");
    if (protocol.data() != nullptr) return iequals(shared::trimmed(protocol), "https");
    return iequals(parameter(request.fields.find("forwarded"), "proto"), "https");
}

} // namespace worker
