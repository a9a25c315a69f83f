/// What all pages have in common: head, navigation, footer. A page is a title, its place in the navigation and content.
#pragma once

#include "admin_ui/html.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace admin_ui {

/// Who looks; decides which entries the navigation has.
enum class Audience : std::uint8_t { nobody, friend_, owner };

struct Frame {
    std::string_view title;  ///< plain text; also the tab's
    std::string_view place;  ///< path of its navigation entry; empty = none of them
    std::string_view script; ///< a module of static/ beside app.js, like "live.js"; may be empty
    Audience audience = Audience::owner;
};

/// The whole page. `content` goes inside <main>, its <h1> included.
[[nodiscard]] std::string framed(const Frame& frame, const Html& content);

} // namespace admin_ui
