/// `codex-pool status`: the pool on one screen. Pure.
#pragma once

#include "supervisor/shell/canvas.hpp"
#include "supervisor/shell/snapshot.hpp"

namespace supervisor::shell {

/// The state, the accounts with their windows, what runs, what went wrong last. `rows` is the terminal's height; 0 = as
/// long as need be.
[[nodiscard]] Lines status_lines(const Snapshot& snapshot, const Paper& paper, std::size_t rows);

} // namespace supervisor::shell
