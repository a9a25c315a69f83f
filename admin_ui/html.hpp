/// HTML from templates and values: every value is escaped unless its place says otherwise.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace admin_ui {

/// `text` for an element's content or a quoted attribute: & < > " ' escaped, control characters replaced.
[[nodiscard]] std::string escape_html(std::string_view text);

/// One value of a template.
struct Slot {
    std::string_view name;
    std::string_view value;
};

/// Replaces `{{name}}` by the escaped value and `{{{name}}}` by the value as it is (HTML made here). A name without a
/// value gives nothing.
[[nodiscard]] std::string render(std::string_view page, std::initializer_list<Slot> values);

/// Appends HTML piece by piece; the only way to add text from outside is text(), which escapes.
class Html {
public:
    /// A literal of this program.
    template <std::size_t N>
    Html& raw(const char (&literal)[N])
    {
        out_.append(literal, N - 1);
        return *this;
    }

    Html& text(std::string_view value)
    {
        out_ += escape_html(value);
        return *this;
    }

    Html& number(long long value)
    {
        out_ += std::to_string(value);
        return *this;
    }

    /// HTML made by another Html.
    Html& add(const Html& part)
    {
        out_ += part.out_;
        return *this;
    }

    [[nodiscard]] const std::string& str() const noexcept { return out_; }

private:
    std::string out_;
};

} // namespace admin_ui
