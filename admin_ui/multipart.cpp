#include "admin_ui/multipart.hpp"

#include "shared/base/trim.hpp"
#include "shared/http/head.hpp"

#include <algorithm>
#include <utility>

namespace admin_ui {
namespace {

using shared::http::iequals;

constexpr std::string_view kType = "multipart/form-data";
constexpr std::size_t kBoundaryBytesMax = 70; // RFC 2046 5.1.1

shared::Problem broken(const char* what)
{
    return {"the form", what, "send it again"};
}

/// Takes the part up to the next `mark` that stands in no quotes off `text`.
std::string_view next_piece(std::string_view& text, char mark)
{
    std::size_t end = 0;
    bool quoted = false;
    while (end < text.size() && (quoted || text[end] != mark)) {
        if (text[end] == '"') quoted = !quoted;
        ++end;
    }
    const std::string_view piece = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return piece;
}

/// The value of `name="…"` (or without quotes) among the parameters of a header's value; empty if there is none.
std::string_view parameter_of(std::string_view value, std::string_view name)
{
    (void)next_piece(value, ';');
    while (!value.empty()) {
        std::string_view rest = next_piece(value, ';');
        const std::string_view key = shared::trimmed(next_piece(rest, '='));
        if (!iequals(key, name)) continue;
        rest = shared::trimmed(rest);
        if (rest.size() >= 2 && rest.starts_with('"') && rest.ends_with('"'))
            return rest.substr(1, rest.size() - 2);
        return rest;
    }
    return {};
}

/// The name in a part's head; empty if it has none.
std::string_view name_in(std::string_view head)
{
    constexpr std::string_view kField = "content-disposition:";
    while (!head.empty()) {
        const std::size_t end = std::min(head.find("\r\n"), head.size());
        const std::string_view line = head.substr(0, end);
        head.remove_prefix(std::min(end + 2, head.size()));
        if (line.size() > kField.size() && iequals(line.substr(0, kField.size()), kField))
            return parameter_of(line.substr(kField.size()), "name");
    }
    return {};
}

} // namespace

bool is_multipart(std::string_view content_type) noexcept
{
    return iequals(content_type.substr(0, kType.size()), kType);
}

shared::Result<std::vector<FormPart>>
parse_multipart(std::string_view content_type, std::string_view body)
{
    const std::string_view boundary = parameter_of(content_type, "boundary");
    if (boundary.empty() || boundary.size() > kBoundaryBytesMax)
        return broken("names no boundary between its parts");
    const std::string first = "--" + std::string(boundary);
    const std::string next = "\r\n" + first;
    if (!body.starts_with(first)) return broken("does not begin with a part");
    body.remove_prefix(first.size());
    std::vector<FormPart> parts;
    while (!body.starts_with("--")) {
        if (!body.starts_with("\r\n")) return broken("has a broken boundary");
        body.remove_prefix(2);
        const std::size_t head_end = body.find("\r\n\r\n");
        if (head_end == std::string_view::npos) return broken("has a part without an end");
        const std::string_view name = name_in(body.substr(0, head_end));
        body.remove_prefix(head_end + 4);
        const std::size_t end = body.find(next);
        if (end == std::string_view::npos) return broken("has a part without an end");
        if (name.empty()) return broken("has a part without a name");
        if (parts.size() >= kFormPartsMax) return broken("has too many parts");
        parts.push_back({std::string(name), body.substr(0, end)});
        body.remove_prefix(end + next.size());
    }
    return parts;
}

} // namespace admin_ui
