#include "shared/base/units.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <type_traits>

namespace shared {
namespace {

TEST(UnixMillis, ZeroMeansUnknown)
{
    EXPECT_FALSE(UnixMillis{}.is_set());
    EXPECT_TRUE(UnixMillis{1}.is_set());
}

TEST(UnixMillis, AddsAndCompares)
{
    const UnixMillis start{1000};
    EXPECT_EQ(start.plus(std::chrono::seconds(2)), UnixMillis{3000});
    EXPECT_EQ(start.since(UnixMillis{3000}), std::chrono::milliseconds(-2000));
    EXPECT_LT(start, UnixMillis{1001});
}

TEST(UsedShare, UnknownIsNeitherFullNorUsed)
{
    EXPECT_FALSE(UsedShare{}.is_known());
    EXPECT_FALSE(UsedShare{}.is_full());
    EXPECT_EQ(UsedShare{}.fraction(), 0.0);
}

TEST(UsedShare, FromFractionRoundsAndClamps)
{
    EXPECT_EQ(UsedShare::from_fraction(0.634).basis_points, 6340);
    EXPECT_EQ(UsedShare::from_fraction(0.00004).basis_points, 0);
    EXPECT_EQ(UsedShare::from_fraction(0.00005).basis_points, 1);
    EXPECT_EQ(UsedShare::from_fraction(-3).basis_points, 0);
    EXPECT_EQ(UsedShare::from_fraction(7).basis_points, UsedShare::kFull);
    EXPECT_EQ(
        UsedShare::from_fraction(std::numeric_limits<double>::infinity()).basis_points,
        UsedShare::kFull);
    EXPECT_FALSE(UsedShare::from_fraction(std::numeric_limits<double>::quiet_NaN()).is_known());
    EXPECT_TRUE(UsedShare::from_fraction(1).is_full());
    EXPECT_FALSE(UsedShare::from_fraction(0.9999).is_full());
}

TEST(Units, CanLiveInTheSegmentAndAreNotMixedUp)
{
    static_assert(std::is_trivially_copyable_v<UnixMillis>);
    static_assert(std::is_trivially_copyable_v<UsedShare>);
    static_assert(std::is_trivially_copyable_v<TokenCount>);
    static_assert(std::is_trivially_copyable_v<AccountSlot>);
    static_assert(!std::is_convertible_v<UnixMillis, TokenCount>);
    static_assert(!std::is_convertible_v<std::int64_t, TokenCount>);
    EXPECT_FALSE(AccountSlot{}.is_set());
    EXPECT_TRUE(AccountSlot{0}.is_set());
}

} // namespace
} // namespace shared
