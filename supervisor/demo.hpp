/// `codex-pool demo`: the real process tree in front of fake providers on loopback, in a temporary
/// folder, with a little traffic. It reads no configuration, no environment and no pool folder of the user.
#pragma once

#include <string>

namespace supervisor {

struct DemoOptions {
    std::string listen = "127.0.0.1:8989";
};

/// Runs until SIGINT or SIGTERM (or until the pool ends); removes its folder; returns the exit code.
[[nodiscard]] int run_demo(const DemoOptions& options);

} // namespace supervisor
