/// What systemd's notify socket and file-descriptor store are to a service: keeps what it is given, by name.
#pragma once

#include "tests/integration/harness.hpp"

#include <atomic>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tests {

class FakeServiceManager {
public:
    /// Listens on a socket at `path`: the value of NOTIFY_SOCKET.
    explicit FakeServiceManager(const std::filesystem::path& path);
    ~FakeServiceManager();
    FakeServiceManager(const FakeServiceManager&) = delete;
    FakeServiceManager& operator=(const FakeServiceManager&) = delete;

    /// What it keeps now, for the next start. They stay its own.
    [[nodiscard]] std::vector<PassedFd> kept() const;
    [[nodiscard]] std::size_t count(const std::string& name) const;

    /// How often READY=1 came.
    [[nodiscard]] int ready() const { return ready_; }

private:
    void listen();
    void take(const std::string& message, int fd);

    int socket_ = -1;
    std::atomic<bool> stopping_{false};
    std::atomic<int> ready_{0};
    mutable std::mutex mutex_;
    std::vector<PassedFd> kept_;
    std::thread thread_;
};

} // namespace tests
