/// The supervisor is killed while traffic flows, and a service manager that kept its descriptors starts the next one.
#include "tests/integration/fake_service_manager.hpp"
#include "tests/integration/harness.hpp"
#include "tests/integration/steady_load.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <unistd.h>

namespace tests {
namespace {

class Loss : public PoolTest {
protected:
    Loss()
    {
        for (const char* number : {"1", "2"}) {
            // API keys have no quota that a load could use up.
            add(fake::Vendor::codex, fake::Kind::api_key, std::string("codex_key") + number);
            add(fake::Vendor::claude, fake::Kind::oauth, std::string("claude_") + number);
        }
        set_environment("NOTIFY_SOCKET", (folder() / "notify").string());
    }

    void open_streams(std::size_t count) { streams_.open(upstream(), port(), count); }

    void expect_whole_streams() { streams_.expect_whole(upstream()); }

    /// What systemd does: another one with what it keeps.
    void lose_supervisor()
    {
        pool().signal(SIGKILL);
        ASSERT_EQ(pool().wait_exit(), 128 + SIGKILL);
        pass(manager_.kept());
        start();
    }

    [[nodiscard]] std::int64_t rows() const
    {
        return database_number("SELECT COUNT(*) FROM requests WHERE path LIKE '/v1/%'");
    }

    FakeServiceManager manager_{folder() / "notify"};
    HeldStreams streams_;
};

TEST_F(Loss, SegmentAndSocketsAreKeptForTheNextOne)
{
    start();
    ASSERT_TRUE(eventually([&] { return manager_.count("listener") == 2; }));
    EXPECT_EQ(manager_.count("segment"), 1U);
    EXPECT_EQ(manager_.count("admin"), 1U);
    EXPECT_TRUE(eventually([&] { return manager_.ready() > 0; }));
}

TEST_F(Loss, NothingIsCutLostOrMoved)
{
    start();
    const std::uint16_t before = port();
    const bool full = std::getenv("CODEX_POOL_FULL_LOAD") != nullptr;
    open_streams(full ? 200 : 8);
    SteadyLoad load(port(), full ? 500 : 40, full ? 16 : 4);
    ASSERT_TRUE(load.wait_answers(50)) << load.summary();
    const auto orphans = pool().children("worker");
    lose_supervisor();
    EXPECT_EQ(port(), before);
    EXPECT_TRUE(pool().wait_line("event=segment_taken_over"));
    EXPECT_TRUE(pool().wait_line("event=orphan_found"));
    ASSERT_TRUE(load.wait_answers(50)) << load.summary();
    // Once more, with workers of two generations left behind.
    lose_supervisor();
    ASSERT_TRUE(load.wait_answers(50)) << load.summary();
    load.stop();
    std::cerr << load.summary() << "\n";
    EXPECT_EQ(load.failed(), 0U) << load.summary();
    const auto sent = static_cast<std::int64_t>(load.answered() + streams_.count());
    EXPECT_TRUE(std::any_of(orphans.begin(), orphans.end(), [](pid_t each) {
        return ::kill(each, 0) == 0;
    })) << "they have streams";
    expect_whole_streams();
    EXPECT_TRUE(pool().wait_line("event=orphan_ended"));
    EXPECT_TRUE(eventually([&] { return rows() == sent; })) << rows() << " rows of " << sent;
    EXPECT_EQ(upstream().ledger().moves(), std::vector<std::string>());
    expect_usage_settles();
    expect_idle();
    EXPECT_EQ(stop(), 0);
}

TEST_F(Loss, WorkersThatDiedWithItLeaveTheirUsage)
{
    start();
    open_streams(4);
    for (const pid_t each : pool().children("child"))
        (void)::kill(each, SIGKILL);
    lose_supervisor();
    EXPECT_TRUE(eventually([&] {
        return database_number("SELECT COUNT(*) FROM requests WHERE outcome = 'worker_killed'") ==
               4;
    }));
    fake::Client client = this->client();
    EXPECT_EQ(make(client, turn_of(Cli::codex, "c")).status, 200U);
    expect_idle();
    streams_.drop();
}

TEST_F(Loss, AStopEndsTheWorkersLeftBehind)
{
    set("shutdown_grace_seconds = 1");
    start();
    open_streams(2);
    const auto orphans = pool().children("worker");
    lose_supervisor();
    ASSERT_TRUE(pool().wait_line("event=orphan_found"));
    EXPECT_EQ(stop(), 0);
    for (const pid_t each : orphans)
        EXPECT_TRUE(eventually([&] { return ::kill(each, 0) != 0; })) << each;
    EXPECT_EQ(rows(), 2);
    streams_.drop();
}

/// An upgrade to another layout left a drainer behind, whose workers are no children of the next supervisor.
TEST_F(Loss, ADrainerOfAnotherLayoutIsFoundAgain)
{
    set("shutdown_grace_seconds = 1");
    const auto link = folder() / "codex-pool";
    std::filesystem::create_symlink(CODEX_POOL_BINARY, link);
    use_binary(link);
    start();
    open_streams(4);
    std::filesystem::remove(link);
    std::filesystem::create_symlink(CODEX_POOL_NEXT_LAYOUT_BINARY, link);
    pool().signal(SIGUSR2);
    ASSERT_TRUE(pool().wait_line("event=upgraded"));
    ASSERT_TRUE(eventually([&] { return manager_.count("drainer") == 1; }));
    EXPECT_TRUE(eventually([&] { return manager_.count("segment") == 1; }));
    lose_supervisor();
    EXPECT_TRUE(pool().wait_line("event=segment_taken_over")) << "the new one is kept";
    EXPECT_TRUE(pool().wait_line("event=drainer_found"));
    fake::Client client = this->client();
    EXPECT_EQ(make(client, turn_of(Cli::codex, "c")).status, 200U);
    EXPECT_EQ(stop(), 0);
    EXPECT_TRUE(eventually([&] { return processes("child").empty(); })) << "nothing is left behind";
    EXPECT_EQ(rows(), 5);
    streams_.drop();
}

TEST_F(Loss, ASocketUnitsSocketIsSharedByTheWorkers)
{
    start(); // only for a listening socket that is not ours
    std::vector<PassedFd> given = manager_.kept();
    std::erase_if(given, [](const PassedFd& each) { return each.name != "listener"; });
    ASSERT_EQ(given.size(), 2U);
    given.resize(1);
    const int own = ::fcntl(given[0].fd, F_DUPFD_CLOEXEC, 0);
    const std::uint16_t before = port();
    EXPECT_EQ(stop(), 0);
    pass({{"codex-pool.socket", own}});
    start();
    EXPECT_EQ(port(), before);
    for (int i = 0; i < 8; ++i) {
        fake::Client client = this->client();
        EXPECT_EQ(make(client, turn_of(Cli::codex, "c" + std::to_string(i))).status, 200U);
    }
    EXPECT_EQ(pool().children("worker").size(), 2U);
    ::close(own);
}

/// No service manager, nobody who keeps a descriptor.
class LossAlone : public PoolTest {
protected:
    LossAlone()
    {
        add(fake::Vendor::codex, fake::Kind::api_key, "codex_key1");
        add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    }

    void turns(int count)
    {
        fake::Client client = this->client();
        for (int i = 0; i < count; ++i)
            EXPECT_EQ(make(client, turn_of(Cli::codex, "c" + std::to_string(i))).status, 200U);
    }

    void lose_supervisor()
    {
        pool().signal(SIGKILL);
        ASSERT_EQ(pool().wait_exit(), 128 + SIGKILL);
    }

    [[nodiscard]] std::int64_t rows() const
    {
        return database_number("SELECT COUNT(*) FROM requests WHERE path LIKE '/v1/%'");
    }

    HeldStreams streams_;
};

TEST_F(LossAlone, ADrainerCountsWhatTheLastWorkersFinish)
{
    start();
    streams_.open(upstream(), port(), 6);
    turns(5); // some of these are in the rings only
    lose_supervisor();
    ASSERT_TRUE(eventually([&] { return processes("drainer").size() == 1; }));
    // Its segment is nobody else's: the next one starts meanwhile, and both write.
    start();
    turns(3);
    EXPECT_TRUE(eventually([&] { return rows() == 8; })) << rows();
    streams_.expect_whole(upstream());
    EXPECT_TRUE(eventually([&] { return rows() == 14; })) << rows();
    EXPECT_EQ(
        database_number("SELECT COUNT(DISTINCT request_id) FROM requests"),
        database_number("SELECT COUNT(*) FROM requests"));
    EXPECT_EQ(database_number("SELECT COUNT(*) FROM requests WHERE outcome <> 'completed'"), 0);
    // The next one's pages count it too.
    expect_usage_settles();
    EXPECT_TRUE(eventually([&] { return processes("drainer").empty(); }));
    EXPECT_EQ(processes("worker").size(), 2U) << "only its own";
    EXPECT_EQ(stop(), 0);
    EXPECT_TRUE(eventually([&] { return processes("child").empty(); }));
}

TEST_F(LossAlone, LostTwiceEachSegmentHasItsOwnDrainer)
{
    start();
    streams_.open(upstream(), port(), 2);
    lose_supervisor();
    start();
    streams_.open(upstream(), port(), 2);
    lose_supervisor();
    ASSERT_TRUE(eventually([&] { return processes("drainer").size() == 2; }));
    streams_.expect_whole(upstream());
    EXPECT_TRUE(eventually([&] { return processes("child").empty(); })) << "nothing is left";
    EXPECT_EQ(rows(), 4);
    start();
    expect_usage_settles();
}

TEST_F(LossAlone, WorkersThatDieUnderADrainerLeaveTheirUsage)
{
    start();
    streams_.open(upstream(), port(), 3);
    turns(2);
    lose_supervisor();
    ASSERT_TRUE(eventually([&] { return processes("drainer").size() == 1; }));
    for (const pid_t each : processes("worker"))
        (void)::kill(each, SIGKILL);
    EXPECT_TRUE(eventually([&] { return processes("child").empty(); }));
    EXPECT_EQ(rows(), 5);
    EXPECT_EQ(
        database_number("SELECT COUNT(*) FROM requests WHERE outcome = 'worker_killed'"), 3);
    streams_.drop();
    start();
}

TEST_F(LossAlone, AStopIsNoLoss)
{
    start();
    turns(1);
    EXPECT_EQ(stop(), 0);
    EXPECT_TRUE(processes("child").empty());
    EXPECT_EQ(pool().log().find("becoming_drainer"), std::string::npos);
}

} // namespace
} // namespace tests
