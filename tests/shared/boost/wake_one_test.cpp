#include "shared/boost/wake_one.hpp"
#include "shared/net/loop.hpp"
#include "shared/net/stream.hpp"
#include "shared/net/task.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace shared {
namespace {

/// What the waiting processes have done, all together.
struct Counts {
    std::atomic<int> waits{0};
    std::atomic<int> taken{0};
};

net::Detached take(net::Stream& listener, Counts& counts)
{
    for (;;) {
        ++counts.waits;
        const bool waited = co_await listener.readable();
        if (!waited) co_return;
        for (;;) {
            const int fd = ::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) break;
            ::close(fd);
            ++counts.taken;
        }
    }
}

class WakeOne : public ::testing::Test {
protected:
    static constexpr int kProcesses = 4;

    WakeOne()
    {
        void* memory = ::mmap(
            nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        counts_ = new (memory) Counts; // shared with the processes, gone with the last of them
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        sockaddr_in any{};
        any.sin_family = AF_INET;
        any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address_;
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&any), sizeof any) != 0 ||
            ::listen(listener_, 64) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address_), &size) != 0)
            std::abort();
    }

    ~WakeOne() override
    {
        for (const pid_t each : processes_)
            end(each);
        ::close(listener_);
        ::munmap(counts_, sizeof(Counts));
    }

    static void end(pid_t process)
    {
        ::kill(process, SIGKILL);
        ::waitpid(process, nullptr, 0);
    }

    void start()
    {
        for (pid_t& each : processes_) {
            each = ::fork();
            if (each != 0) continue;
            net::Loop loop{1};
            net::Stream stream(loop, listener_);
            wake_one(listener_);
            take(stream, *counts_);
            loop.run();
            ::_exit(0);
        }
        ASSERT_TRUE(wait([&] { return counts_->waits == kProcesses; }));
    }

    /// How often the processes have gone to sleep. One that was woken for what another has taken goes to sleep inside the
    /// kernel's epoll_wait: only this tells.
    [[nodiscard]] long sleeps() const
    {
        long sum = 0;
        for (const pid_t each : processes_) {
            std::ifstream status("/proc/" + std::to_string(each) + "/status");
            const std::string_view name = "voluntary_ctxt_switches:";
            for (std::string line; std::getline(status, line);)
                if (line.starts_with(name)) sum += std::stol(line.substr(name.size()));
        }
        return sum;
    }

    template <class Done>
    static bool wait(Done done)
    {
        for (int i = 0; i < 20'000 && !done(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return done();
    }

    int connect() const
    {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(
            ::connect(fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_), 0);
        return fd;
    }

    Counts* counts_ = nullptr;
    int listener_ = -1;
    sockaddr_in address_{};
    std::array<pid_t, kProcesses> processes_{};
};

TEST_F(WakeOne, AConnectionWakesOneOfThoseThatSleep)
{
    start();
    constexpr int kConnections = 60;
    const long before = sleeps();
    for (int i = 1; i <= kConnections; ++i) {
        const int fd = connect();
        ASSERT_TRUE(wait([&] { return counts_->taken == i; })) << i;
        ::close(fd);
    }
    // Woken all, they sleep four times for each.
    EXPECT_LE(sleeps() - before, kConnections * 2);
}

TEST_F(WakeOne, ManyAtATimeAreAllTaken)
{
    start();
    std::array<int, 50> fds{};
    for (int round = 1; round <= 4; ++round) {
        for (int& fd : fds)
            fd = connect();
        EXPECT_TRUE(wait([&] { return counts_->taken == round * static_cast<int>(fds.size()); }))
            << counts_->taken;
        for (const int fd : fds)
            ::close(fd);
    }
}

} // namespace
} // namespace shared
