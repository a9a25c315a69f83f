/// Lists of names in one text, as owners write them: "gpt-5*, o3".
#pragma once

#include <string_view>

namespace shared {

/// Whether a name of the comma-separated list is this one, `*` at its end standing for any rest. Spaces around names do
/// not count.
[[nodiscard]] constexpr bool list_names(std::string_view list, std::string_view name) noexcept
{
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        std::string_view item = list.substr(0, comma);
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
        while (item.starts_with(' '))
            item.remove_prefix(1);
        while (item.ends_with(' '))
            item.remove_suffix(1);
        if (item.empty()) continue;
        if (item == name) return true;
        if (item.ends_with('*') && name.starts_with(item.substr(0, item.size() - 1))) return true;
    }
    return false;
}

} // namespace shared
