/// Reads the pool folder: every credential file becomes an account or a problem with a name.
///
/// Called by the refresher (start and reload) and by `codex-pool check`, never by a worker. One broken file never
/// hides the others. Nothing is written.
#pragma once

#include "shared/base/result.hpp"
#include "shared/providers/provider.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shared {

/// A credential file larger than this is refused without being read; real ones have a few kilobytes.
inline constexpr std::size_t kCredentialBytesMax = 1U << 20U;
/// Files looked at in one pool folder; what is beyond is a problem. (The segment holds fewer accounts.)
inline constexpr std::size_t kPoolFilesMax = 4096;

struct LoadedAccount {
    std::string id; ///< "codex:personal": provider and file name without prefix and ".json"
    ProviderId provider = ProviderId::none;
    Credential credential;
    std::filesystem::path file;
    std::vector<std::string> warnings; ///< whole sentences for the owner; no secrets
};

struct PoolLoad {
    /// In the order of ids, which does not depend on the order of the folder.
    std::vector<LoadedAccount> accounts;
    /// One per file that is not served; `where` is the file.
    std::vector<Problem> problems;
    /// Accounts whose file is there but cannot be used: id -> index in `problems`. What was last good of them stays in
    /// service; an account that is neither here nor in `accounts` is gone.
    std::map<std::string, std::size_t> broken;
    /// The folder itself cannot be used (missing, a file, not readable): keep what is in service.
    std::optional<Problem> fatal;
};

/// Both layouts at once: prefixes in the flat folder ("claude_work.json"), and sub-folders named after the
/// providers ("claude/work.json"). Files not ending in ".json", hidden ones and "*.tmp" are passed over.
[[nodiscard]] PoolLoad
load_pool(const ProviderRegistry& registry, const std::filesystem::path& folder);

/// Whether both are the same login at a vendor (they are of one provider): its tokens, or its account and e-mail.
[[nodiscard]] bool same_login(const Credential& a, const Credential& b);

/// The name that a file in the flat folder has to have to be account "provider:name". Problem: no file's name can be
/// made of it that is safe everywhere and that no other provider claims.
[[nodiscard]] Result<std::string> account_file_name(
    const ProviderRegistry& registry, const Provider& provider, std::string_view name);

} // namespace shared
