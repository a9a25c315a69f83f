#include "admin_ui/text_table.hpp"

#include "shared/base/read_file.hpp"

#include <algorithm>

namespace admin_ui {

std::vector<std::string> text_table(
    const std::vector<TextColumn>& columns, const std::vector<std::vector<std::string>>& rows)
{
    std::vector<std::vector<std::string>> cells(1);
    for (const TextColumn& column : columns)
        cells.front().push_back(column.head);
    for (const auto& row : rows) {
        auto& shown = cells.emplace_back();
        for (const std::string& cell : row)
            shown.push_back(shared::printable(cell));
    }
    std::vector<std::size_t> widths(columns.size());
    for (const auto& row : cells) {
        for (std::size_t i = 0; i < widths.size(); ++i)
            widths[i] = std::max(widths[i], text_width(row[i]));
    }
    std::vector<std::string> lines;
    for (const auto& row : cells) {
        std::string line;
        for (std::size_t i = 0; i < widths.size(); ++i) {
            if (i > 0) line += "  ";
            const std::size_t blanks = widths[i] - text_width(row[i]);
            if (columns[i].right) line.append(blanks, ' ');
            line += row[i];
            if (!columns[i].right && i + 1 < widths.size()) line.append(blanks, ' ');
        }
        lines.push_back(std::move(line));
    }
    return lines;
}

} // namespace admin_ui
