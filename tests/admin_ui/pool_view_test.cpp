#include "admin_ui/pool_view.hpp"
#include "tests/admin_ui/pool_fixture.hpp"

#include <gtest/gtest.h>

namespace {

using namespace admin_ui;
using shared::AccountCondition;
using shared::AccountState;
using tests::kNow;
using tests::PoolFixture;

TEST(PoolView, ShowsAccountsSortedWithCountsAndTotals)
{
    PoolFixture pool;
    const auto b = pool.add_account("codex:b");
    pool.add_account("claude:a");
    pool.set_window(b, 18000, 0.63, 3'600'000);
    pool.add_worker(3, 4711);
    pool.segment().workers[3].in_flight[b] = 2;
    pool.segment().totals[b].input = 1000;
    pool.segment().totals[b].cached_input = 400;
    pool.segment().totals[b].output = 50;
    const PoolView view = pool.view();
    ASSERT_EQ(view.accounts.size(), 2U);
    EXPECT_EQ(view.accounts[0].identity.id, std::string_view("claude:a"));
    const AccountView& shown = view.accounts[1];
    EXPECT_EQ(shown.provider(), "codex");
    EXPECT_EQ(shown.in_flight, 2U);
    EXPECT_EQ(shown.short_used.basis_points, 6300);
    EXPECT_FALSE(shown.long_used.is_known());
    EXPECT_EQ(shown.totals.billable(), 650);
    EXPECT_EQ(view.in_flight(), 2U);
    ASSERT_EQ(view.workers.size(), 1U);
    EXPECT_EQ(view.workers[0].pid, 4711);
    EXPECT_EQ(view.workers[0].silent_ms, 250);
    EXPECT_EQ(view.uptime_seconds(), 90'061);
}

TEST(PoolView, CountersOfRetiredAndLivingWorkersAddUp)
{
    PoolFixture pool;
    pool.add_worker(0, 1);
    pool.add_worker(1, 2);
    pool.segment().retired.requests = 100;
    pool.segment().retired.by_status_class[5] = 3;
    const PoolView view = pool.view();
    EXPECT_EQ(view.requests, 120U);
    EXPECT_EQ(view.by_status_class[2], 16U);
    EXPECT_EQ(view.by_status_class[5], 3U);
}

TEST(PoolView, TheVerdictNamesWhatIsWrong)
{
    PoolFixture pool;
    EXPECT_EQ(verdict(pool.view()).word, "empty");
    const auto a = pool.add_account("codex:a");
    EXPECT_EQ(verdict(pool.view()).sentence, "The only account can serve.");
    pool.add_account("codex:b", AccountState::failing, "unauthorized");
    EXPECT_EQ(verdict(pool.view()).word, "degraded");
    EXPECT_EQ(verdict(pool.view()).sentence, "1 account of 2 can serve (1 failing).");
    pool.edit(a, [](auto&, shared::AccountRouting& routing) {
        routing.cooling_until = {kNow.value + 125'000};
    });
    EXPECT_EQ(verdict(pool.view()).word, "exhausted");
    EXPECT_EQ(
        verdict(pool.view()).sentence,
        "No account can serve (1 cooling, 1 failing). The first is back in 2 min.");
    pool.add_account("codex:gone", AccountState::removed, "file_gone");
    EXPECT_EQ(verdict(pool.view()).word, "exhausted");
}

TEST(PoolView, ModelsGoToTheirAccountLargestFirst)
{
    PoolFixture pool;
    pool.add_account("codex:a");
    pool.add_account("codex:b");
    PoolView view = pool.view();
    ModelSums small{"codex:a", "small", {}};
    small.sums.input = 1;
    ModelSums large{"codex:a", "large", {}};
    large.sums.output = 9;
    add_models(view, {small, large, {"codex:unknown", "m", {}}});
    ASSERT_EQ(view.accounts[0].models.size(), 2U);
    EXPECT_EQ(view.accounts[0].models[0].model, "large");
    EXPECT_TRUE(view.accounts[1].models.empty());
}

TEST(PoolView, TimesInWords)
{
    EXPECT_EQ(iso_time({1'763'800'000'000}), "2025-11-22T08:26:40Z");
    EXPECT_EQ(iso_time({}), "");
    EXPECT_EQ(relative_time({}, kNow), "never");
    EXPECT_EQ(relative_time(kNow, kNow), "now");
    EXPECT_EQ(relative_time({kNow.value + 59'999}, kNow), "in 59 s");
    EXPECT_EQ(relative_time({kNow.value - 7'500'000}, kNow), "2 h 5 min ago");
    EXPECT_EQ(duration_text(3600), "1 h");
    EXPECT_EQ(duration_text(90'000), "1 d 1 h");
    EXPECT_EQ(duration_text(172'800), "2 d");
}

} // namespace
