#include "shared/segment/pin_table.hpp"
#include "shared/segment/segment.hpp"

#include <gtest/gtest.h>

#include <string>

namespace shared {
namespace {

using std::chrono::hours;
constexpr UnixMillis kNow{1'700'000'000'000};

class PinTable : public testing::Test {
protected:
    SegmentMapping mapping_ = *SegmentMapping::create(kNow);
    Segment& segment_ = *mapping_;
};

TEST_F(PinTable, FindsWhatWasSetAndFollowsAMove)
{
    const PinKey key = pin_key("alice", 1, "conversation");
    EXPECT_FALSE(find_pin(segment_, key, kNow, hours(24)));
    set_pin(segment_, key, {5}, kNow);
    EXPECT_EQ(find_pin(segment_, key, kNow, hours(24))->value, 5);
    set_pin(segment_, key, {6}, kNow);
    EXPECT_EQ(find_pin(segment_, key, kNow, hours(24))->value, 6);
    EXPECT_EQ(count_pins(segment_), 1U);
}

TEST_F(PinTable, TwoUsersOrProvidersWithOneIdNeverMeet)
{
    set_pin(segment_, pin_key("alice", 1, "same"), {1}, kNow);
    EXPECT_FALSE(find_pin(segment_, pin_key("bob", 1, "same"), kNow, hours(24)));
    EXPECT_FALSE(find_pin(segment_, pin_key("alice", 2, "same"), kNow, hours(24)));
}

TEST_F(PinTable, EveryUseStartsTheTimeToLiveAnew)
{
    const PinKey key = pin_key("alice", 1, "c");
    set_pin(segment_, key, {1}, kNow);
    EXPECT_TRUE(find_pin(segment_, key, kNow.plus(hours(20)), hours(24)));
    EXPECT_TRUE(find_pin(segment_, key, kNow.plus(hours(40)), hours(24)));
    EXPECT_FALSE(find_pin(segment_, key, kNow.plus(hours(65)), hours(24)));
}

TEST_F(PinTable, IsBoundedAndForgetsTheOldestFirst)
{
    constexpr int kMany = 3 * kPinShards * kPinsPerShard;
    for (int i = 0; i < kMany; ++i) {
        set_pin(
            segment_,
            pin_key("u", 1, std::to_string(i)),
            {1},
            kNow.plus(std::chrono::milliseconds(i)));
    }
    EXPECT_LE(count_pins(segment_), kPinShards * kPinsPerShard);
    const auto last = pin_key("u", 1, std::to_string(kMany - 1));
    EXPECT_TRUE(find_pin(segment_, last, kNow.plus(hours(1)), hours(24)));
    EXPECT_FALSE(find_pin(segment_, pin_key("u", 1, "0"), kNow.plus(hours(1)), hours(24)));
}

} // namespace
} // namespace shared
