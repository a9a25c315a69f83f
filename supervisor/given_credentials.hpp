/// $CREDENTIALS_DIRECTORY: what systemd's LoadCredential= and SetCredential= give to the service. Secrets of the
/// configuration, in files named like the setting or its variable; and credential files of accounts (*.json), which are
/// imported into the pool folder, where the pool renews them.
#pragma once

#include "shared/base/result.hpp"
#include "shared/config/config.hpp"

#include <cstddef>
#include <filesystem>

namespace supervisor {

/// The folder in the environment; empty = there is none.
[[nodiscard]] std::filesystem::path credentials_folder(const shared::Environment& environment);

/// Adds what files in the folder say, for variables that are not set. A line break at the end does not count. Files
/// that are no setting's are left aside.
void add_given_secrets(const std::filesystem::path& folder, shared::Environment& environment);

/// Copies account files into the pool folder: once, and again only when the source is another than what was imported
/// last, so that renewed tokens are not overwritten by old ones. `record` remembers that. How many were imported.
[[nodiscard]] shared::Result<std::size_t> import_credentials(
    const std::filesystem::path& folder,
    const std::filesystem::path& pool_folder,
    const std::filesystem::path& record);

} // namespace supervisor
