/// What the command line says of `codex-pool backup` and `codex-pool restore`.
#pragma once

#include <filesystem>
#include <optional>

namespace supervisor::shell {

struct BackupOptions {
    std::filesystem::path file;
    std::optional<std::filesystem::path> passphrase_file;
    bool encrypt = false; ///< backup: ask for a passphrase if none is given
    bool check = false;   ///< restore: only look whether the file is whole, change nothing
};

} // namespace supervisor::shell
