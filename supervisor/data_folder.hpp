/// The folder of the database: one running pool at a time.
#pragma once

#include "shared/base/result.hpp"
#include "supervisor/owned_fd.hpp"

#include <filesystem>

namespace supervisor {

/// Creates the folder (0700) if it is missing and locks it for as long as the result lives; the lock ends with the
/// process, however it ends. A second instance is refused with the pid of the first.
[[nodiscard]] shared::Result<OwnedFd> lock_data_folder(const std::filesystem::path& folder);

} // namespace supervisor
