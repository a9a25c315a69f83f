// The real supervisor with fake children: see fake_roles.hpp.
#include "shared/base/clock.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/pin_table.hpp"
#include "shared/segment/segment.hpp"
#include "shared/segment/worker_slots.hpp"
#include "supervisor/owned_fd.hpp"
#include "supervisor/pins_file.hpp"
#include "supervisor/supervisor.hpp"
#include "tests/supervisor/fake_roles.hpp"
#include "tests/supervisor/usage_fixture.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

namespace supervisor::test {
namespace {

using namespace std::chrono_literals;

/// Waits for an event, at most half a minute.
bool wait_until(const std::function<bool()>& event)
{
    for (const auto end = std::chrono::steady_clock::now() + 30s;
         std::chrono::steady_clock::now() < end;) {
        if (event()) return true;
        std::this_thread::sleep_for(5ms);
    }
    return false;
}

/// A file of /proc; nothing if its process goes meanwhile.
std::string bytes_in_proc(const std::filesystem::path& path)
{
    try {
        return file_bytes(path);
    } catch (const std::ios_base::failure&) {
        return {};
    }
}

/// Our children in this role, oldest first; zombies left aside.
std::vector<pid_t> children(const std::string& role)
{
    std::vector<pid_t> pids;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const std::string name = entry.path().filename();
        if (!std::all_of(name.begin(), name.end(), ::isdigit)) continue;
        const std::string command = bytes_in_proc(entry.path() / "cmdline");
        if (command.find("--role" + std::string(1, '\0') + role) == std::string::npos) continue;
        const std::string stat = bytes_in_proc(entry.path() / "stat");
        const std::string parent = "S " + std::to_string(getpid()) + " ";
        const std::string running = "R " + std::to_string(getpid()) + " ";
        const std::string stopped = "T " + std::to_string(getpid()) + " ";
        for (const std::string& state : {parent, running, stopped}) {
            if (stat.find(") " + state) != std::string::npos) pids.push_back(std::stoi(name));
        }
    }
    std::sort(pids.begin(), pids.end());
    return pids;
}

class SupervisorTest : public ::testing::Test {
protected:
    void SetUp() override { setenv(kFakeFolder, folder.path().c_str(), 1); }

    void TearDown() override
    {
        if (!result.valid()) return;
        kill(getpid(), SIGTERM);
        EXPECT_EQ(result.get(), 0);
    }

    void start(bool wait_for_ready = true)
    {
        config.db_path = folder.path() / "data/proxy.db";
        config.pool_dir = folder.path();
        config.listen.port = 0;
        config.workers = 2;
        RunSettings settings;
        settings.on_ready = [this](const shared::ListenAddress& address) {
            ready.set_value(address.port);
        };
        result = std::async(std::launch::async, [this, settings] { return run(config, settings); });
        if (wait_for_ready) port = ready.get_future().get();
    }

    int finish()
    {
        const int code = result.get();
        result = {};
        return code;
    }

    void tell(const char* what) const { write_file(folder.path() / what, ""); }

    /// Connects; the answer is the pid of the worker that served.
    [[nodiscard]] std::string connect_once() const
    {
        const OwnedFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
            return "refused";
        }
        char answer[32];
        const ssize_t got = recv(fd.get(), answer, sizeof(answer), 0);
        return got > 0 ? std::string(answer, static_cast<std::size_t>(got)) : "cut";
    }

    /// The tree's segment, through a child's descriptor.
    static shared::SegmentMapping open_segment()
    {
        const std::string path = "/proc/" + std::to_string(children("refresher").at(0)) + "/fd/4";
        return std::move(*shared::SegmentMapping::attach(open(path.c_str(), O_RDWR | O_CLOEXEC)));
    }

    tests::TempDir folder;
    shared::Config config;
    std::promise<std::uint16_t> ready;
    std::future<int> result;
    std::uint16_t port = 0;
};

TEST_F(SupervisorTest, StartsTheTreeAndEndsItOnSigterm)
{
    start();
    EXPECT_EQ(children("worker").size(), 2U);
    EXPECT_EQ(children("refresher").size(), 1U);
    EXPECT_EQ(children("admin").size(), 1U);
    EXPECT_FALSE(open_segment()->header.admin_socket.empty());
    kill(getpid(), SIGTERM);
    EXPECT_EQ(finish(), 0);
    EXPECT_TRUE(children("worker").empty());
    EXPECT_EQ(connect_once(), "refused");
}

TEST_F(SupervisorTest, ReplacesAKilledWorkerAndServesWhatWaitedAtItsSocket)
{
    start();
    const shared::SegmentMapping segment = open_segment();
    const auto before = children("worker");
    // A stopped worker leaves connections waiting at its socket.
    kill(before[0], SIGSTOP);
    std::vector<std::future<std::string>> answers;
    for (int i = 0; i < 20; ++i)
        answers.push_back(std::async(std::launch::async, [this] { return connect_once(); }));
    std::this_thread::sleep_for(50ms);
    kill(before[0], SIGKILL);
    for (auto& answer : answers) {
        const std::string pid = answer.get();
        EXPECT_NE(pid, "refused");
        EXPECT_NE(pid, "cut");
    }
    EXPECT_TRUE(wait_until([&] { return children("worker").size() == 2; }));
    EXPECT_EQ(segment->worker_restarts, 1U);
}

TEST_F(SupervisorTest, CountsWhatAKilledWorkerWasDoing)
{
    start();
    const shared::SegmentMapping segment = open_segment();
    const pid_t victim = children("worker")[0];
    std::uint16_t slot = 0;
    while (segment->workers[slot].pid != victim)
        ++slot;
    // As if that worker had done it.
    auto done = shared::RunningRequest::begin(*segment, slot, entry(shared::AccountSlot::kNone));
    done->assign({0});
    done->finish(shared::RequestOutcome::completed, shared::now_unix());
    auto running =
        shared::RunningRequest::begin(*segment, slot, entry(shared::AccountSlot::kNone, 7));
    running->assign({0});
    EXPECT_EQ(shared::in_flight(*segment, {0}), 1U);
    kill(victim, SIGKILL);
    EXPECT_TRUE(wait_until([&] { return shared::in_flight(*segment, {0}) == 0; }));
    EXPECT_TRUE(wait_until([&] { return segment->totals[0].requests == 2; }));
    EXPECT_TRUE(wait_until([&] {
        return query(config.db_path, "SELECT group_concat(outcome) FROM requests") ==
               "completed,worker_killed";
    }));
    new (&running) std::optional<shared::RunningRequest>(); // its row is gone with its worker
}

TEST_F(SupervisorTest, ReplacesARefresherAndAnAdminChild)
{
    start();
    for (const char* role : {"refresher", "admin"}) {
        const pid_t before = children(role).at(0);
        kill(before, SIGKILL);
        EXPECT_TRUE(wait_until([&] {
            const auto now = children(role);
            return now.size() == 1 && now[0] != before;
        })) << role;
    }
    EXPECT_EQ(children("worker").size(), 2U);
}

TEST_F(SupervisorTest, KillsAWorkerThatHangs)
{
    config.worker_hang_seconds = 1;
    start();
    const pid_t victim = children("worker")[0];
    kill(victim, SIGSTOP);
    EXPECT_TRUE(wait_until([&] { return kill(victim, 0) != 0; }));
    EXPECT_TRUE(wait_until([&] { return children("worker").size() == 2; }));
}

TEST_F(SupervisorTest, ReplacesAWorkerThatGrewTooLargeAndLetsItDrain)
{
    tell("fat");
    config.worker_memory_mb = 48;
    start();
    const auto before = children("worker");
    EXPECT_TRUE(wait_until([&] {
        const auto now = children("worker");
        return now.size() == 2 && now[0] > before[1];
    }));
    EXPECT_EQ(open_segment()->worker_restarts, 0U); // nobody died
}

TEST_F(SupervisorTest, PassesAReloadOnAndTheAnswerBack)
{
    start();
    tell("admin-reload");
    const auto answer = folder.path() / "admin-reloaded";
    EXPECT_TRUE(wait_until([&] { return file_bytes(answer) == "3\n"; }));
    std::filesystem::remove(answer);
    kill(getpid(), SIGHUP); // nobody in the admin child asked
    tell("admin-reload");
    EXPECT_TRUE(wait_until([&] { return file_bytes(answer) == "3\n"; }));
}

TEST_F(SupervisorTest, WaitsForOpenRequestsUntilASecondSignal)
{
    tell("busy");
    start();
    kill(getpid(), SIGTERM);
    EXPECT_TRUE(wait_until([&] { return connect_once() == "refused"; }));
    EXPECT_EQ(result.wait_for(300ms), std::future_status::timeout);
    EXPECT_EQ(children("worker").size(), 2U);
    kill(getpid(), SIGINT);
    EXPECT_EQ(finish(), 0);
    EXPECT_TRUE(children("worker").empty());
}

TEST_F(SupervisorTest, EndsOpenRequestsWhenTheGraceIsOver)
{
    tell("busy");
    config.shutdown_grace_seconds = 1;
    start();
    kill(getpid(), SIGTERM);
    EXPECT_EQ(finish(), 0);
}

TEST_F(SupervisorTest, SavesPinsAtTheEndAndRestoresThem)
{
    start();
    {
        const shared::SegmentMapping segment = open_segment();
        shared::set_pin(*segment, {5, 5}, {0}, shared::now_unix());
    }
    kill(getpid(), SIGTERM);
    ASSERT_EQ(finish(), 0);
    const auto saved = load_pins(folder.path() / "data/pins.bin");
    ASSERT_EQ(saved->size(), 1U);
    EXPECT_EQ(saved->front().account, "codex:fake");
    ready = {};
    start();
    EXPECT_EQ(shared::count_pins(*open_segment()), 1U);
}

TEST_F(SupervisorTest, GivesUpIfNoWorkerCanRun)
{
    tell("fatal-worker");
    start(false);
    EXPECT_EQ(finish(), 1);
    EXPECT_TRUE(children("refresher").empty());
}

TEST_F(SupervisorTest, ThrottlesWorkersThatDieBeforeTheyServe)
{
    tell("early-death");
    start(false);
    std::this_thread::sleep_for(500ms);
    std::filesystem::remove(folder.path() / "early-death");
    port = ready.get_future().get(); // the second try, a second later, succeeds
    EXPECT_EQ(children("worker").size(), 2U);
}

TEST_F(SupervisorTest, RefusesASecondInstanceOnTheSameFolder)
{
    start();
    shared::Config second = config;
    EXPECT_EQ(run(second), 1);
}

} // namespace
} // namespace supervisor::test
