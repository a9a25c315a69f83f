#include "admin_ui/views.hpp"
#include "tests/admin_ui/pool_fixture.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace {

using namespace admin_ui;
using nlohmann::json;
using shared::AccountState;
using tests::kNow;
using tests::PoolFixture;

TEST(Views, AnAccountHasTheFieldsProgramsKnow)
{
    PoolFixture pool;
    const auto slot = pool.add_account("codex:personal");
    pool.set_window(slot, 18000, 0.25, 3'600'000);
    pool.edit(slot, [](shared::AccountIdentity& identity, shared::AccountRouting& routing) {
        identity.expires_at = {kNow.value + 1000};
        routing.has_credits = 1;
        routing.credits_balance = 12.5;
        shared::add_penalty(routing, 300, kNow);
    });
    auto& totals = pool.segment().totals[slot];
    totals.requests = 3;
    totals.input = 100;
    totals.cached_input = 40;
    totals.output = 20;
    totals.reasoning = 5;
    PoolView view = pool.view();
    ModelSums model{"codex:personal", "gpt-x", {}};
    model.sums.input = 100;
    model.sums.requests = 3;
    add_models(view, {model});

    const json all = json::parse(accounts_json(view));
    ASSERT_EQ(all.size(), 1U);
    const json& row = all[0];
    EXPECT_EQ(row["id"], "codex:personal");
    EXPECT_EQ(row["type"], "codex");
    EXPECT_EQ(row["kind"], "oauth");
    EXPECT_EQ(row["plan_type"], "pro");
    EXPECT_EQ(row["account_id"], "acct-77");
    EXPECT_EQ(row["disabled"], false);
    EXPECT_EQ(row["dead"], false);
    EXPECT_EQ(row["inflight"], 0);
    EXPECT_EQ(row["condition"], "ready");
    EXPECT_EQ(row["expires_at"], iso_time({kNow.value + 1000}));
    EXPECT_EQ(row["token_expired"], false);
    EXPECT_DOUBLE_EQ(row["penalty"], 0.3);
    EXPECT_DOUBLE_EQ(row["usage"]["PrimaryUsed"], 0.25);
    EXPECT_EQ(row["usage"]["PrimaryWindowMinutes"], 300);
    EXPECT_EQ(row["usage"]["PrimaryResetAt"], iso_time({kNow.value + 3'600'000}));
    EXPECT_TRUE(row["usage"]["SecondaryUsed"].is_null()) << "absent is not zero";
    EXPECT_EQ(row["usage"]["HasCredits"], true);
    EXPECT_TRUE(row["usage"]["CreditsUnlimited"].is_null());
    EXPECT_DOUBLE_EQ(row["usage"]["CreditsBalance"], 12.5);
    EXPECT_EQ(row["usage"]["Source"], "header");
    EXPECT_EQ(row["totals"]["total_input_tokens"], 100);
    EXPECT_EQ(row["totals"]["total_cached_tokens"], 40);
    EXPECT_EQ(row["totals"]["total_output_tokens"], 20);
    EXPECT_EQ(row["totals"]["total_reasoning_tokens"], 5);
    EXPECT_EQ(row["totals"]["total_billable_tokens"], 80);
    EXPECT_EQ(row["totals"]["request_count"], 3);
    EXPECT_DOUBLE_EQ(row["totals"]["last_primary_pct"], 0.25);
    ASSERT_EQ(row["models"].size(), 1U);
    EXPECT_EQ(row["models"][0]["model"], "gpt-x");
    EXPECT_EQ(row["models"][0]["total_input_tokens"], 100);
}

TEST(Views, RejectedIsDeadAndAnExpiredTokenIsShownAsSuch)
{
    PoolFixture pool;
    const auto slot = pool.add_account("claude:a", AccountState::failing, "unauthorized");
    pool.edit(slot, [](shared::AccountIdentity& identity, shared::AccountRouting&) {
        identity.expires_at = {kNow.value - 1};
    });
    pool.add_account("claude:b", AccountState::disabled, "disabled_in_file");
    const json all = json::parse(accounts_json(pool.view()));
    EXPECT_EQ(all[0]["dead"], true);
    EXPECT_EQ(all[0]["reason"], "unauthorized");
    EXPECT_EQ(all[0]["token_expired"], true);
    EXPECT_EQ(all[1]["disabled"], true);
}

TEST(Views, StatusTellsStateWorkersWriterAndProblems)
{
    PoolFixture pool;
    pool.add_account("codex:a");
    pool.add_worker(0, 99);
    pool.set_problems("/pool/x.json: is empty\n/pool/y.json: is not JSON", 2);
    pool.segment().usage_rows_waiting = 7;
    pool.segment().usage_rows_folded = 1;
    const json status = json::parse(status_json(pool.view(), "local"));
    EXPECT_EQ(status["status"], "ok");
    EXPECT_EQ(status["mode"], "local");
    EXPECT_EQ(status["uptime_seconds"], 90'061);
    EXPECT_EQ(status["usage_writer"]["rows_waiting"], 7);
    EXPECT_EQ(status["usage_writer"]["rows_folded"], 1);
    EXPECT_EQ(status["pool_folder"]["broken_files"], 2);
    EXPECT_EQ(status["pool_folder"]["problems"][1], "/pool/y.json: is not JSON");
    EXPECT_EQ(status["workers"][0]["pid"], 99);
    EXPECT_EQ(status["workers"][0]["state"], "serving");
    EXPECT_EQ(status["accounts"].size(), 1U);
}

TEST(Views, BytesThatAreNoTextAreReplacedNotFatal)
{
    PoolFixture pool;
    pool.add_account("codex:\xff\xfe<b>");
    const json all = json::parse(accounts_json(pool.view()));
    EXPECT_EQ(all[0]["type"], "codex");
    RequestEntry request;
    request.model = "m\x80";
    EXPECT_NO_THROW((void)requests_json({request}));
}

TEST(Views, AReloadNamesItsBrokenFiles)
{
    shared::PoolInfo info;
    info.accounts = 3;
    info.problems = "/pool/x.json: is empty";
    const json reply = json::parse(reload_json(info, 1));
    EXPECT_EQ(reply["status"], "ok");
    EXPECT_EQ(reply["broken_files"], 1);
    EXPECT_EQ(reply["problems"][0], "/pool/x.json: is empty");
}

} // namespace
