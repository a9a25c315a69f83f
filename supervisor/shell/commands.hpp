/// `codex-pool status` and `codex-pool top`: ask the running pool over control.sock and draw what it says.
#pragma once

#include "supervisor/control_command.hpp"

#include <filesystem>
#include <iosfwd>

namespace supervisor::shell {

/// Prints one screen (or the snapshot as JSON) to `out`. Returns the exit code, as run_control().
[[nodiscard]] int run_status(
    bool json,
    const supervisor::TerminalStyle& style,
    const std::filesystem::path& data_folder,
    std::ostream& out,
    std::ostream& err);

/// Shows the pool ten times a second until somebody types q or a signal comes; with `json` a snapshot per line instead.
/// Returns the exit code; the terminal is as it was.
[[nodiscard]] int run_top(
    bool json,
    const supervisor::TerminalStyle& style,
    const std::filesystem::path& data_folder,
    std::ostream& out,
    std::ostream& err);

} // namespace supervisor::shell
