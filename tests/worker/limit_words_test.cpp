#include "worker/limit_words.hpp"

#include <gtest/gtest.h>

namespace worker {
namespace {

using shared::LimitHit;
using shared::LimitKind;
using shared::UnixMillis;

constexpr UnixMillis kNow{1'763'805'600'000};

LimitHit hit(LimitKind kind, UnixMillis until = {})
{
    LimitHit met;
    met.kind = kind;
    met.limit = 1'000'000;
    met.used = 1'234'567;
    met.until = until;
    return met;
}

TEST(LimitWords, ALimitsEndIsLeftToTheDialect)
{
    EXPECT_EQ(
        limit_sentence(hit(LimitKind::tokens_per_day, kNow)),
        "You have used 1,234,567 of the 1,000,000 tokens per day this pool allows you.");
}

TEST(LimitWords, WhenToAskAgain)
{
    const UnixMillis end = kNow.plus(std::chrono::hours(3));
    EXPECT_EQ(ask_again_at(hit(LimitKind::tokens_per_day, end), kNow), end);
    EXPECT_FALSE(ask_again_at(hit(LimitKind::model), kNow).is_set()) << "only the owner lifts it";
    const UnixMillis soon = ask_again_at(hit(LimitKind::concurrency), kNow);
    EXPECT_GT(soon, kNow);
    EXPECT_LE(soon.since(kNow), std::chrono::minutes(1)) << "soon, so that clients wait";
}

} // namespace
} // namespace worker
