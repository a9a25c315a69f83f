#include "admin_ui/html.hpp"

#include <algorithm>

namespace admin_ui {

std::string escape_html(std::string_view text)
{
    std::string out;
    out.reserve(text.size() + text.size() / 8);
    for (const char c : text) {
        switch (c) {
        case '&':
            out += "&amp;";
            break;
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '"':
            out += "&quot;";
            break;
        case '\'':
            out += "&#39;";
            break;
        case '\n':
        case '\t':
            out += c;
            break;
        default:
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
                out += "\xEF\xBF\xBD";
            } else {
                out += c;
            }
        }
    }
    return out;
}

std::string render(std::string_view page, std::initializer_list<Slot> values)
{
    const auto value_of = [&values](std::string_view name) {
        const auto found = std::find_if(
            values.begin(), values.end(), [name](const Slot& slot) { return slot.name == name; });
        return found == values.end() ? std::string_view() : found->value;
    };
    std::string out;
    out.reserve(page.size() * 2);
    while (true) {
        const std::size_t open = page.find("{{");
        if (open == std::string_view::npos) return out.append(page);
        out.append(page.substr(0, open));
        const bool as_is = page.substr(open, 3) == "{{{";
        const std::string_view end = as_is ? "}}}" : "}}";
        const std::size_t begin = open + end.size();
        const std::size_t close = page.find(end, begin);
        if (close == std::string_view::npos) return out.append(page.substr(open));
        const std::string_view value = value_of(page.substr(begin, close - begin));
        if (as_is) {
            out.append(value);
        } else {
            out += escape_html(value);
        }
        page.remove_prefix(close + end.size());
    }
}

} // namespace admin_ui
