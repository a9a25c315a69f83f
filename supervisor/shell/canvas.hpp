/// Lines for a terminal: pieces of text with a meaning that becomes a colour where there are colours. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace supervisor::shell {

enum class Ink : std::uint8_t { plain, strong, soft, good, warn, bad };

/// What a terminal can take.
struct Paper {
    bool colour = false;
    bool bars = false;
    std::size_t columns = 0; ///< 0 = as wide as need be
};

class Line {
public:
    Line() = default;

    explicit Line(std::string_view text, Ink ink = Ink::plain) { add(text, ink); }

    /// `text` has no control characters.
    Line& add(std::string_view text, Ink ink = Ink::plain);
    /// In exactly `width` columns.
    Line& fit(std::string_view text, std::size_t width, Ink ink = Ink::plain);
    Line& fit_right(std::string_view text, std::size_t width, Ink ink = Ink::plain);

    Line& gap(std::size_t columns) { return add(std::string(columns, ' ')); }

    /// The whole line reversed, as a cursor.
    Line& choose()
    {
        chosen_ = true;
        return *this;
    }

    /// Cut to the paper's columns; without a line break, and without blanks at its end unless it is chosen.
    [[nodiscard]] std::string text(const Paper& paper) const;

private:
    std::vector<std::pair<std::string, Ink>> pieces_;
    bool chosen_ = false;
};

using Lines = std::vector<Line>;

/// Every line with its break.
[[nodiscard]] std::string text_of(const Lines& lines, const Paper& paper);

} // namespace supervisor::shell
