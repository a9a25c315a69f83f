/// `codex-pool simulate`: what a strategy would have done with the last days' traffic. Changes and starts nothing.
#pragma once

#include "shared/config/config.hpp"
#include "shared/providers/provider.hpp"

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>

namespace supervisor {

/// As given on the command line.
struct SimulateOptions {
    std::string strategies;              ///< comma-separated; empty = all
    std::string last = "7d";             ///< of the usage database: days, or hours ("48h")
    std::optional<std::string> trace;    ///< a file instead
    std::optional<std::string> scenario; ///< "week": made up instead
    std::uint64_t seed = 1;
    std::uint32_t accounts = 0; ///< so many equal ones per provider; 0 = those of the pool folder
    double load_percent = 85;   ///< quotas are sized so that the requests need this much of them
    std::uint64_t week_tokens = 0; ///< or: a weekly window of the smallest plan has so many
    bool json = false;             ///< instead of the table
};

/// Everything `simulate` depends on, so that tests can give it.
struct SimulateInputs {
    SimulateOptions options;
    shared::ConfigFlags flags;
    shared::Environment environment;
    std::filesystem::path working_directory;
    std::uint32_t cores = 1;
    shared::UnixMillis now;
};

/// Prints the table (or JSON) to `out`, problems to `err`. Returns the exit code. The same inputs print the same.
[[nodiscard]] int run_simulate(
    const shared::ProviderRegistry& registry,
    const SimulateInputs& inputs,
    std::ostream& out,
    std::ostream& err);

} // namespace supervisor
