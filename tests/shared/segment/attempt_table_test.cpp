#include "shared/segment/attempt_table.hpp"
#include "shared/segment/segment.hpp"

#include <gtest/gtest.h>

#include <string>

namespace shared {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr UnixMillis kNow{1'800'000'000'000};

class AttemptTableTest : public testing::Test {
protected:
    SegmentMapping mapping_ = *SegmentMapping::create(kNow);
    Segment& segment_ = *mapping_;
    UnixMillis now_ = kNow;

    milliseconds wait(std::string_view client, AttemptTarget target = AttemptTarget::owner)
    {
        return attempt_wait(segment_, target, client, now_);
    }

    void wrong(std::string_view client, AttemptTarget target = AttemptTarget::owner)
    {
        note_attempt(segment_, target, client, false, now_);
    }

    void right(std::string_view client)
    {
        note_attempt(segment_, AttemptTarget::owner, client, true, now_);
    }
};

TEST_F(AttemptTableTest, TheWaitGrowsAndHasAnEnd)
{
    for (std::uint32_t i = 0; i < kFreeAttempts; ++i) {
        EXPECT_EQ(wait("192.0.2.1").count(), 0) << i;
        wrong("192.0.2.1");
    }
    EXPECT_EQ(wait("192.0.2.1"), seconds(1));
    now_ = now_.plus(seconds(1));
    EXPECT_EQ(wait("192.0.2.1").count(), 0);
    wrong("192.0.2.1");
    EXPECT_EQ(wait("192.0.2.1"), seconds(2));
    for (int i = 0; i < 50; ++i)
        wrong("192.0.2.1");
    EXPECT_EQ(wait("192.0.2.1"), kAttemptWaitMax);
    now_ = now_.plus(minutes(15));
    EXPECT_EQ(wait("192.0.2.1").count(), 0);
}

TEST_F(AttemptTableTest, OneClientHoldsNobodyElseUp)
{
    for (int i = 0; i < 90; ++i)
        wrong("192.0.2.1");
    EXPECT_GT(wait("192.0.2.1").count(), 0);
    EXPECT_EQ(wait("192.0.2.2").count(), 0);
    EXPECT_EQ(wait("192.0.2.1", AttemptTarget::friend_code).count(), 0) << "another secret";
}

TEST_F(AttemptTableTest, GettingItRightForgives)
{
    for (int i = 0; i < 10; ++i)
        wrong("192.0.2.1");
    now_ = now_.plus(kAttemptWaitMax);
    right("192.0.2.1");
    wrong("192.0.2.1");
    EXPECT_EQ(wait("192.0.2.1").count(), 0);
}

TEST_F(AttemptTableTest, AnHourForgives)
{
    for (int i = 0; i < 30; ++i)
        wrong("192.0.2.1");
    now_ = now_.plus(kAttemptForgivenAfter);
    EXPECT_EQ(wait("192.0.2.1").count(), 0);
    wrong("192.0.2.1");
    EXPECT_EQ(wait("192.0.2.1").count(), 0) << "it begins anew";
}

TEST_F(AttemptTableTest, ManyClientsTakeTurnsButNotThoseThatGotItRight)
{
    right("198.51.100.7");
    for (int i = 0; i < 300; ++i)
        wrong("192.0.2." + std::to_string(i));
    EXPECT_EQ(wait("198.51.100.7").count(), 0) << "the owner is not held up";
    EXPECT_EQ(wait("203.0.113.1").count(), 0) << "one turn";
    const milliseconds next = wait("203.0.113.2");
    EXPECT_GT(next.count(), 0);
    EXPECT_LE(next, kTargetWaitMax);
    now_ = now_.plus(next);
    EXPECT_EQ(wait("203.0.113.2").count(), 0);
    now_ = now_.plus(std::chrono::hours(3));
    EXPECT_EQ(wait("203.0.113.3").count(), 0);
    EXPECT_EQ(wait("203.0.113.4").count(), 0) << "it is over";
}

TEST_F(AttemptTableTest, AFullTableKeepsThoseThatGotItRight)
{
    right("198.51.100.7");
    for (int i = 0; i < 20'000; ++i) {
        now_ = now_.plus(milliseconds(1));
        wrong("client " + std::to_string(i));
    }
    EXPECT_EQ(wait("198.51.100.7").count(), 0);
}

TEST_F(AttemptTableTest, AClockSetBackLengthensNothing)
{
    for (int i = 0; i < 4; ++i)
        wrong("192.0.2.1");
    now_ = {kNow.value - 86'400'000};
    EXPECT_EQ(wait("192.0.2.1"), seconds(2));
}

TEST(ClientKey, IsAnAddressOrANetwork)
{
    const auto key = [](const char* text) { return client_key(IpAddress::parse(text)); };
    EXPECT_EQ(key("192.0.2.1"), "192.0.2.1");
    EXPECT_EQ(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    EXPECT_EQ(key("2001:db8:1:2::9"), "2001:db8:1:2::");
    EXPECT_EQ(key(""), "");
}

} // namespace
} // namespace shared
