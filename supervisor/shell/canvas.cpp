#include "supervisor/shell/canvas.hpp"

#include "shared/base/terminal_text.hpp"

#include <algorithm>

namespace supervisor::shell {
namespace {

const char* code_of(Ink ink)
{
    switch (ink) {
    case Ink::plain:
        return "";
    case Ink::strong:
        return "\x1b[1m";
    case Ink::soft:
        return "\x1b[2m";
    case Ink::good:
        return "\x1b[32m";
    case Ink::warn:
        return "\x1b[33m";
    case Ink::bad:
        return "\x1b[31m";
    }
    return "";
}

} // namespace

Line& Line::add(std::string_view text, Ink ink)
{
    if (!text.empty()) pieces_.emplace_back(text, ink);
    return *this;
}

Line& Line::fit(std::string_view text, std::size_t width, Ink ink)
{
    return add(shared::fit_text(text, width), ink);
}

Line& Line::fit_right(std::string_view text, std::size_t width, Ink ink)
{
    return add(shared::fit_text(text, width, true), ink);
}

std::string Line::text(const Paper& paper) const
{
    std::string plain;
    for (const auto& [piece, ink] : pieces_)
        plain += piece;
    const bool cut = paper.columns > 0 && shared::text_width(plain) > paper.columns;
    if (!paper.colour || chosen_) {
        if (cut) plain = shared::fit_text(plain, paper.columns);
        if (chosen_ && paper.colour) {
            if (paper.columns > 0) plain = shared::fit_text(plain, paper.columns);
            return "\x1b[7m" + plain + "\x1b[0m";
        }
        plain.resize(plain.find_last_not_of(' ') + 1);
        return plain;
    }
    std::string out;
    std::size_t left = cut ? paper.columns : plain.size();
    for (const auto& [piece, ink] : pieces_) {
        if (left == 0) break;
        const std::size_t width = shared::text_width(piece);
        const std::string shown = width > left ? shared::fit_text(piece, left) : piece;
        left -= std::min(left, width);
        const bool blank = shown.find_first_not_of(' ') == std::string::npos;
        if (ink == Ink::plain || blank)
            out += shown;
        else
            out += code_of(ink) + shown + "\x1b[0m";
    }
    out.resize(out.find_last_not_of(' ') + 1);
    return out;
}

std::string text_of(const Lines& lines, const Paper& paper)
{
    std::string out;
    for (const Line& line : lines)
        out += line.text(paper) + '\n';
    return out;
}

} // namespace supervisor::shell
