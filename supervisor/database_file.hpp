/// Looks at the database file before SQLite does: what it is, whose it is, and creates it with the right mode.
#pragma once

#include "shared/base/result.hpp"

#include <filesystem>

namespace supervisor {

/// Makes sure that `path` is an SQLite file or an empty new one (mode 0600, missing folders 0700). Whatever else stands
/// there, the predecessor's BoltDB in particular, is named in the Problem and not touched.
[[nodiscard]] shared::Result<void> prepare_database_file(const std::filesystem::path& path);

/// Creates the folder and its missing parents with mode 0700.
[[nodiscard]] shared::Result<void> create_private_folder(const std::filesystem::path& folder);

} // namespace supervisor
