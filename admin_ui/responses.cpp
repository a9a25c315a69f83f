#include "admin_ui/responses.hpp"

#include <algorithm>

namespace admin_ui {

PageResponse see_other(std::string_view path)
{
    PageResponse made = made_response(303, kTextType, "");
    made.headers.push_back({"Location", std::string(path)});
    return made;
}

std::string_view parameter(std::string_view query, std::string_view name)
{
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view pair = query.substr(0, end);
        const std::size_t equals = std::min(pair.find('='), pair.size());
        if (pair.substr(0, equals) == name) return pair.substr(std::min(equals + 1, pair.size()));
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    return {};
}

bool wants_html(const PageRequest& request)
{
    return request.accept.find("text/html") != std::string::npos;
}

bool is_cross_site(const PageRequest& request)
{
    const std::string& site = request.fetch_site;
    if (!site.empty() && site != "same-origin" && site != "none") return true;
    if (request.origin.empty()) return false;
    const std::size_t scheme = request.origin.find("://");
    return scheme == std::string::npos || request.origin.substr(scheme + 3) != request.host;
}

std::string doer(const PageRequest& request)
{
    return request.caller.user.empty() ? "owner" : request.caller.user;
}

PageResponse method_not_allowed(const PageRequest& request, const char* allow)
{
    PageResponse made = error_response(
        request, 405, "This path takes " + std::string(allow) + ", not " + request.method + '.');
    made.headers.push_back({"Allow", allow});
    return made;
}

} // namespace admin_ui
