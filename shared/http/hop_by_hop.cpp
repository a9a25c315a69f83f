#include "shared/http/head.hpp"

#include <array>

namespace shared::http {
namespace {

// RFC 9110 7.6.1, plus the Proxy-Connection of old clients.
bool always_hop_by_hop(std::string_view name) noexcept
{
    static constexpr std::array<std::string_view, 10> kNames = {
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-authentication-info",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    };
    if (name.empty()) return false;
    // The first letter rules out most fields of a message.
    switch (name.front() | 0x20) {
    case 'c':
    case 'k':
    case 'p':
    case 't':
    case 'u':
        break;
    default:
        return false;
    }
    for (const std::string_view known : kNames) {
        if (iequals(name, known)) return true;
    }
    return false;
}

/// Fields that a Connection field cannot take away: dropping them would change where the body ends, what it is, or
/// whom it is for.
bool cannot_be_nominated(std::string_view name) noexcept
{
    static constexpr std::string_view kContent = "content-";
    return iequals(name, "host") || iequals(name.substr(0, kContent.size()), kContent);
}

} // namespace

bool is_hop_by_hop(std::string_view name, std::string_view connection_value) noexcept
{
    if (always_hop_by_hop(name)) return true;
    return !connection_value.empty() && list_contains(connection_value, name) &&
           !cannot_be_nominated(name);
}

bool is_hop_by_hop(std::string_view name, const Fields& fields) noexcept
{
    if (is_hop_by_hop(name, fields.connection)) return true;
    return fields.connection_repeated && fields.lists("connection", name) &&
           !cannot_be_nominated(name);
}

} // namespace shared::http
