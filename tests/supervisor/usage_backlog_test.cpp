#include "supervisor/usage_backlog.hpp"
#include "tests/supervisor/usage_fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>

namespace supervisor::test {
namespace {

TEST(UsageBacklog, KeepsRowsUpToItsBoundAndSumsBeyond)
{
    UsageBacklog backlog;
    for (std::size_t i = 0; i < UsageBacklog::kRowsMax; ++i)
        ASSERT_TRUE(backlog.add(entry(), "codex:a"));
    for (int i = 0; i < 7; ++i)
        ASSERT_FALSE(backlog.add(entry(0, 100), "codex:a"));
    ASSERT_FALSE(backlog.add(entry(1, 5), "codex:b"));

    EXPECT_EQ(backlog.rows().size(), UsageBacklog::kRowsMax);
    ASSERT_EQ(backlog.sums().size(), 2U);
    EXPECT_EQ(backlog.sums().begin()->second.requests, 7);
    EXPECT_EQ(backlog.sums().begin()->second.input, 700);

    backlog.written(5000);
    EXPECT_TRUE(backlog.sums().empty());
    EXPECT_EQ(backlog.rows().size(), UsageBacklog::kRowsMax - 5000);
    EXPECT_TRUE(backlog.add(entry(), "codex:a"));
}

TEST(UsageBacklog, KeepsTheOrderWhateverIsWrittenInBetween)
{
    UsageBacklog backlog;
    std::uint32_t added = 0;
    std::uint32_t written = 0;
    const auto turn = [&](std::uint32_t add, std::uint32_t write) {
        for (std::uint32_t i = 0; i < add; ++i) {
            shared::UsageEntry row = entry();
            row.duration_ms = added++;
            ASSERT_TRUE(backlog.add(row, "codex:a"));
        }
        backlog.written(write);
        written = std::min(added, written + write);
        ASSERT_EQ(backlog.rows().size(), added - written);
        for (std::uint32_t i = 0; i < backlog.rows().size(); ++i)
            ASSERT_EQ(backlog.rows()[i].duration_ms, written + i);
    };
    for (int i = 0; i < 8; ++i)
        turn(3000, 1700); // beyond what is kept, with a beginning that was written
    turn(60'000, 5000);
    turn(0, 100'000);
    EXPECT_TRUE(backlog.empty());
    turn(10, 4);
}

TEST(UsageBacklog, BoundsTheSumsByFoldingModels)
{
    UsageBacklog backlog;
    for (std::size_t i = 0; i < UsageBacklog::kRowsMax; ++i)
        backlog.add(entry(), "codex:a");
    const std::size_t models = UsageBacklog::kSumsMax + 500;
    for (std::size_t i = 0; i < models; ++i) {
        shared::UsageEntry row = entry(0, 1);
        row.model = std::string_view("model-" + std::to_string(i));
        backlog.add(row, "codex:a");
    }
    EXPECT_EQ(backlog.sums().size(), UsageBacklog::kSumsMax + 1);
    std::int64_t input = 0;
    for (const auto& [key, sums] : backlog.sums())
        input += sums.input;
    EXPECT_EQ(input, static_cast<std::int64_t>(models)); // no token is lost
}

TEST(UsageSums, CountsFailuresAndNotClientsThatLeft)
{
    using enum shared::RequestOutcome;
    const auto failure = [](std::uint16_t status, shared::RequestOutcome outcome) {
        shared::UsageEntry row = entry();
        row.status = status;
        row.outcome = outcome;
        return is_failure(row);
    };
    EXPECT_FALSE(failure(200, completed));
    EXPECT_FALSE(failure(200, client_gone));
    EXPECT_FALSE(failure(0, client_gone));
    EXPECT_TRUE(failure(404, completed));
    EXPECT_TRUE(failure(200, upstream_cut));
    EXPECT_TRUE(failure(200, worker_killed));
    EXPECT_TRUE(failure(503, refused));
}

TEST(UsageSums, BelievesNoImpossibleNumberAndNoBinaryText)
{
    shared::UsageEntry row = entry();
    row.input = -5;
    row.output = std::numeric_limits<std::int64_t>::max();
    row.started_at = {};
    row.finished_at = kNow.plus(std::chrono::hours(100));
    row.model = std::string_view("a\x01\n\xC3\xA9\xFFz\xE2\x82", 9);
    row.user.size = 0xFFFF; // torn
    sanitize(row, kNow);
    EXPECT_EQ(row.input, 0);
    EXPECT_EQ(row.output, kTokensPerRequestMax);
    EXPECT_EQ(row.started_at, kNow);
    EXPECT_EQ(row.finished_at, kNow);
    EXPECT_EQ(row.model.view(), "a??\xC3\xA9?z??");
    EXPECT_EQ(row.user.size, 40);
}

} // namespace
} // namespace supervisor::test
