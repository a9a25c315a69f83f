#include "worker/pool_summary.hpp"

#include <gtest/gtest.h>

#include <array>

namespace worker {
namespace {

using namespace shared;
using std::chrono::hours;
constexpr UnixMillis kNow{1'700'000'000'000};

Candidate account(ProviderId provider, int percent, int hours_left)
{
    Candidate candidate;
    candidate.routing.state = AccountState::ready;
    candidate.routing.provider = static_cast<std::uint8_t>(provider);
    if (percent >= 0) {
        record_window(
            candidate.routing,
            604800,
            UsedShare::from_fraction(percent / 100.0),
            kNow.plus(hours(hours_left)),
            EvidenceSource::header,
            kNow);
    }
    return candidate;
}

TEST(PoolSummary, CountsOnlyTheProvidersOwnAccounts)
{
    std::array all{
        account(ProviderId::codex, -1, 0),
        account(ProviderId::codex, -1, 0),
        account(ProviderId::claude, -1, 0)};
    all[1].routing.cooling_until = kNow.plus(hours(1));
    const PoolSummary summary = summarize_pool(all, ProviderId::codex, kNow);
    EXPECT_EQ(summary.accounts, 2U);
    EXPECT_EQ(summary.healthy, 1U);
    EXPECT_EQ(summary.all_accounts, 3U);
    EXPECT_EQ(summary.all_healthy, 2U);
}

TEST(PoolSummary, WeighsByTheShareOfTheWindowStillToRun)
{
    const std::array all{account(ProviderId::codex, 100, 42), account(ProviderId::codex, 0, 126)};
    const PoolSummary summary = summarize_pool(all, ProviderId::codex, kNow);
    EXPECT_EQ(summary.long_window.used.basis_points, 2500);
    EXPECT_EQ(summary.long_window.resets_at, kNow.plus(hours(42)));
}

TEST(PoolSummary, WhatNobodyKnowsStaysUnknown)
{
    const std::array all{account(ProviderId::codex, -1, 0)};
    EXPECT_FALSE(summarize_pool(all, ProviderId::codex, kNow).long_window.used.is_known());
}

} // namespace
} // namespace worker
