/// What `codex-pool simulate --json` prints: the table's numbers, and how many requests each account served.
#pragma once

#include "shared/simulation/report.hpp"

#include <span>
#include <string>

namespace shared::simulation {

/// Where the requests come from and how the quotas were sized, in words.
struct Origin {
    std::string source;
    std::string quotas;
};

/// `accounts` are those that the columns' outcomes number. Ends with a line break.
[[nodiscard]] std::string json(
    const Origin& origin,
    const Trace& trace,
    std::span<const AccountModel> accounts,
    std::span<const Column> columns);

} // namespace shared::simulation
