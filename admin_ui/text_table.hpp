/// A table for a terminal: columns as wide as they need to be. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace admin_ui {

struct TextColumn {
    std::string head;
    bool right = false; ///< numbers
};

/// Each row has as many cells as there are columns. Cells may hold any text: control characters are replaced.
[[nodiscard]] std::vector<std::string> text_table(
    const std::vector<TextColumn>& columns, const std::vector<std::vector<std::string>>& rows);

/// Characters a terminal shows, for text without control characters.
[[nodiscard]] std::size_t text_width(std::string_view text);

} // namespace admin_ui
