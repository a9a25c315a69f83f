/// What a reload changes in the settings. Pure.
#pragma once

#include "shared/config/config.hpp"

#include <string>
#include <vector>

namespace supervisor {

/// A configuration read anew, beside the one that runs.
struct SettingsChange {
    shared::Config config;            ///< to run with: those that need a restart are as before
    std::vector<std::string> changed; ///< names of the settings that differ now
    std::vector<std::string>
        need_restart; ///< names of those that differ in the file but stay as they are
};

/// Settings that hold something open (sockets, database, users) stay until a restart; all others take effect by new
/// children.
[[nodiscard]] SettingsChange compare_settings(const shared::Config& running, shared::Config loaded);

/// "a, b and c".
[[nodiscard]] std::string enumeration(const std::vector<std::string>& names);

} // namespace supervisor
