/// `codex-pool backup FILE` and `codex-pool restore FILE`: everything that makes this pool, in one file.
///
/// Backup works while the pool runs: the database is copied as it was at one instant, every other file is replaced as a
/// whole by whoever writes it. Restore works only while it does not, and keeps aside what it replaces.
#pragma once

#include "shared/base/secret.hpp"
#include "shared/config/config.hpp"
#include "shared/providers/provider.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

#include "supervisor/shell/backup_options.hpp"

namespace supervisor::shell {

/// The variable that may hold the passphrase.
inline constexpr const char* kPassphraseVariable = "CODEX_POOL_PASSPHRASE";

/// Everything both depend on, so that tests can give it.
struct BackupInputs {
    BackupOptions options;
    bool json = false;
    shared::ConfigFlags flags;
    shared::Environment environment;
    std::filesystem::path working_directory;
    std::uint32_t cores = 1;
    shared::UnixMillis now;
    /// Asks somebody on a terminal; nothing if there is none. Unset: never.
    std::function<std::optional<shared::Secret>(const std::string& question)> ask;
    bool shows_progress = false; ///< `err` is a terminal
};

/// Writes the file (0600), which must not exist. Returns the exit code: 0, or 1 with the reason on `err`.
[[nodiscard]] int run_backup(
    const shared::ProviderRegistry& registry,
    const BackupInputs& inputs,
    std::ostream& out,
    std::ostream& err);

/// Checks the whole file, then puts its pieces into their places; what was there is kept beside, its name ending with
/// ".before-restore-TIME". Returns the exit code: 0, or 1 with the reason on `err`, and nothing was changed.
[[nodiscard]] int run_restore(
    const shared::ProviderRegistry& registry,
    const BackupInputs& inputs,
    std::ostream& out,
    std::ostream& err);

/// Asks on the terminal of this process without showing what is typed; nothing if it has none.
[[nodiscard]] std::optional<shared::Secret> ask_on_terminal(const std::string& question);

} // namespace supervisor::shell
