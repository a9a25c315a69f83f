#include "supervisor/shell/backup_pieces.hpp"

#include "shared/base/read_file.hpp"

#include <algorithm>
#include <array>

namespace supervisor::shell {
namespace {

namespace fs = std::filesystem;
using shared::Problem;
using shared::Result;

constexpr std::size_t kFoldersDeep = 1; // pool/claude/work.json

/// The single ones: name, and path below the users' or the data folder.
std::vector<PieceFile> single_files(const shared::Config& config)
{
    const fs::path data = config.db_path.parent_path();
    return {
        {"users.json", config.users_path},
        {"jwt_secret", config.users_path.parent_path() / "jwt_secret"},
        {"account_settings.json", data / "account_settings.json"},
        {"pins.bin", data / "pins.bin"}};
}

/// "claude/work.json": nothing that leads out of the pool folder or hides in it.
bool is_pool_path(std::string_view path)
{
    const fs::path parts(path);
    if (path.empty() || parts.is_absolute() || parts.extension() != ".json") return false;
    if (std::any_of(
            path.begin(), path.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
        return false;
    std::size_t count = 0;
    for (const fs::path& part : parts) {
        if (part.empty() || part.native().front() == '.') return false;
        ++count;
    }
    return count <= kFoldersDeep + 1;
}

} // namespace

Result<std::vector<PieceFile>> piece_files(const shared::Config& config)
{
    std::vector<PieceFile> files;
    std::error_code error;
    for (PieceFile& file : single_files(config)) {
        if (fs::is_regular_file(file.path, error)) files.push_back(std::move(file));
    }
    fs::recursive_directory_iterator entry(config.pool_dir, error);
    if (error)
        return Problem{
            config.pool_dir.string(),
            "cannot be read: " + error.message(),
            "run this as the user of the pool"};
    for (const fs::recursive_directory_iterator end; entry != end; entry.increment(error)) {
        if (error) break;
        if (entry.depth() > static_cast<int>(kFoldersDeep)) {
            entry.disable_recursion_pending();
            continue;
        }
        const std::string relative = entry->path().lexically_relative(config.pool_dir).string();
        std::error_code ignored;
        if (entry->is_regular_file(ignored) && is_pool_path(relative))
            files.push_back({std::string(kPoolPrefix) + relative, entry->path()});
    }
    std::sort(files.begin(), files.end(), [](const PieceFile& a, const PieceFile& b) {
        return a.name < b.name;
    });
    return {boost::system::in_place_value, std::move(files)};
}

Result<std::optional<fs::path>> place_of(std::string_view piece, const shared::Config& config)
{
    using Place = std::optional<fs::path>;
    if (piece == kManifestPiece) return {boost::system::in_place_value, Place()};
    if (piece == kConfigPiece) return {boost::system::in_place_value, Place(config.source)};
    if (piece == kDatabasePiece) return {boost::system::in_place_value, Place(config.db_path)};
    for (const PieceFile& file : single_files(config)) {
        if (file.name == piece) return {boost::system::in_place_value, Place(file.path)};
    }
    if (piece.starts_with(kPoolPrefix) && is_pool_path(piece.substr(kPoolPrefix.size())))
        return {
            boost::system::in_place_value,
            Place(config.pool_dir / piece.substr(kPoolPrefix.size()))};
    return Problem{
        "the backup",
        "holds \"" + shared::printable(piece) + "\", which this codex-pool does not know",
        "restore it with the codex-pool that wrote it, or a newer one"};
}

} // namespace supervisor::shell
