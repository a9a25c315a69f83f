/// A table for a terminal: columns as wide as they need to be. Pure.
#pragma once

#include "shared/base/terminal_text.hpp"

#include <string>
#include <vector>

namespace admin_ui {

struct TextColumn {
    std::string head;
    bool right = false; ///< numbers
};

/// Each row has as many cells as there are columns. Cells may hold any text: control characters are replaced.
[[nodiscard]] std::vector<std::string> text_table(
    const std::vector<TextColumn>& columns, const std::vector<std::vector<std::string>>& rows);

using shared::text_width;

} // namespace admin_ui
