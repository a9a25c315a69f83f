/// run_restore(): the whole file is checked, then staged beside the places, then everything is swapped.
#include "shared/base/read_file.hpp"
#include "shared/config/config_keys.hpp"
#include "supervisor/data_folder.hpp"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <map>
#include <ostream>
#include <set>

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/shell/backup.hpp"
#include "supervisor/shell/backup_file.hpp"
#include "supervisor/shell/backup_passphrase.hpp"
#include "supervisor/shell/backup_pieces.hpp"
#include "supervisor/shell/database_copy.hpp"
#include "supervisor/shell/progress.hpp"
#include "supervisor/shell/restore_swap.hpp"

namespace supervisor::shell {
namespace {

namespace fs = std::filesystem;
using shared::Problem;
using shared::Result;

constexpr const char* kStaged = ".restoring";
constexpr std::size_t kConfigBytesMax = std::size_t{1} << 20U;

/// Removes what was staged and not put into its place.
class Staging {
public:
    Staging() = default;
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;

    ~Staging()
    {
        std::error_code ignored;
        for (const fs::path& path : paths_)
            fs::remove_all(path, ignored);
    }

    /// Where the new one of `place` is made; what an earlier try left there is removed.
    fs::path add(const fs::path& place)
    {
        fs::path staged = place.string() + kStaged;
        std::error_code ignored;
        fs::remove_all(staged, ignored);
        paths_.push_back(staged);
        return staged;
    }

private:
    std::vector<fs::path> paths_;
};

/// Who gets the files: whoever has the folder they go to, when root restores for the service's user.
struct Owner {
    uid_t uid = 0;
    gid_t gid = 0;
};

Owner owner_of(fs::path folder)
{
    struct stat status {};

    while (::stat(folder.c_str(), &status) != 0 && folder.has_relative_path())
        folder = folder.parent_path();
    return {status.st_uid, status.st_gid};
}

/// One run of `restore`.
class Restore {
public:
    Restore(
        const shared::ProviderRegistry& registry, const BackupInputs& inputs, ProgressBar& progress)
        : registry_(registry), inputs_(inputs), progress_(progress)
    {}

    Result<void> run()
    {
        if (auto whole = look_through(); !whole || inputs_.options.check) return whole;
        if (auto known = find_places(); !known) return known;
        owner_ = owner_of(config_.db_path.parent_path());
        auto lock = supervisor::lock_data_folder(config_.db_path.parent_path());
        if (!lock) return lock.error();
        give(config_.db_path.parent_path());
        give(config_.db_path.parent_path() / "lock");
        if (auto staged = stage(); !staged) return staged;
        if (auto whole = check_staged_database(); !whole) return whole;
        return put_into_place();
    }

    [[nodiscard]] const std::set<std::string>& pieces() const { return pieces_; }

    [[nodiscard]] const std::string& made_at() const { return made_at_; }

    [[nodiscard]] const std::vector<fs::path>& kept() const { return kept_; }

private:
    Result<BackupReader> open()
    {
        const auto sealed = is_sealed_backup(inputs_.options.file);
        if (!sealed) return sealed.error();
        if (!passphrase_) {
            auto given = passphrase_for_restore(inputs_, *sealed);
            if (!given) return given.error();
            passphrase_ = std::move(*given);
        }
        return BackupReader::open(inputs_.options.file, *passphrase_);
    }

    /// Every byte is checked, and every piece known, before anything is touched.
    Result<void> look_through()
    {
        auto reader = open();
        if (!reader) return reader.error();
        for (;;) {
            auto piece = reader->next();
            if (!piece) return piece.error();
            if (!*piece) break;
            const std::string& name = (*piece)->name;
            if (const auto place = place_of(name, config_); !place) return place.error();
            if (!pieces_.insert(name).second)
                return Problem{
                    inputs_.options.file.string(),
                    "holds " + name + " twice",
                    "use another backup"};
            const bool small = name == kConfigPiece || name == kManifestPiece;
            if (small && (*piece)->size > kConfigBytesMax)
                return Problem{
                    inputs_.options.file.string(), "has too large a " + name, "use another backup"};
            std::string text;
            auto read = reader->read(**piece, [&](std::string_view bytes) -> Result<void> {
                if (small) text += bytes;
                progress_.at("checking", reader->position(), reader->size());
                return {};
            });
            if (!read) return read;
            if (name == kConfigPiece) config_text_ = std::move(text);
            if (name == kManifestPiece) read_manifest(text);
        }
        if (pieces_.contains(std::string(kManifestPiece))) return {};
        return Problem{
            inputs_.options.file.string(), "says nothing about itself", "use another backup"};
    }

    void read_manifest(const std::string& text)
    {
        const auto json = nlohmann::json::parse(text, nullptr, false);
        if (json.is_object() && json.contains("made_at") && json["made_at"].is_string())
            made_at_ = shared::printable(json["made_at"].get<std::string>());
    }

    /// The restored settings say where things are; a file of them that differs is kept beside like all others.
    Result<void> find_places()
    {
        shared::ConfigFlags flags = inputs_.flags;
        fs::path place = config_place();
        if (config_text_) {
            const auto now = shared::read_file(place, kConfigBytesMax, "configuration");
            if (now && !now->missing && now->bytes == *config_text_) config_text_.reset();
        }
        if (config_text_) {
            const fs::path staged = staging_.add(place);
            if (auto written = write_file(staged, *config_text_); !written) return written;
            flags.config_path =
                staged.string(); // in the same folder, so that its paths mean the same
            if (struct stat before{}; ::stat(place.c_str(), &before) == 0) {
                (void)::chmod(staged.c_str(), before.st_mode & 07777U);
                if (::geteuid() == 0) (void)!::chown(staged.c_str(), before.st_uid, before.st_gid);
            }
            swap_.add(place, staged);
        }
        shared::ConfigLoad load = shared::load_config(
            registry_, flags, inputs_.environment, inputs_.working_directory, inputs_.cores);
        if (!load.config) {
            Problem problem = load.problems.empty() ? Problem{} : load.problems.front();
            problem.remedy +=
                (problem.remedy.empty() ? "" : "; ") + std::string("nothing was changed");
            return problem;
        }
        config_ = std::move(*load.config);
        return {};
    }

    /// Where `run` would look for it.
    [[nodiscard]] fs::path config_place() const
    {
        fs::path place = std::string(shared::kConfigFileName);
        const auto variable = inputs_.environment.find(shared::kConfigPathVariable);
        if (variable != inputs_.environment.end() && !variable->second.empty())
            place = variable->second;
        if (inputs_.flags.config_path) place = *inputs_.flags.config_path;
        return inputs_.working_directory / place;
    }

    Result<void> stage()
    {
        auto reader = open();
        if (!reader) return reader.error();
        const fs::path new_pool = staging_.add(config_.pool_dir);
        if (auto made = make_folder(new_pool); !made) return made;
        for (;;) {
            auto piece = reader->next();
            if (!piece) return piece.error();
            if (!*piece) break;
            const std::string& name = (*piece)->name;
            const auto place = place_of(name, config_);
            if (!place) return place.error();
            fs::path staged;
            if (name == kManifestPiece || name == kConfigPiece) {
                staged.clear(); // done already
            } else if (name.starts_with(kPoolPrefix)) {
                staged = new_pool / name.substr(kPoolPrefix.size());
            } else {
                staged = staging_.add(**place);
                staged_[name] = staged;
            }
            if (auto read = write_piece(*reader, **piece, staged); !read) return read;
        }
        staged_[std::string(kPoolPrefix)] = new_pool;
        return {};
    }

    Result<void> write_piece(BackupReader& reader, const Piece& piece, const fs::path& to)
    {
        supervisor::OwnedFd file;
        if (!to.empty()) {
            if (auto made = make_folder(to.parent_path()); !made) return made;
            file = supervisor::OwnedFd(
                ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
            if (!file) return cannot_write(to);
        }
        auto read = reader.read(piece, [&](std::string_view bytes) -> Result<void> {
            progress_.at("writing", reader.position(), reader.size());
            while (file && !bytes.empty()) {
                const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
                if (written < 0 && errno == EINTR) continue;
                if (written <= 0) return cannot_write(to);
                bytes.remove_prefix(static_cast<std::size_t>(written));
            }
            return {};
        });
        if (!read) return read;
        if (file && ::fsync(file.get()) != 0) return cannot_write(to);
        give(to);
        return {};
    }

    Result<void> write_file(const fs::path& to, std::string_view bytes)
    {
        const supervisor::OwnedFd file(
            ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!file ||
            ::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
            return cannot_write(to);
        return {};
    }

    static Problem cannot_write(const fs::path& to)
    {
        return {
            to.string(),
            std::string("cannot be written: ") + std::strerror(errno),
            "nothing was changed; make room, or run this as a user who may write there"};
    }

    Result<void> make_folder(const fs::path& folder)
    {
        std::error_code error;
        if (folder.empty() || fs::is_directory(folder, error)) return {};
        if (auto parent = make_folder(folder.parent_path()); !parent) return parent;
        if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return cannot_write(folder);
        give(folder);
        return {};
    }

    /// To the user of the pool, when root restores.
    void give(const fs::path& path) const
    {
        if (!path.empty() && ::geteuid() == 0)
            (void)!::lchown(path.c_str(), owner_.uid, owner_.gid);
    }

    Result<void> check_staged_database()
    {
        const auto found = staged_.find(std::string(kDatabasePiece));
        if (found == staged_.end()) return {};
        return check_database(found->second);
    }

    /// What the backup does not hold goes aside as well: afterwards the pool is what it was then.
    Result<void> put_into_place()
    {
        for (const char* name :
             {"users.json", "jwt_secret", "account_settings.json", "pins.bin", "database"}) {
            const auto place = place_of(name, config_);
            const auto staged = staged_.find(name);
            swap_.add(**place, staged == staged_.end() ? fs::path() : staged->second);
        }
        // The old database's log goes with it, under the name that belongs to its new one.
        const std::string database = config_.db_path.string();
        for (const char* log : {"-wal", "-shm"})
            swap_.add(database + log, {}, database + suffix_ + log);
        swap_.add(config_.pool_dir, staged_[std::string(kPoolPrefix)]);
        if (auto swapped = swap_.run(); !swapped) return swapped;
        kept_ = swap_.kept();
        return {};
    }

    static std::string suffix(shared::UnixMillis now)
    {
        const std::time_t seconds = now.value / 1000;
        std::tm parts{};
        ::gmtime_r(&seconds, &parts);
        return fmt::format(".before-restore-{:%Y%m%dT%H%M%SZ}", parts);
    }

    const shared::ProviderRegistry& registry_;
    const BackupInputs& inputs_;
    ProgressBar& progress_;
    std::string suffix_ = suffix(inputs_.now);
    Swap swap_{suffix_};
    Staging staging_;
    std::optional<shared::Secret> passphrase_;
    std::set<std::string> pieces_;
    std::string made_at_;
    std::optional<std::string> config_text_; ///< of the backup, if it is another than that of now
    shared::Config config_;
    Owner owner_;
    std::map<std::string, fs::path> staged_; ///< by piece; all credential files as kPoolPrefix
    std::vector<fs::path> kept_;
};

std::string report_json(const Restore& restore, const BackupInputs& inputs)
{
    using Json = nlohmann::ordered_json;
    Json json;
    json["file"] = inputs.options.file.string();
    json["made_at"] = restore.made_at();
    json["restored"] = !inputs.options.check;
    json["files"] = restore.pieces();
    json["kept"] = Json::array();
    for (const fs::path& path : restore.kept())
        json["kept"].push_back(path.string());
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

std::string report_text(const Restore& restore, const BackupInputs& inputs)
{
    const std::string file = shared::printable(inputs.options.file.string());
    const std::size_t files = restore.pieces().size() - 1; // without the manifest
    if (inputs.options.check)
        return fmt::format("{}: whole, made {}, {} files\n", file, restore.made_at(), files);
    std::string text =
        fmt::format("{} files restored as they were {}.\n", files, restore.made_at());
    for (const fs::path& path : restore.kept())
        text += "kept: " + shared::printable(path.string()) + '\n';
    return text + "The pool can be started now.\n";
}

} // namespace

int run_restore(
    const shared::ProviderRegistry& registry,
    const BackupInputs& inputs,
    std::ostream& out,
    std::ostream& err)
{
    ProgressBar progress(err, inputs.shows_progress);
    Restore restore(registry, inputs, progress);
    if (auto done = restore.run(); !done) {
        err << "codex-pool: " << shared::printable(done.error().text()) << '\n';
        return 1;
    }
    out << (inputs.json ? report_json(restore, inputs) : report_text(restore, inputs));
    return 0;
}

} // namespace supervisor::shell
