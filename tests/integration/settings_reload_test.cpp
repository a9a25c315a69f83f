/// Settings that change while traffic flows: the real tree, SIGHUP and the owner's command.
#include "shared/segment/segment.hpp"
#include "shared/segment/worker_slots.hpp"
#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include <fcntl.h>

namespace tests {
namespace {

class SettingsReload : public PoolTest {
protected:
    SettingsReload()
    {
        set("workers = 2");
        add(fake::Vendor::claude, fake::Kind::api_key, "claude_one");
    }

    /// Reloads by signal and waits until every worker is a new one.
    void reload_with_new_workers()
    {
        const std::size_t from = pool().line_count();
        const auto before = pool().children("worker");
        write_config();
        pool().signal(SIGHUP);
        ASSERT_TRUE(pool().wait_line("event=settings_changed", from));
        ASSERT_TRUE(eventually([&] {
            const auto now = pool().children("worker");
            return now.size() == before.size() &&
                   std::none_of(now.begin(), now.end(), [&](pid_t pid) {
                       return std::find(before.begin(), before.end(), pid) != before.end();
                   });
        }));
    }

    fake::Response send(std::size_t bytes)
    {
        fake::Client requests = client();
        return make(requests, turn_of(Cli::claude, "c", 0, bytes));
    }
};

TEST_F(SettingsReload, AChangedSettingHoldsForWhatComesNext)
{
    start();
    EXPECT_EQ(send(5000).status, 200U);
    set("max_body_bytes = 4000");
    set("max_replay_bytes = 4000");
    reload_with_new_workers();
    EXPECT_EQ(send(5000).status, 413U);
    EXPECT_EQ(send(10).status, 200U);
}

TEST_F(SettingsReload, AnOpenStreamIsNotCut)
{
    start();
    fake::Behaviour gated;
    gated.gate_after = 4;
    upstream().script(gated);
    fake::Client open = client();
    const Turn turn = turn_of(Cli::claude, "c");
    ASSERT_TRUE(open.send(turn.method, turn.target, turn.headers, turn.body));
    ASSERT_EQ(open.read_head().status, 200U);
    ASSERT_NE(open.read_until("content_block_delta"), "");
    set("max_attempts = 5");
    const std::size_t from = pool().line_count();
    write_config();
    pool().signal(SIGHUP);
    ASSERT_TRUE(pool().wait_line("settings=\"max_attempts\"", from));
    ASSERT_TRUE(eventually([&] { return pool().children("worker").size() == 3; }))
        << "the one with the stream drains";
    upstream().release();
    const fake::Response rest = open.read_rest();
    EXPECT_TRUE(rest.complete);
    EXPECT_NE(rest.body.find(end_mark(Cli::claude)), std::string::npos);
    EXPECT_EQ(send(10).status, 200U);
    EXPECT_TRUE(eventually([&] { return pool().children("worker").size() == 2; }));
}

TEST_F(SettingsReload, AfterDrainHoursAReplacedWorkerIsEnded)
{
    set("drain_hours = 0");
    start();
    fake::Behaviour gated;
    gated.gate_after = 4;
    upstream().script(gated);
    fake::Client open = client();
    const Turn turn = turn_of(Cli::claude, "c");
    ASSERT_TRUE(open.send(turn.method, turn.target, turn.headers, turn.body));
    ASSERT_EQ(open.read_head().status, 200U);
    ASSERT_NE(open.read_until("content_block_delta"), "");
    set("max_attempts = 5");
    const std::size_t from = pool().line_count();
    write_config();
    pool().signal(SIGHUP);
    EXPECT_TRUE(pool().wait_line("event=drain_hours_over", from));
    EXPECT_FALSE(open.read_rest().complete);
    upstream().release();
    EXPECT_TRUE(eventually([&] { return pool().children("worker").size() == 2; }));
    EXPECT_TRUE(eventually([&] { return database_number("SELECT COUNT(*) FROM requests") == 1; }))
        << "what it cost is written";
}

TEST_F(SettingsReload, WithoutAFreePlaceForItsWorkersAReloadIsRefused)
{
    start();
    ASSERT_TRUE(pool().wait_line("ready: 2 workers")) << "before, settings wait";
    {
        const int fd = ::open(
            ("/proc/" + std::to_string(pool().children("worker").at(0)) + "/fd/4").c_str(),
            O_RDWR | O_CLOEXEC);
        auto segment = shared::SegmentMapping::attach(fd);
        ASSERT_TRUE(segment) << segment.error().text();
        while (shared::free_slots(**segment) > 1)
            (void)shared::claim_slot(**segment, 0);
    }
    set("max_attempts = 5");
    write_config();
    fake::Client requests = client();
    const fake::Response answer = requests.request("POST", "/admin/reload");
    EXPECT_EQ(answer.status, 409U) << answer.body;
    EXPECT_NE(answer.body.find("only 1 are free"), std::string::npos) << answer.body;
    EXPECT_NE(answer.body.find("drain_hours"), std::string::npos) << answer.body;
    EXPECT_EQ(send(10).status, 200U);
}

TEST_F(SettingsReload, AConfigurationWithAnErrorChangesNothingAndSaysSo)
{
    start();
    const auto before = pool().children("worker");
    set("max_attemps = 5");
    const std::size_t from = pool().line_count();
    write_config();
    fake::Client requests = client();
    const fake::Response answer = requests.request("POST", "/admin/reload");
    EXPECT_EQ(answer.status, 409U) << answer.body;
    EXPECT_NE(answer.body.find("Nothing was changed"), std::string::npos) << answer.body;
    EXPECT_NE(answer.body.find("max_attemps"), std::string::npos) << answer.body;
    EXPECT_TRUE(pool().wait_line("max_attemps", from)) << "the log names the place";
    EXPECT_EQ(pool().children("worker"), before);
    EXPECT_EQ(send(10).status, 200U);
}

TEST_F(SettingsReload, WhoAskedIsAnsweredAndAccountsAreReadToo)
{
    start();
    add(fake::Vendor::claude, fake::Kind::api_key, "claude_two");
    set("max_attempts = 5");
    write_config();
    fake::Client requests = client();
    const fake::Response answer = requests.request("POST", "/admin/reload");
    EXPECT_EQ(answer.status, 200U) << answer.body;
    EXPECT_TRUE(eventually([&] { return get_json("/healthz")["accounts"] == 2; }));
    EXPECT_TRUE(eventually([&] { return get("/admin/accounts").status == 200; }))
        << "the admin child was replaced";
}

TEST_F(SettingsReload, WhatNeedsARestartIsNamedAndStays)
{
    start();
    set("db_path = \"elsewhere.db\"");
    const std::size_t from = pool().line_count();
    write_config();
    pool().signal(SIGHUP);
    ASSERT_TRUE(pool().wait_line("event=settings_need_restart settings=\"db_path\"", from));
    ASSERT_TRUE(pool().wait_line("event=reloaded", from));
    EXPECT_EQ(send(10).status, 200U);
    EXPECT_FALSE(std::filesystem::exists(folder() / "elsewhere.db"));
}

} // namespace
} // namespace tests
