/// What somebody meant who wrote a name that does not exist.
#pragma once

#include <span>
#include <string_view>

namespace shared {

/// The candidate nearest to `name` by edit distance (insert, delete, replace, swap neighbours), ignoring case;
/// nothing if none is near enough to be meant. A candidate "table.key" is also compared by its key alone.
[[nodiscard]] std::string_view
nearest_name(std::string_view name, std::span<const std::string_view> candidates);

} // namespace shared
