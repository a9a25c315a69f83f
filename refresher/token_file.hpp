/// A credential file as it stands on the disk now, and whether it or an answer of ours is the later one.
#pragma once

#include "refresher/refresh_journal.hpp"
#include "shared/base/hash.hpp"
#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/providers/provider.hpp"

#include <cstdint>
#include <filesystem>

namespace refresher {

[[nodiscard]] shared::Sha256Digest digest_of(const shared::Secret& secret) noexcept;

struct TokenFile {
    bool missing = false; ///< there is no such file; nothing else is set then
    shared::Secret text;
    shared::Credential credential;
};

/// Reads and parses. Problem: it cannot be read, or is no credential of this provider.
[[nodiscard]] shared::Result<TokenFile>
read_token_file(const shared::Provider& provider, const std::filesystem::path& file);

/// What to do with tokens that answer `entry`, given what the file holds now.
enum class TokenMerge : std::uint8_t {
    write,   ///< the file still holds what was sent, or something older: ours go in
    written, ///< they are in it already
    drop,    ///< somebody put a later rotation, or another login, into it: that one counts
};

/// A file with another refresh token is older than ours only if it names the same account and its access token
/// ends no later than the one that was replaced. Where that cannot be told the file counts: what an owner has
/// put there cannot be got back.
[[nodiscard]] TokenMerge merge_of(
    const shared::Credential& file, const JournalEntry& entry, const shared::RenewedTokens& ours);

} // namespace refresher
