#include "refresher/token_store.hpp"

#include "refresher/fault_point.hpp"
#include "shared/base/read_file.hpp"

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace refresher {
namespace {

using shared::Problem;
using shared::Result;

Problem problem(const std::filesystem::path& where, const std::string& what, int reason = errno)
{
    return {
        shared::printable(where.string()),
        what + ": " + std::strerror(reason),
        "give the file and its folder to the user that runs codex-pool, and make room on the disk"};
}

bool write_all(int fd, std::string_view text)
{
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

bool sync_path(const std::filesystem::path& path, int flags)
{
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
    const bool done = fd >= 0 && ::fsync(fd) == 0;
    const int reason = errno;
    if (fd >= 0) ::close(fd);
    errno = reason;
    return done;
}

} // namespace

Result<void> sync_file(const std::filesystem::path& file)
{
    std::error_code error;
    const std::filesystem::path target = std::filesystem::canonical(file, error);
    if (error) return problem(file, "the credential file cannot be found", error.value());
    if (!sync_path(target, 0) || !sync_path(target.parent_path(), O_DIRECTORY))
        return problem(target, "the credential file cannot be brought to the disk");
    return {};
}

Result<FileReplacement>
FileReplacement::prepare(const std::filesystem::path& file, std::size_t bytes_max)
{
    std::error_code error;
    FileReplacement made;
    made.target_ = std::filesystem::canonical(file, error);
    if (error) return problem(file, "the credential file cannot be found", error.value());
    struct stat old = {};
    if (::stat(made.target_.c_str(), &old) != 0)
        return problem(made.target_, "the credential file cannot be looked at");
    // Hidden, and not "*.json": nobody takes it for a credential. What a killed predecessor left gives way.
    made.temporary_ =
        made.target_.parent_path() / ("." + made.target_.filename().string() + ".codex-pool-new");
    (void)::unlink(made.temporary_.c_str());
    made.fd_ =
        ::open(made.temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (made.fd_ < 0)
        return problem(
            made.target_.parent_path(), "no file can be made beside the credential file");
    (void)::fchmod(made.fd_, 0600);
    if (old.st_uid != ::geteuid() || old.st_gid != ::getegid())
        (void)!::fchown(made.fd_, old.st_uid, old.st_gid);
    const int failed = ::fallocate(made.fd_, 0, 0, static_cast<off_t>(bytes_max));
    if (failed != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return problem(made.target_, "there is no room for a new credential file");
    return made;
}

FileReplacement::FileReplacement(FileReplacement&& other) noexcept
    : target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::exchange(other.fd_, -1))
{}

FileReplacement::~FileReplacement()
{
    if (fd_ >= 0) ::close(fd_);
    if (!temporary_.empty()) (void)::unlink(temporary_.c_str());
}

Result<void> FileReplacement::commit(std::string_view text)
{
    if (!write_all(fd_, text) || ::ftruncate(fd_, static_cast<off_t>(text.size())) != 0)
        return problem(target_, "the new credential file cannot be written");
    fault_point("file_written");
    if (::fsync(fd_) != 0)
        return problem(target_, "the new credential file cannot be brought to the disk");
    fault_point("file_synced");
    if (::rename(temporary_.c_str(), target_.c_str()) != 0)
        return problem(target_, "the new credential file cannot take the old one's place");
    temporary_.clear();
    fault_point("file_renamed");
    if (!sync_path(target_.parent_path(), O_DIRECTORY))
        return problem(target_.parent_path(), "the folder cannot be brought to the disk");
    fault_point("folder_synced");
    return {};
}

} // namespace refresher
