/// Runs the real binary with all its processes in front of fake upstreams in this process, and looks at it from
/// outside only: HTTP, signals, /proc, its log and its database. Waits for events, never for seconds.
#pragma once

#include "shared/fake_providers/server.hpp"
#include "tests/integration/turns.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/types.h>

namespace tests {

/// A descriptor that a process is given as systemd does it (LISTEN_FDS).
struct PassedFd {
    std::string name;
    int fd = -1;
};

/// One `codex-pool …` process: its log is collected, it is killed at the end.
class Process {
public:
    Process(
        const std::vector<std::string>& arguments,
        const std::map<std::string, std::string>& environment,
        const std::filesystem::path& working_directory,
        const std::filesystem::path& binary = CODEX_POOL_BINARY,
        const std::vector<PassedFd>& passed = {});
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }

    void signal(int number) const;
    /// The exit code (128 + signal if killed); nothing if it still runs when patience is over. What a process that was
    /// not killed wrote to the end is in log() then.
    std::optional<int> wait_exit(std::chrono::milliseconds patience = kPatience);

    /// The first log line containing `text`, from line number `from` on; nothing when patience is over.
    std::optional<std::string> wait_line(
        std::string_view text,
        std::size_t from = 0,
        std::chrono::milliseconds patience = kPatience);
    [[nodiscard]] std::string log() const;
    [[nodiscard]] std::size_t line_count() const;
    /// Pids of its direct children whose command line contains `role`.
    [[nodiscard]] std::vector<pid_t> children(std::string_view role) const;

private:
    void read_loop(int fd);

    pid_t pid_ = -1;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> lines_;
    bool log_ended_ = false;
    std::optional<int> code_;
    std::thread reader_;
};

/// "codex:alice" -> "alice", "claude:bob" -> "claude_bob": the credential file's name without its ending.
std::string short_name(const std::string& id);

using Totals = fake::Ledger::Totals;

class PoolTest : public ::testing::Test {
protected:
    PoolTest();
    ~PoolTest() override;
    void TearDown() override;

    // ---- before start() --------------------------------------------------------------------------

    [[nodiscard]] fake::Server& upstream() { return *upstream_; }

    /// Replaces the fake upstreams (before accounts are added).
    void use_upstream(const fake::ServerOptions& options);
    /// Adds an account to the upstream and to the pool folder.
    fake::Account add(fake::Vendor vendor, fake::Kind kind, const std::string& name);
    /// One account of every provider and kind.
    void add_one_of_each();

    /// Line of the configuration before the tables.
    void set(const std::string& line) { settings_ += line + "\n"; }

    void set_environment(const std::string& name, const std::string& value)
    {
        environment_[name] = value;
    }

    [[nodiscard]] const std::filesystem::path& folder() const { return folder_.path(); }

    [[nodiscard]] std::filesystem::path pool_folder() const { return folder_.path() / "pool"; }

    /// Another program than the build's own.
    void use_binary(const std::filesystem::path& binary) { binary_ = binary; }

    /// Descriptors for the next start.
    void pass(std::vector<PassedFd> descriptors) { passed_ = std::move(descriptors); }

    [[nodiscard]] const std::map<std::string, std::string>& environment() const
    {
        return environment_;
    }

    void write_config() const;
    /// Starts the pool and waits until it serves and knows its accounts.
    void start();
    /// Only starts the process: for what must fail.
    Process& launch(const std::vector<std::string>& arguments = {"run"});

    // ---- while it runs -----------------------------------------------------------------------------

    [[nodiscard]] Process& pool() { return *pool_; }

    [[nodiscard]] std::uint16_t port() const { return port_; }

    [[nodiscard]] fake::Client client() const { return fake::Client(port_); }

    fake::Response get(const std::string& target, const fake::Headers& headers = {}) const;
    [[nodiscard]] nlohmann::json get_json(const std::string& target) const;
    /// Processes of all pools of this test, also of lost ones, whose command line contains `role`.
    [[nodiscard]] std::vector<pid_t> processes(std::string_view role) const;
    /// SIGTERM and the exit code.
    std::optional<int> stop();

    /// What /admin/accounts says, in the ledger's shape.
    [[nodiscard]] Totals admin_totals() const;
    /// What usage_hourly (or `requests`) sums up to. Read-only; the pool may run.
    [[nodiscard]] Totals database_totals(const std::string& table = "usage_hourly") const;
    [[nodiscard]] std::int64_t database_number(const std::string& query) const;
    /// Waits until pages and database agree with the upstreams' ledger, and says where they do not.
    void expect_usage_settles();
    void expect_idle();
    /// The account a conversation's last turn was served by.
    [[nodiscard]] std::string account_of(const std::string& conversation);

    void allow_violations() { violations_allowed_ = true; }

    /// An account that start() must not wait for: it is disabled.
    void expect_disabled() { --accounts_; }

    void expect_exit_code(std::optional<int> code) { expected_exit_ = code; }

private:
    TempDir folder_;
    std::unique_ptr<fake::Server> upstream_;
    std::string settings_;
    std::map<std::string, std::string> environment_;
    std::filesystem::path binary_ = CODEX_POOL_BINARY;
    std::vector<PassedFd> passed_;
    std::size_t accounts_ = 0; ///< in service, that start() waits for
    std::vector<std::string> needs_project_;
    std::vector<std::unique_ptr<Process>> before_; ///< their children may still write
    std::unique_ptr<Process> pool_;
    std::uint16_t port_ = 0;
    bool violations_allowed_ = false;
    std::optional<int> expected_exit_ = 0;
};

} // namespace tests
