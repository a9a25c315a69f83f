/// `codex-pool status`: the pool on one screen. Pure.
#pragma once

#include "shell/canvas.hpp"
#include "shell/snapshot.hpp"

namespace shell {

/// The state, the accounts with their windows, what runs, what went wrong last. `rows` is the terminal's height; 0 = as
/// long as need be.
[[nodiscard]] Lines status_lines(const Snapshot& snapshot, const Paper& paper, std::size_t rows);

} // namespace shell
