/// Where the passphrase of a backup comes from: a file, the environment, the terminal. Never an argument, which
/// everybody on the machine can read.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"

#include "supervisor/shell/backup.hpp"

namespace supervisor::shell {

inline constexpr std::size_t kPassphraseMin = 8;

/// Empty: the backup is not to be encrypted. Asked for twice, where it is asked for.
[[nodiscard]] shared::Result<shared::Secret> passphrase_for_backup(const BackupInputs& inputs);

/// Empty only if the file is not encrypted, or nobody can be asked.
[[nodiscard]] shared::Result<shared::Secret>
passphrase_for_restore(const BackupInputs& inputs, bool sealed);

} // namespace supervisor::shell
