/// `codex-pool check`: says what `run` would work with, changes and starts nothing.
#pragma once

#include "shared/config/config.hpp"
#include "shared/providers/provider.hpp"

#include <cstdint>
#include <filesystem>
#include <iosfwd>

namespace supervisor {

/// Everything `check` depends on, so that tests can give it.
struct CheckInputs {
    bool json = false; ///< one JSON object to `out` instead of text; nothing to `err`
    shared::ConfigFlags flags;
    shared::Environment environment;
    std::filesystem::path working_directory;
    std::uint32_t cores = 1;
    shared::UnixMillis now;
};

/// Validates the configuration and every credential file. What was found goes to `out`, problems and warnings to
/// `err`. Prints no secret. Returns the exit code: 1 if there is any problem, else 0 (warnings alone are fine).
[[nodiscard]] int run_check(
    const shared::ProviderRegistry& registry,
    const CheckInputs& inputs,
    std::ostream& out,
    std::ostream& err);

} // namespace supervisor
