/// The table that `codex-pool simulate` prints: strategies side by side.
#pragma once

#include "shared/simulation/simulation.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace shared::simulation {

/// One column of the table.
struct Column {
    Strategy strategy = Strategy::balanced;
    Outcome outcome;
};

[[nodiscard]] std::string table(const Trace& trace, std::span<const Column> columns);

/// How much of what a trace has.
struct Extent {
    std::size_t users = 0;
    std::size_t requests = 0;
    std::size_t conversations = 0;
    double days = 0; ///< from the first request to the last
};

[[nodiscard]] Extent extent(const Trace& trace);

/// "6 users, 12345 requests of 551 conversations in 7.0 days"
[[nodiscard]] std::string summary(const Trace& trace);

/// "1 user", "2 users"
[[nodiscard]] std::string counted(std::size_t number, std::string_view noun);

} // namespace shared::simulation
