/// The process manager: starts the tree, keeps it alive, carries messages between its parts, ends it. It never
/// touches client traffic and parses no HTTP.
///
/// Called by main() for `run` and by demo.cpp. Fatal: anything wrong before the first child (exit code 1).
#pragma once

#include "shared/config/config.hpp"
#include "supervisor/upgrade.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace supervisor {

struct RunSettings {
    /// Called once on the loop, when every worker serves; with the port that was bound.
    std::function<void(const shared::ListenAddress&)> on_ready;
    /// Reads the configuration anew for a reload; empty = a reload looks at the pool folder only.
    std::function<shared::ConfigLoad()> load;
    /// Account files to be imported into the pool folder at the start; empty = there is no such folder.
    std::filesystem::path credentials;
    /// How this program was started, so that another can take over; empty = it cannot be upgraded.
    ProgramStart start;
    /// This program takes the pool over from another one.
    std::optional<Handover> handover;
    /// What the children are; tests put their own roles here.
    std::string program = "/proc/self/exe";
};

/// Runs the pool until a signal ends it; returns the exit code. The log must have been started. Blocks SIGTERM,
/// SIGINT, SIGHUP and SIGCHLD handlers of its own: one call at a time.
[[nodiscard]] int run(const shared::Config& config, const RunSettings& settings = {});

} // namespace supervisor
