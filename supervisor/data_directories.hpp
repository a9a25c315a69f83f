/// The folders that the program's own data lies in. `run` makes the missing ones, `check` only names them.
///
/// The pool folder is none of them: if it is missing, somebody mistyped it or has not begun, and should hear so.
#pragma once

#include "shared/config/config.hpp"

#include <filesystem>
#include <vector>

namespace supervisor {

/// Parents of the database and of the users file that do not exist, each once.
[[nodiscard]] std::vector<std::filesystem::path>
missing_data_directories(const shared::Config& config);

/// Makes them with mode 0700 (parents they lack included); the Problem names the folder that cannot be made, or the
/// database's folder if nothing can be written there.
[[nodiscard]] shared::Result<void> create_data_directories(const shared::Config& config);

} // namespace supervisor
