#include "supervisor/data_folder.hpp"

#include "supervisor/database_file.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace supervisor {
namespace {

using shared::Problem;

std::string owner_text(int fd)
{
    std::array<char, 16> digits{};
    const ssize_t got = pread(fd, digits.data(), digits.size() - 1, 0);
    std::string pid;
    for (ssize_t i = 0; i < got && digits[i] >= '0' && digits[i] <= '9'; ++i)
        pid += digits[i];
    return pid.empty() ? "another codex-pool" : "another codex-pool (pid " + pid + ")";
}

} // namespace

shared::Result<OwnedFd> lock_data_folder(const std::filesystem::path& folder)
{
    if (auto created = create_private_folder(folder); !created) return created.error();
    const std::filesystem::path path = folder / "lock";
    OwnedFd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) {
        return Problem{
            path.string(),
            std::string("cannot write in the data folder: ") + std::strerror(errno),
            "make it writable for this user, or set another db_path"};
    }
    if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return Problem{
                folder.string(),
                owner_text(file.get()) + " works in this folder",
                "end that one, or set another db_path"};
        }
        return Problem{path.string(), std::string("cannot lock: ") + std::strerror(errno), ""};
    }
    const std::string pid = std::to_string(getpid()) + "\n";
    // Only a help for people; the lock itself is what counts, so a full disk does not matter.
    if (ftruncate(file.get(), 0) != 0 || pwrite(file.get(), pid.data(), pid.size(), 0) < 0) {
        errno = 0;
    }
    return file;
}

} // namespace supervisor
