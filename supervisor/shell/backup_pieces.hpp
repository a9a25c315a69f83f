/// What a backup holds and where each piece belongs.
#pragma once

#include "shared/base/result.hpp"
#include "shared/config/config.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace supervisor::shell {

inline constexpr std::string_view kManifestPiece = "manifest.json";
inline constexpr std::string_view kConfigPiece = "config.toml";
inline constexpr std::string_view kDatabasePiece = "database";
inline constexpr std::string_view kPoolPrefix = "pool/";

/// Small files, by their names in a backup. The database and the configuration are not among them.
struct PieceFile {
    std::string name;
    std::filesystem::path path;
};

/// Those that there are: users, signing key, account settings, pins, credential files.
[[nodiscard]] shared::Result<std::vector<PieceFile>> piece_files(const shared::Config& config);

/// Where a piece belongs; nothing for the manifest. A Problem if there is no such piece: a newer program may know it,
/// or somebody made it up.
[[nodiscard]] shared::Result<std::optional<std::filesystem::path>>
place_of(std::string_view piece, const shared::Config& config);

} // namespace supervisor::shell
