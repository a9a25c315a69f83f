#include "shared/base/write_file.hpp"

#include "shared/base/read_file.hpp"

#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace shared {
namespace {

Problem system_problem(const std::filesystem::path& file, const char* what, int reason)
{
    return {
        printable(file.string()),
        std::string(what) + ": " + std::strerror(reason),
        "free some disk space and make the folder writable for the user that runs codex-pool"};
}

/// Writes all of `bytes`, flushes and closes. 0 or the errno.
int write_and_close(int fd, std::string_view bytes)
{
    int reason = 0;
    while (!bytes.empty() && reason == 0) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno != EINTR) {
            reason = errno;
        }
    }
    if (reason == 0 && ::fsync(fd) != 0) reason = errno;
    if (::close(fd) != 0 && reason == 0) reason = errno;
    return reason;
}

/// 0 or the errno.
int sync_folder(const std::filesystem::path& folder)
{
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    const int reason = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    return reason;
}

std::filesystem::path folder_of(const std::filesystem::path& file)
{
    return file.has_parent_path() ? file.parent_path() : ".";
}

/// One name per file, so that what a killed writer left behind is written over by the next.
std::filesystem::path temporary_of(const std::filesystem::path& file)
{
    return file.string() + ".tmp";
}

/// The temporary file with everything in it, on the disk.
Result<void> write_temporary(const std::filesystem::path& temporary, std::string_view bytes)
{
    const int fd =
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return system_problem(temporary, "cannot be made", errno);
    if (const int reason = write_and_close(fd, bytes); reason != 0) {
        ::unlink(temporary.c_str());
        return system_problem(temporary, "cannot be written", reason);
    }
    return {};
}

} // namespace

Result<void> replace_file(const std::filesystem::path& file, std::string_view bytes)
{
    const std::filesystem::path temporary = temporary_of(file);
    if (auto written = write_temporary(temporary, bytes); !written) return written.error();
    if (::rename(temporary.c_str(), file.c_str()) != 0) {
        const int reason = errno;
        ::unlink(temporary.c_str());
        return system_problem(file, "cannot be replaced", reason);
    }
    if (const int reason = sync_folder(folder_of(file)); reason != 0)
        return system_problem(folder_of(file), "cannot be brought to the disk", reason);
    return {};
}

Result<void> create_file(const std::filesystem::path& file, std::string_view bytes)
{
    const std::filesystem::path temporary = temporary_of(file);
    if (auto written = write_temporary(temporary, bytes); !written) return written.error();
    // Unlike rename() it takes nobody's place.
    const int reason = ::link(temporary.c_str(), file.c_str()) == 0 ? 0 : errno;
    ::unlink(temporary.c_str());
    if (reason != 0) return system_problem(file, "cannot be made", reason);
    if (const int unsynced = sync_folder(folder_of(file)); unsynced != 0)
        return system_problem(folder_of(file), "cannot be brought to the disk", unsynced);
    return {};
}

} // namespace shared
