/// Requests at a steady rate from several threads, each over a connection that it keeps as long as the pool does; with
/// the streams that usually go with them. Needs no test framework: tests/systemd/pool_load.cpp uses it, too.
#pragma once

#include "tests/integration/held_streams.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tests {

/// Every request must be answered whole.
class SteadyLoad {
public:
    SteadyLoad(std::uint16_t port, std::size_t per_second, std::size_t threads);
    ~SteadyLoad();
    SteadyLoad(const SteadyLoad&) = delete;
    SteadyLoad& operator=(const SteadyLoad&) = delete;

    /// Until so many more were answered; false if that takes too long.
    [[nodiscard]] bool wait_answers(std::size_t more) const;
    void stop();

    [[nodiscard]] std::size_t answered() const { return answered_; }

    [[nodiscard]] std::size_t failed() const { return failed_; }

    /// For people.
    [[nodiscard]] std::string summary() const;

private:
    void run(std::size_t thread);

    std::uint16_t port_;
    std::chrono::nanoseconds pace_; ///< between two requests of a thread
    std::chrono::steady_clock::time_point begun_;
    std::atomic<bool> stopping_{false};
    std::atomic<std::size_t> answered_{0};
    std::atomic<std::size_t> failed_{0};
    mutable std::mutex mutex_;
    std::string first_failure_;
    std::map<unsigned, std::size_t> failures_; ///< by status; 0 = no whole head came
    std::chrono::nanoseconds longest_{0};
    std::vector<std::thread> threads_;
};

} // namespace tests
