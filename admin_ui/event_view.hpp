/// `GET /admin/events` in its forms: server-sent events, lines for people, lines of JSON.
#pragma once

#include "shared/segment/event_log.hpp"
#include "shared/segment/layout.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace admin_ui {

enum class EventForm : std::uint8_t {
    sse,
    text, ///< a line each
    json, ///< an object per line
};

/// Where one reader is. Begins with the oldest event that is kept, or after the one it names.
struct EventCursor {
    EventForm form = EventForm::sse;
    std::uint64_t after = 0; ///< sequence of the last event it has
    bool follows = true;     ///< goes on with what comes; else only what there is
};

/// What is new for this reader, in its form; empty if nothing is. Moves the cursor.
[[nodiscard]] std::string next_events(shared::Segment& segment, EventCursor& cursor);

/// "Last-Event-ID: 12" or "since=12"; an id of an earlier run of the pool, and what is no number, count as 0.
[[nodiscard]] std::uint64_t event_id(shared::Segment& segment, std::string_view text);

} // namespace admin_ui
