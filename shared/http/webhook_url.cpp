#include "shared/http/webhook_url.hpp"

#include <algorithm>
#include <utility>

namespace shared::http {

std::string_view WebhookUrl::parameter(std::string_view name) const noexcept
{
    std::string_view query = path;
    query.remove_prefix(std::min(query.find('?'), query.size()));
    while (!query.empty()) {
        query.remove_prefix(1); // '?' or '&'
        const std::string_view pair = query.substr(0, query.find('&'));
        if (pair.starts_with(name) && pair.size() > name.size() && pair[name.size()] == '=')
            return pair.substr(name.size() + 1);
        query.remove_prefix(pair.size());
    }
    return {};
}

Result<WebhookUrl> parse_webhook_url(std::string_view url)
{
    const std::size_t mark = url.find('?');
    const std::string_view query = mark == std::string_view::npos ? "" : url.substr(mark);
    const bool clean = std::all_of(
        query.begin(), query.end(), [](char c) { return c > 0x20 && c < 0x7F && c != '#'; });
    if (!clean)
        return Problem{"", "the query has a character that must be percent-encoded", "encode it"};
    Result<BaseUrl> base = parse_base_url(url.substr(0, mark));
    if (!base) {
        Problem problem = base.error();
        problem.remedy = "write it as https://host/path, as the service shows it";
        return problem;
    }
    WebhookUrl made;
    made.base = std::move(*base);
    made.path = std::exchange(made.base.prefix, {});
    // A '/' at the path's end is part of it here.
    if (made.path.empty() || url.substr(0, mark).ends_with('/')) made.path += '/';
    made.path += query;
    return made;
}

} // namespace shared::http
