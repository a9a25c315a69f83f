#include "shared/segment/event_log.hpp"

#include "shared/segment/layout.hpp"

#include <algorithm>

namespace shared {

std::string_view to_string(EventType type) noexcept
{
    switch (type) {
    case EventType::none:
        return "none";
    case EventType::needs_login:
        return "needs_login";
    case EventType::account_failing:
        return "account_failing";
    case EventType::pool_low:
        return "pool_low";
    case EventType::pool_empty:
        return "pool_empty";
    case EventType::recovered:
        return "recovered";
    case EventType::forecast_empty_before_reset:
        return "forecast_empty_before_reset";
    }
    return "unknown";
}

void publish_events(Segment& segment, std::vector<Event>& events, const Alarms& alarms)
{
    segment.events.with_lock([&](EventLog& log) {
        for (Event& event : events) {
            event.sequence = log.published + 1;
            log.events[event.sequence % kEventsKept] = event;
            log.published = event.sequence;
        }
        log.alarms = alarms;
    });
}

std::vector<Event> events_after(Segment& segment, std::uint64_t sequence, std::size_t max)
{
    std::vector<Event> found;
    const std::uint64_t published =
        segment.events.with_lock([](const EventLog& log) { return log.published; });
    const std::uint64_t oldest = published > kEventsKept ? published - kEventsKept + 1 : 1;
    std::uint64_t next = std::max(sequence + 1, oldest);
    // One lock each: a copy of all of them would hold it for long.
    while (next <= published && found.size() < max) {
        const Event event = segment.events.with_lock(
            [next](const EventLog& log) { return log.events[next % kEventsKept]; });
        if (event.sequence == next) found.push_back(event);
        ++next;
    }
    return found;
}

} // namespace shared
