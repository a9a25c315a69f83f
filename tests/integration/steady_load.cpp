#include "tests/integration/steady_load.hpp"

#include "tests/integration/turns.hpp"

#include <optional>

namespace tests {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kConversationsPerThread = 4;

} // namespace

SteadyLoad::SteadyLoad(std::uint16_t port, std::size_t per_second, std::size_t threads)
    : port_(port), pace_(std::chrono::seconds(threads)), begun_(Clock::now())
{
    pace_ /= static_cast<long>(per_second);
    for (std::size_t i = 0; i < threads; ++i)
        threads_.emplace_back([this, i] { run(i); });
}

SteadyLoad::~SteadyLoad()
{
    stop();
}

void SteadyLoad::stop()
{
    stopping_ = true;
    for (std::thread& each : threads_)
        each.join();
    threads_.clear();
}

bool SteadyLoad::wait_answers(std::size_t more) const
{
    const std::size_t wanted = answered_ + more;
    return eventually(
        [&] { return answered_ >= wanted; },
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::seconds(60)));
}

void SteadyLoad::run(std::size_t thread)
{
    std::optional<fake::Client> client;
    Clock::time_point due = Clock::now();
    for (std::size_t number = 0; !stopping_; ++number) {
        due += pace_;
        std::this_thread::sleep_until(due);
        if (!client) client.emplace(port_, std::chrono::seconds(60));
        const std::string conversation = "steady-" + std::to_string(thread) + "-" +
                                         std::to_string(number % kConversationsPerThread);
        const auto sent = Clock::now();
        const fake::Response answer = make(*client, turn_of(Cli::codex, conversation, number));
        const auto took = Clock::now() - sent;
        const bool whole = answer.status == 200 && answer.complete;
        const std::lock_guard lock(mutex_);
        longest_ = std::max<std::chrono::nanoseconds>(longest_, took);
        ++(whole ? answered_ : failed_);
        if (!whole) ++failures_[answer.status];
        if (!whole && first_failure_.empty())
            first_failure_ = "status " + std::to_string(answer.status) + ", " +
                             (answer.complete ? "whole: " : "not whole: ") +
                             answer.body.substr(0, 300);
        if (!whole || answer.value("Connection") == "close") client.reset();
    }
}

std::string SteadyLoad::summary() const
{
    const std::lock_guard lock(mutex_);
    const auto seconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun_).count() / 1e3;
    std::string failures;
    for (const auto& [status, count] : failures_)
        failures += " " + std::to_string(status) + ": " + std::to_string(count) + " times;";
    return failures + std::to_string(answered_) + " answered in " + std::to_string(seconds) +
           " s, " + std::to_string(failed_) + " failed, the longest took " +
           std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(longest_).count()) +
           " ms" + (first_failure_.empty() ? "" : "; first failure: " + first_failure_);
}

} // namespace tests
