#include "shared/base/secret.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace shared {
namespace {

TEST(Secret, MatchesOnlyItself)
{
    const Secret secret("hunter2");
    EXPECT_TRUE(secret.matches("hunter2"));
    EXPECT_FALSE(secret.matches("hunter"));
    EXPECT_FALSE(secret.matches("hunter22"));
}

TEST(Secret, AnEmptySecretMatchesNothing)
{
    EXPECT_FALSE(Secret().matches(""));
    EXPECT_FALSE(Secret("").matches(""));
}

TEST(Secret, MovingLeavesNothingBehind)
{
    Secret from("a secret long enough to live on the heap, not in the small buffer");
    const Secret to(std::move(from));
    EXPECT_TRUE(from.empty()); // NOLINT(bugprone-use-after-move): that is the point
    EXPECT_FALSE(to.empty());
}

} // namespace
} // namespace shared
