#include "admin_ui/live_view.hpp"
#include "admin_ui/pool_stats.hpp"
#include "tests/admin_ui/pool_fixture.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace {

using namespace admin_ui;
using nlohmann::json;
using tests::kNow;
using tests::PoolFixture;

UserList users()
{
    UserList list;
    for (const char* name : {"ann", "bob", "carl"}) {
        auto& user = list.emplace_back();
        user.user = name;
        user.first_seen = kNow;
        user.sums.requests = 3;
        user.sums.input = name[0] == 'b' ? 900 : 100;
        user.sums.cached_input = 40;
        user.sums.output = 10;
        user.sums.last_used = kNow;
    }
    return list;
}

TEST(PoolStats, HasThePredecessorsFields)
{
    PoolFixture pool;
    const auto a = pool.add_account("codex:a");
    pool.set_window(a, 18000, 0.25, 3'600'000);
    pool.add_account("claude:b", shared::AccountState::failing, "http_401");
    const json stats = json::parse(stats_json(pool.view(), {}, 3, {}));
    EXPECT_EQ(stats["total_accounts"], 2);
    EXPECT_EQ(stats["active_accounts"], 1);
    EXPECT_EQ(stats["total_pool_users"], 3);
    const json& first = stats["accounts"][1];
    EXPECT_EQ(first["id"], "codex:a");
    EXPECT_EQ(first["type"], "codex");
    EXPECT_EQ(first["status"], "healthy");
    EXPECT_EQ(first["primary_window_used_pct"], 25);
    EXPECT_EQ(first["secondary_window_used_pct"], nullptr);
    EXPECT_EQ(first["primary_reset_minutes"], 60);
    EXPECT_EQ(stats["accounts"][0]["status"], "dead");
    EXPECT_EQ(stats["aggregate"]["avg_primary_window_used_pct"], 25);
    EXPECT_EQ(stats["aggregate"]["overall_cache_hit_rate_pct"], nullptr);
}

TEST(PoolStats, AFriendLearnsNeitherAccountsNorNames)
{
    PoolFixture pool;
    pool.add_account("codex:alice@example.com");
    pool.add_account("codex:bob");
    const StatsViewer ann{false, "ann"};
    const std::string stats = stats_json(pool.view(), {}, 3, ann);
    for (const char* secret : {"alice", "bob", "owner@example.com", "acct-77", "credits_balance"})
        EXPECT_EQ(stats.find(secret), std::string::npos) << secret;
    EXPECT_EQ(json::parse(stats)["accounts"][1]["id"], "codex 2");
    const std::string others = users_json(users(), ann);
    EXPECT_EQ(others.find("bob"), std::string::npos);
    EXPECT_EQ(others.find("carl"), std::string::npos);
    const json list = json::parse(others)["users"];
    ASSERT_EQ(list.size(), 3U);
    EXPECT_EQ(list[0]["user_id"], "user 1");
    EXPECT_EQ(list[0]["total_billable_tokens"], 870);
    EXPECT_EQ(list[1]["user_id"], "ann");
    EXPECT_EQ(list[1]["is_you"], true);
    EXPECT_EQ(json::parse(users_json(users(), {}))["users"][0]["user_id"], "bob");
    EXPECT_EQ(json::parse(whoami_json(ann))["type"], "pool_user");
}

TEST(PoolStats, UserPathsAreTakenApart)
{
    UserPath path;
    ASSERT_TRUE(parse_user_path("/api/pool/users/a%2Fb%20c/hourly", path));
    EXPECT_EQ(path.user, "a/b c");
    EXPECT_TRUE(path.hourly);
    ASSERT_TRUE(parse_user_path("/api/pool/users/ann/daily", path));
    EXPECT_FALSE(path.hourly);
    for (const char* odd :
         {"/api/pool/users//daily",
          "/api/pool/users/ann",
          "/api/pool/users/a/weekly",
          "/api/pool/users/a/daily/x",
          "/api/pool/users/%zz/daily",
          "/api/pool/users/%00/daily"})
        EXPECT_FALSE(parse_user_path(odd, path)) << odd;
}

void run(PoolFixture& pool, std::size_t row, std::uint16_t account, const char* model)
{
    shared::WorkerSlot& worker = pool.segment().workers[0];
    worker.request_rows_used = static_cast<std::uint32_t>(row + 1);
    shared::RequestRow& running = worker.requests[row];
    running.entry = {};
    std::copy_n("0123456789abcdef", 16, running.entry.request_id.begin());
    running.entry.started_at = {kNow.value - 5000 - static_cast<std::int64_t>(row)};
    running.entry.user = "ann";
    running.entry.model.assign(model);
    running.entry.account = {account};
    running.entry.output = 12;
    running.state = shared::RequestRow::State::running;
}

TEST(Live, ShowsWhatRunsNow)
{
    PoolFixture pool;
    pool.add_account("codex:a");
    pool.add_worker(0, 77);
    run(pool, 0, 0, "big");
    run(pool, 1, shared::AccountSlot::kNone, "waiting");
    const Running running = running_requests(pool.segment());
    ASSERT_EQ(running.total, 2U);
    EXPECT_EQ(running.requests[0].model, "waiting") << "the oldest first";
    EXPECT_EQ(running.requests[0].account, "");
    EXPECT_EQ(running.requests[1].account, "codex:a");
    EXPECT_EQ(running.requests[1].request_id, "0123456789abcdef");
    const json live = json::parse(live_json(pool.view(), running, {}));
    EXPECT_EQ(live["running_total"], 2);
    EXPECT_EQ(live["running"][0]["account"], nullptr);
    EXPECT_EQ(live["running"][1]["elapsed_ms"], 5000);
    EXPECT_EQ(live["accounts"][0]["state"], "ready");
    pool.segment().workers[0].requests[0].state = shared::RequestRow::State::free;
    EXPECT_EQ(running_requests(pool.segment()).total, 1U);
}

TEST(Live, MoreThanCanBeShownAreCounted)
{
    PoolFixture pool;
    pool.add_worker(0, 77);
    for (std::size_t i = 0; i < kRunningShownMax + 7; ++i)
        run(pool, i, shared::AccountSlot::kNone, "m");
    const Running running = running_requests(pool.segment());
    EXPECT_EQ(running.total, kRunningShownMax + 7);
    EXPECT_EQ(running.requests.size(), kRunningShownMax);
    EXPECT_EQ(running_requests(pool.segment(), 3).requests.size(), 3U);
}

TEST(Live, ASnapshotSaysWhatCanBeDoneAndWhatHappenedLast)
{
    PoolFixture pool;
    pool.add_account("codex:dead", shared::AccountState::needs_login, "invalid_grant");
    pool.add_account("codex:off", shared::AccountState::disabled, "disabled_by_owner");
    pool.add_worker(0, 77);
    pool.set_problems("pool/x.json: is no JSON", 1);
    std::vector<shared::Event> events(kLiveEventsMax + 1);
    for (shared::Event& event : events) {
        event.type = shared::EventType::needs_login;
        event.text.assign("codex:dead needs a login");
    }
    const auto alarms =
        pool.segment().events.with_lock([](const shared::EventLog& log) { return log.alarms; });
    shared::publish_events(pool.segment(), events, alarms);
    const json live = json::parse(live_json(pool.view(), Running(), last_events(pool.segment())));
    EXPECT_EQ(live["accounts"][0]["note"], "the vendor no longer knows its refresh token");
    EXPECT_NE(
        live["accounts"][0]["next_step"].get<std::string>().find("sign in again"),
        std::string::npos);
    EXPECT_EQ(live["accounts"][1]["next_step"], "codex-pool accounts enable codex:off");
    EXPECT_EQ(live["problems"], json::array({"pool/x.json: is no JSON"}));
    EXPECT_EQ(live["events"].size(), kLiveEventsMax);
    EXPECT_EQ(live["events"].back()["sequence"], kLiveEventsMax + 1);
    EXPECT_EQ(live["workers"][0]["silent_ms"], 250);
}

TEST(Live, AWatcherGetsEachSecondOnlyWhatChanged)
{
    PoolFixture pool;
    const auto a = pool.add_account("codex:a");
    pool.add_account("codex:b");
    LiveCursor cursor;
    cursor.parts = true;
    const auto next = [&](std::int64_t after_ms) {
        return next_live(pool.segment(), cursor, {kNow.value + after_ms}, tests::kMonotonicUs);
    };
    const std::string first = next(0);
    EXPECT_NE(first.find("\"id\":\"account-codex:a\""), std::string::npos);
    EXPECT_NE(first.find("event: part\n"), std::string::npos);
    EXPECT_EQ(next(400), "") << "not before a second has passed";
    EXPECT_EQ(next(1000), "") << "nothing changed";
    pool.set_window(a, 18000, 0.4, 7'200'000);
    const std::string second = next(2000);
    EXPECT_NE(second.find("account-codex:a"), std::string::npos);
    EXPECT_EQ(second.find("account-codex:b"), std::string::npos);

    LiveCursor snapshots;
    const std::string snapshot = next_live(pool.segment(), snapshots, kNow, tests::kMonotonicUs);
    ASSERT_TRUE(snapshot.starts_with("event: snapshot\ndata: {"));
    EXPECT_EQ(snapshot.find('\n', 22), snapshot.size() - 2) << "one line of data";
}

} // namespace
