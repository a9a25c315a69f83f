/// Permissions, room and speed of the disk.
#include "shared/base/read_file.hpp"
#include "supervisor/owned_fd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "supervisor/shell/doctor_checks.hpp"

namespace supervisor::shell {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMiB = 1U << 20U;
constexpr std::uint64_t kRoomNeeded = 100 * kMiB;
constexpr std::uint64_t kRoomWanted = 1024 * kMiB;
constexpr std::uint64_t kFilesWanted = 1000;
constexpr int kSyncs = 5;
constexpr std::int64_t kSlowMs = 100;
constexpr std::int64_t kTooSlowMs = 1000;

std::string user_name(uid_t uid)
{
    const passwd* entry = ::getpwuid(uid);
    return entry != nullptr ? entry->pw_name : "user " + std::to_string(uid);
}

/// Looks at what must belong to the pool's user alone.
class Permissions {
public:
    explicit Permissions(uid_t owner) : owner_(owner) {}

    void folder(const fs::path& path, const char* what) { look(path, what, true); }

    void file(const fs::path& path, const char* what) { look(path, what, false); }

    Findings take()
    {
        if (findings_.empty())
            findings_.push_back(
                {"permissions",
                 Grade::good,
                 fmt::format("{} paths belong to {} alone", looked_at_, user_name(owner_)),
                 ""});
        return std::move(findings_);
    }

private:
    void look(const fs::path& path, const char* what, bool folder)
    {
        if (!seen_.insert(path).second) return;

        struct stat status {};

        if (::lstat(path.c_str(), &status) != 0) {
            if (errno != ENOENT)
                add(path, what, std::strerror(errno), "run this as the user of the pool");
            return;
        }
        ++looked_at_;
        const std::string quoted = shared::shell_quoted(path.string());
        if (S_ISLNK(status.st_mode)) return; // what it leads to is somebody's own choice
        if (folder != S_ISDIR(status.st_mode)) {
            add(path, what, folder ? "is no folder" : "is no file", "move it away");
            return;
        }
        if (status.st_uid != owner_)
            add(path,
                what,
                "belongs to " + user_name(status.st_uid) + ", not to " + user_name(owner_),
                "chown " + user_name(owner_) + ": " + quoted);
        if ((status.st_mode & 077U) != 0)
            add(path,
                what,
                fmt::format("can be reached by others (mode {:04o})", status.st_mode & 07777U),
                fmt::format("chmod {} {}", folder ? "700" : "600", quoted));
        else if ((status.st_mode & 0600U) != 0600U)
            add(path,
                what,
                fmt::format(
                    "cannot be written by its owner (mode {:04o})", status.st_mode & 07777U),
                fmt::format("chmod {} {}", folder ? "700" : "600", quoted));
    }

    void
    add(const fs::path& path, const char* what, const std::string& is, const std::string& remedy)
    {
        findings_.push_back(
            {"permissions", Grade::bad, fmt::format("{} {} {}", what, path.string(), is), remedy});
    }

    uid_t owner_;
    std::set<fs::path> seen_; ///< the users' folder often is the data folder
    std::size_t looked_at_ = 0;
    Findings findings_;
};

/// Who runs the pool: whose database it is, else whoever asks.
uid_t owner_of(const fs::path& folder)
{
    struct stat status {};

    return ::stat(folder.c_str(), &status) == 0 ? status.st_uid : ::geteuid();
}

fs::path nearest_existing(fs::path path)
{
    std::error_code ignored;
    while (!fs::exists(path, ignored) && path.has_relative_path())
        path = path.parent_path();
    return path;
}

} // namespace

Findings check_permissions(const shared::Config& config)
{
    const fs::path data = config.db_path.parent_path();
    Permissions permissions(owner_of(data));
    permissions.folder(data, "the data folder");
    permissions.folder(config.pool_dir, "the pool folder");
    permissions.folder(config.users_path.parent_path(), "the users' folder");
    permissions.file(config.db_path, "the database");
    permissions.file(config.users_path, "the users file");
    permissions.file(config.users_path.parent_path() / "jwt_secret", "the signing key");
    permissions.file(data / "account_settings.json", "the account settings");
    permissions.file(data / "pins.bin", "the saved pins");
    std::error_code error;
    for (fs::recursive_directory_iterator i(config.pool_dir, error), end; !error && i != end;
         i.increment(error)) {
        if (i->path().extension() == ".json" && !i->is_directory(error))
            permissions.file(i->path(), "the credential file");
    }
    return permissions.take();
}

Findings check_disk(const shared::Config& config)
{
    const fs::path folder = nearest_existing(config.db_path.parent_path());

    struct statvfs room {};

    if (::statvfs(folder.c_str(), &room) != 0)
        return {
            {"disk",
             Grade::bad,
             folder.string() + ": " + std::strerror(errno),
             "look at the path"}};
    const std::uint64_t bytes = std::uint64_t{room.f_bavail} * room.f_frsize;
    const std::string text = fmt::format("{} MiB free in {}", bytes / kMiB, folder.string());
    if ((room.f_flag & ST_RDONLY) != 0)
        return {{"disk", Grade::bad, folder.string() + " is read-only", "mount it writable"}};
    if (bytes < kRoomNeeded)
        return {
            {"disk",
             Grade::bad,
             text,
             "make room: usage is kept in memory only when the disk is full"}};
    if (room.f_files > 0 && room.f_favail < kFilesWanted)
        return {
            {"disk",
             Grade::bad,
             fmt::format("{} files more can be made in {}", room.f_favail, folder.string()),
             "remove files"}};
    if (bytes < kRoomWanted) return {{"disk", Grade::warn, text, "make room before it is full"}};
    return {{"disk", Grade::good, text, ""}};
}

Findings check_fsync(const shared::Config& config)
{
    const fs::path folder = nearest_existing(config.db_path.parent_path());
    std::string name = (folder / ".doctor-XXXXXX").string();
    const supervisor::OwnedFd file(::mkostemp(name.data(), O_CLOEXEC));
    if (!file)
        return {
            {"disk",
             Grade::bad,
             "cannot write in " + folder.string() + ": " + std::strerror(errno),
             "run this as the user of the pool, or make the folder writable for it"}};
    (void)::unlink(name.c_str());
    const std::array<char, 4096> page{};
    std::vector<std::int64_t> times;
    for (int i = 0; i < kSyncs; ++i) {
        const auto begun = std::chrono::steady_clock::now();
        if (::pwrite(file.get(), page.data(), page.size(), i * 4096) < 0 ||
            ::fsync(file.get()) != 0)
            return {
                {"disk",
                 Grade::bad,
                 std::string("fsync: ") + std::strerror(errno),
                 "look at the disk"}};
        times.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::steady_clock::now() - begun)
                            .count());
    }
    std::sort(times.begin(), times.end());
    const std::int64_t median = times[times.size() / 2];
    const std::string text =
        fmt::format("fsync takes {} ms (the longest of {}: {} ms)", median, kSyncs, times.back());
    if (median >= kTooSlowMs)
        return {
            {"disk", Grade::bad, text, "move db_path to another disk: token renewals wait for it"}};
    if (median >= kSlowMs) return {{"disk", Grade::warn, text, "a faster disk for db_path helps"}};
    return {{"disk", Grade::good, text, ""}};
}

} // namespace supervisor::shell
