#include "admin_ui/event_view.hpp"

#include "shared/segment/event_text.hpp"

#include <charconv>

#include <fmt/format.h>

namespace admin_ui {
namespace {

/// Events of one look: bounds what is made at a time.
constexpr std::size_t kEventsAtOnce = 64;

} // namespace

std::string next_events(shared::Segment& segment, EventCursor& cursor)
{
    std::string out;
    for (const shared::Event& event : shared::events_after(segment, cursor.after, kEventsAtOnce)) {
        cursor.after = event.sequence;
        switch (cursor.form) {
        case EventForm::sse:
            out += fmt::format(
                "id: {}\nevent: {}\ndata: {}\n\n",
                event.sequence,
                shared::to_string(event.type),
                shared::event_json(event));
            break;
        case EventForm::text:
            out += shared::event_line(event) + '\n';
            break;
        case EventForm::json:
            out += shared::event_json(event) + '\n';
            break;
        }
    }
    return out;
}

std::uint64_t event_id(shared::Segment& segment, std::string_view text)
{
    std::uint64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc() || end != text.data() + text.size()) return 0;
    const std::uint64_t newest =
        segment.events.with_lock([](const shared::EventLog& log) { return log.published; });
    return id > newest ? 0 : id;
}

} // namespace admin_ui
