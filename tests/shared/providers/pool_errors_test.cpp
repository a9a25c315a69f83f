#include "shared/providers/pool_errors.hpp"

#include <gtest/gtest.h>

namespace shared::providers {
namespace {

using Kind = PoolError::Kind;

constexpr UnixMillis kNow{1'763'805'600'000}; // 2025-11-22 10:00:00

PoolError error_of(Kind kind, std::int64_t ends_in_ms = 0)
{
    PoolError error;
    error.kind = kind;
    error.message = "Used up";
    error.now = kNow;
    if (ends_in_ms != 0) error.retry_at = kNow.plus(std::chrono::milliseconds(ends_in_ms));
    return error;
}

TEST(PoolErrors, SoonIsAKnownEndWithinAMinute)
{
    for (const Kind kind : {Kind::exhausted, Kind::user_limit}) {
        EXPECT_TRUE(ends_soon(error_of(kind, 1)));
        EXPECT_TRUE(ends_soon(error_of(kind, 60'000)));
        EXPECT_FALSE(ends_soon(error_of(kind, 60'001)));
        EXPECT_FALSE(ends_soon(error_of(kind))) << "unknown is not soon";
    }
    EXPECT_TRUE(ends_soon(error_of(Kind::exhausted, -5'000))) << "over by now";
    EXPECT_FALSE(ends_soon(error_of(Kind::no_account, 1'000)));
}

TEST(PoolErrors, FinalIsWhatDoesNotPassByItself)
{
    for (const Kind kind :
         {Kind::bad_request,
          Kind::unauthorized,
          Kind::forbidden,
          Kind::not_found,
          Kind::body_too_large,
          Kind::no_account,
          Kind::deadline,
          Kind::user_disabled,
          Kind::exhausted,
          Kind::user_limit})
        EXPECT_TRUE(is_final(error_of(kind))) << static_cast<int>(kind);
    for (const Kind kind : {Kind::upstream_failed, Kind::overloaded})
        EXPECT_FALSE(is_final(error_of(kind))) << static_cast<int>(kind);
    EXPECT_FALSE(is_final(error_of(Kind::exhausted, 30'000)));
    EXPECT_TRUE(is_final(error_of(Kind::exhausted, 3'600'000)));
}

TEST(PoolErrors, TheMessageNamesTheMinuteItIsOver)
{
    EXPECT_EQ(message_with_reset(error_of(Kind::exhausted)), "Used up");
    EXPECT_EQ(
        message_with_reset(error_of(Kind::exhausted, 3'600'000)),
        "Used up (until 2025-11-22 11:00 UTC)");
    EXPECT_EQ(
        message_with_reset(error_of(Kind::exhausted, 3'600'001)),
        "Used up (until 2025-11-22 11:01 UTC)")
        << "never too early";
    PoolError sentence = error_of(Kind::exhausted, 3'600'000);
    sentence.message = "Used up.";
    EXPECT_EQ(message_with_reset(sentence), "Used up (until 2025-11-22 11:00 UTC).");
}

} // namespace
} // namespace shared::providers
