#include "supervisor/shell/backup.hpp"

#include "shared/base/read_file.hpp"
#include "shared/base/time_text.hpp"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>
#include <ostream>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/shell/backup_file.hpp"
#include "supervisor/shell/backup_passphrase.hpp"
#include "supervisor/shell/backup_pieces.hpp"
#include "supervisor/shell/database_copy.hpp"
#include "supervisor/shell/progress.hpp"

namespace supervisor::shell {
namespace {

namespace fs = std::filesystem;
using shared::Problem;
using shared::Result;

constexpr std::size_t kSmallFileMax = std::size_t{64} << 20U;

/// Is gone, unless it is kept.
class TemporaryFile {
public:
    explicit TemporaryFile(fs::path path) : path_(std::move(path)) {}

    ~TemporaryFile()
    {
        std::error_code ignored;
        if (!path_.empty()) fs::remove(path_, ignored);
    }

    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;

    [[nodiscard]] const fs::path& path() const { return path_; }

    void keep() { path_.clear(); }

private:
    fs::path path_;
};

/// One run of `backup`.
class Backup {
public:
    Backup(const BackupInputs& inputs, const shared::Config& config, ProgressBar& progress)
        : inputs_(inputs), config_(config), progress_(progress)
    {}

    Result<void> run(const shared::Secret& passphrase)
    {
        std::error_code error;
        if (fs::exists(fs::symlink_status(inputs_.options.file, error)))
            return Problem{
                inputs_.options.file.string(),
                "exists",
                "choose another name; nothing is ever overwritten"};
        // In the folder of the backup: whoever can hold it can hold the copy of the database for a moment.
        TemporaryFile target(inputs_.options.file.string() + ".part");
        const supervisor::OwnedFd fd(::open(
            target.path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!fd) {
            const int reason = errno;
            target.keep();
            return Problem{
                inputs_.options.file.string() + ".part",
                std::strerror(reason),
                reason == EEXIST ? "is another backup being made? Else remove it"
                                 : "name a file in a folder that can be written"};
        }
        if (auto written = write(fd.get(), passphrase); !written) return written;
        if (auto checked = check(target.path(), passphrase); !checked) return checked;
        // Never over another file, even if one came meanwhile.
        if (::link(target.path().c_str(), inputs_.options.file.c_str()) != 0)
            return Problem{
                inputs_.options.file.string(), std::strerror(errno), "choose another name"};

        struct stat status {};

        if (::fstat(fd.get(), &status) == 0) bytes_ = static_cast<std::uint64_t>(status.st_size);
        return {};
    }

    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

    [[nodiscard]] std::size_t pieces() const { return pieces_; }

private:
    Result<void> write(int fd, const shared::Secret& passphrase)
    {
        auto seal = BackupSeal::make(passphrase);
        if (!seal) return seal.error();
        BackupWriter writer(fd, std::move(*seal));
        if (auto added = writer.piece(kManifestPiece, manifest()); !added) return added;
        if (!config_.source.empty()) {
            if (auto added = add_small(writer, kConfigPiece, config_.source); !added) return added;
        }
        if (auto added = add_database(writer); !added) return added;
        const auto files = piece_files(config_);
        if (!files) return files.error();
        for (const PieceFile& file : *files) {
            if (auto added = add_small(writer, file.name, file.path); !added) return added;
        }
        return writer.finish();
    }

    Result<void> add_small(BackupWriter& writer, std::string_view name, const fs::path& path)
    {
        const auto text = shared::read_file(path, kSmallFileMax, "file");
        if (!text) return text.error();
        if (text->missing) return {}; // removed since it was listed
        ++pieces_;
        return writer.piece(name, text->bytes);
    }

    Result<void> add_database(BackupWriter& writer)
    {
        std::error_code error;
        if (!fs::exists(config_.db_path, error)) return {};
        const TemporaryFile copy(inputs_.options.file.string() + ".database.part");
        fs::remove(copy.path(), error);
        const auto copied = copy_database(
            config_.db_path, copy.path(), [this](std::uint64_t done, std::uint64_t all) {
                progress_.at("copying the database", done, all);
            });
        if (!copied) return copied;
        const supervisor::OwnedFd file(::open(copy.path().c_str(), O_RDONLY | O_CLOEXEC));
        const std::uint64_t size = fs::file_size(copy.path(), error);
        if (!file || error)
            return Problem{copy.path().string(), "cannot be read again", "look at the disk"};
        ++pieces_;
        std::uint64_t done = 0;
        return writer.piece(kDatabasePiece, size, [&]() -> Result<std::string> {
            std::string bytes(kBackupBlockMax, '\0');
            const ssize_t got = ::read(file.get(), bytes.data(), bytes.size());
            if (got < 0)
                return Problem{copy.path().string(), std::strerror(errno), "look at the disk"};
            bytes.resize(static_cast<std::size_t>(got));
            progress_.at("writing", done += bytes.size(), size);
            return {boost::system::in_place_value, std::move(bytes)};
        });
    }

    /// What was written is what can be read: an unreadable backup is found now and not when it is needed.
    Result<void> check(const fs::path& file, const shared::Secret& passphrase)
    {
        auto reader = BackupReader::open(file, passphrase);
        if (!reader) return reader.error();
        for (;;) {
            auto piece = reader->next();
            if (!piece) return piece.error();
            if (!*piece) return {};
            auto read = reader->read(**piece, [&](std::string_view) -> Result<void> {
                progress_.at("checking", reader->position(), reader->size());
                return {};
            });
            if (!read) return read;
        }
    }

    [[nodiscard]] std::string manifest() const
    {
        nlohmann::ordered_json json;
        json["program"] = CODEX_POOL_VERSION;
        json["made_at"] = shared::iso_time(inputs_.now);
        return json.dump();
    }

    const BackupInputs& inputs_;
    const shared::Config& config_;
    ProgressBar& progress_;
    std::uint64_t bytes_ = 0;
    std::size_t pieces_ = 0;
};

int complain(const Problem& problem, std::ostream& err)
{
    err << "codex-pool: " << problem.text() << '\n';
    return 1;
}

} // namespace

int run_backup(
    const shared::ProviderRegistry& registry,
    const BackupInputs& inputs,
    std::ostream& out,
    std::ostream& err)
{
    const shared::ConfigLoad load = shared::load_config(
        registry, inputs.flags, inputs.environment, inputs.working_directory, inputs.cores);
    for (const Problem& problem : load.problems)
        err << "codex-pool: " << problem.text() << '\n';
    if (!load.config) return 1;
    const auto passphrase = passphrase_for_backup(inputs);
    if (!passphrase) return complain(passphrase.error(), err);
    ProgressBar progress(err, inputs.shows_progress);
    Backup backup(inputs, *load.config, progress);
    if (auto made = backup.run(*passphrase); !made) return complain(made.error(), err);
    const bool sealed = !passphrase->empty();
    if (inputs.json) {
        nlohmann::ordered_json json;
        json["file"] = inputs.options.file.string();
        json["bytes"] = backup.bytes();
        json["files"] = backup.pieces();
        json["encrypted"] = sealed;
        out << json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
        return 0;
    }
    out << fmt::format(
        "{}: {} files, {} KiB, checked, {}\n",
        shared::printable(inputs.options.file.string()),
        backup.pieces(),
        (backup.bytes() + 1023) / 1024,
        sealed ? "encrypted" : "not encrypted");
    if (!sealed)
        err << "warning: it holds credentials that anybody can read who has the file; --encrypt "
               "asks for a "
               "passphrase\n";
    return 0;
}

} // namespace supervisor::shell
