/// Text for a terminal: how wide it is, cut or filled to a width, bars, short numbers. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace shared {

/// Characters a terminal shows, for text without control characters; each counts as one column.
[[nodiscard]] std::size_t text_width(std::string_view text);

/// `text` in exactly `width` columns: cut with "…", or filled with blanks at its end (`right`: at its beginning).
[[nodiscard]] std::string fit_text(std::string_view text, std::size_t width, bool right = false);

/// As many of `width` cells as the share (0 to 1) of the whole, in eighths of a cell.
[[nodiscard]] std::string bar_text(double share, std::size_t width);

/// "9999", "12.3 k", "456 M"
[[nodiscard]] std::string short_number(std::int64_t value);

} // namespace shared
