#include "shared/providers/fingerprint.hpp"

namespace shared::providers {

namespace {

/// The end of the JSON value that begins at the start of `text`, or text.size() if it does not end there.
std::size_t value_length(std::string_view text)
{
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (in_string) {
            if (c == '\\')
                ++at;
            else if (c == '"') {
                in_string = false;
                if (depth == 0) return at + 1;
            }
            continue;
        }
        if (c == '"') in_string = true;
        if (c == '{' || c == '[') ++depth;
        if (c == '}' || c == ']') {
            if (depth == 0) return at; // the enclosing array ends: a bare number or word
            if (--depth == 0) return at + 1;
        }
        if (c == ',' && depth == 0) return at;
    }
    return text.size();
}

/// Appends `element` without `,"cache_control":{…}` members.
void append_without_cache_marks(std::string_view element, std::string& out)
{
    constexpr std::string_view kMark = ",\"cache_control\":{";
    while (true) {
        const std::size_t at = element.find(kMark);
        // An escaped quote before the name cannot match: there the comma would be followed by a backslash.
        if (at == std::string_view::npos) break;
        out += element.substr(0, at);
        element.remove_prefix(at + kMark.size() - 1);
        element.remove_prefix(value_length(element));
    }
    out += element;
}

} // namespace

std::string
fingerprint_of(std::string_view model, const http::PickedValue& first, std::string_view body)
{
    if (first.kind == http::JsonKind::absent || first.offset >= body.size()) return {};
    const std::string_view rest =
        body.substr(static_cast<std::size_t>(first.offset), kFingerprintBytesMax);
    std::string text(model);
    text += '\n';
    append_without_cache_marks(rest.substr(0, value_length(rest)), text);
    return text;
}

bool is_no_object(const http::JsonPicker& picker, std::string_view body)
{
    const std::size_t first = body.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos || body[first] != '{') return true;
    return !picker.complete() && !picker.satisfied();
}

} // namespace shared::providers
