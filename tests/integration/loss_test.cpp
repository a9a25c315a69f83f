/// The supervisor is killed while traffic flows, and a service manager that kept its descriptors starts the next one.
#include "tests/integration/fake_service_manager.hpp"
#include "tests/integration/harness.hpp"
#include "tests/integration/steady_load.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <memory>

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

    void open_streams(std::size_t count)
    {
        fake::Behaviour gated;
        gated.gate_after = 4;
        gated.path = "/v1/messages";
        upstream().script(gated);
        for (std::size_t i = 0; i < count; ++i) {
            streams_.push_back(std::make_unique<fake::Client>(port(), std::chrono::minutes(10)));
            const Turn turn = turn_of(Cli::claude, "held-" + std::to_string(i));
            ASSERT_TRUE(streams_.back()->send(turn.method, turn.target, turn.headers, turn.body));
            ASSERT_EQ(streams_.back()->read_head().status, 200U) << i;
            ASSERT_NE(streams_.back()->read_until("content_block_delta"), "") << i;
        }
    }

    void expect_whole_streams()
    {
        upstream().release();
        for (auto& each : streams_) {
            const fake::Response rest = each->read_rest();
            EXPECT_TRUE(rest.complete);
            EXPECT_NE(rest.body.find("message_stop"), std::string::npos);
        }
        streams_.clear();
    }

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
    std::vector<std::unique_ptr<fake::Client>> streams_;
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
    const auto sent = static_cast<std::int64_t>(load.answered() + streams_.size());
    for (const pid_t each : orphans)
        EXPECT_EQ(::kill(each, 0), 0) << "it has streams";
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
    streams_.clear();
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
    streams_.clear();
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

} // namespace
} // namespace tests
