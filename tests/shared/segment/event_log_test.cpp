#include "shared/segment/event_log.hpp"
#include "shared/segment/segment.hpp"

#include <gtest/gtest.h>

namespace shared {
namespace {

constexpr UnixMillis kNow{1'700'000'000'000};

std::vector<Event> events_about(std::size_t count)
{
    std::vector<Event> events(count);
    for (Event& event : events) {
        event.at = kNow;
        event.type = EventType::pool_low;
    }
    return events;
}

TEST(EventLog, EventsAreNumberedFromOneAndReadOnFromAnyOfThem)
{
    SegmentMapping mapping = *SegmentMapping::create(kNow);
    EXPECT_TRUE(events_after(*mapping, 0).empty());
    std::vector<Event> events = events_about(3);
    Alarms alarms;
    alarms.accounts[2].failing.announced = true;
    publish_events(*mapping, events, alarms);
    EXPECT_EQ(events[2].sequence, 3U);
    const auto all = events_after(*mapping, 0);
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].sequence, 1U);
    EXPECT_EQ(events_after(*mapping, 2).size(), 1U);
    EXPECT_EQ(events_after(*mapping, 0, 2).size(), 2U);
    EXPECT_TRUE(events_after(*mapping, 3).empty());
    EXPECT_TRUE(events_after(*mapping, 900).empty()) << "an id of an earlier run";
    EXPECT_TRUE(mapping->events.with_lock(
        [](const EventLog& log) { return log.alarms.accounts[2].failing.announced; }));
}

TEST(EventLog, OnlyTheLastAreKept)
{
    SegmentMapping mapping = *SegmentMapping::create(kNow);
    std::vector<Event> events = events_about(kEventsKept + 10);
    publish_events(*mapping, events, Alarms());
    const auto kept = events_after(*mapping, 0);
    ASSERT_EQ(kept.size(), kEventsKept);
    EXPECT_EQ(kept.front().sequence, 11U);
    EXPECT_EQ(kept.back().sequence, kEventsKept + 10);
}

TEST(EventLog, EveryTypeHasAName)
{
    EXPECT_EQ(to_string(EventType::needs_login), "needs_login");
    EXPECT_EQ(to_string(EventType::account_failing), "account_failing");
    EXPECT_EQ(to_string(EventType::pool_low), "pool_low");
    EXPECT_EQ(to_string(EventType::pool_empty), "pool_empty");
    EXPECT_EQ(to_string(EventType::recovered), "recovered");
    EXPECT_EQ(to_string(EventType::forecast_empty_before_reset), "forecast_empty_before_reset");
}

} // namespace
} // namespace shared
