#include "supervisor/control_socket.hpp"

#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace supervisor {
namespace {

using shared::Problem;
using shared::Result;

constexpr int kBacklog = 64;

Problem problem(const std::filesystem::path& path, const std::string& what, std::string remedy)
{
    return {path.string(), what, std::move(remedy)};
}

Problem system_problem(const std::filesystem::path& path, const char* what)
{
    return problem(
        path,
        std::string(what) + ": " + std::strerror(errno),
        "make the data folder writable for this user, or set another db_path");
}

} // namespace

Result<ControlAddress> control_address(const std::filesystem::path& folder)
{
    const std::filesystem::path path = folder / kControlSocketName;
    ControlAddress made;
    made.address.sun_family = AF_UNIX;
    std::string text = path.string();
    if (text.size() >= sizeof(made.address.sun_path)) {
        made.folder = OwnedFd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!made.folder) return system_problem(folder, "cannot open the data folder");
        text = "/proc/self/fd/" + std::to_string(made.folder.get()) + '/' + kControlSocketName;
    }
    std::memcpy(made.address.sun_path, text.c_str(), text.size() + 1);
    made.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + 1);
    return made;
}

Result<ControlSocket> ControlSocket::open(const std::filesystem::path& folder)
{
    const std::filesystem::path path = folder / kControlSocketName;

    struct stat status {};

    if (::lstat(path.c_str(), &status) == 0) {
        if (!S_ISSOCK(status.st_mode))
            return problem(path, "is in the way: it is no socket", "move it away");
        if (::unlink(path.c_str()) != 0)
            return system_problem(path, "cannot replace the old socket");
    }
    auto where = control_address(folder);
    if (!where) return where.error();
    ControlSocket made;
    made.socket_ = OwnedFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!made.socket_) return system_problem(path, "cannot make a socket");
    // Nobody else may connect, from the first moment the file is there.
    const mode_t before = ::umask(0177);
    const int bound =
        ::bind(made.socket_.get(), reinterpret_cast<const sockaddr*>(&where->address), where->size);
    const int reason = errno;
    ::umask(before);
    if (bound != 0) {
        errno = reason;
        return system_problem(path, "cannot make the socket");
    }
    made.path_ = path;
    if (::listen(made.socket_.get(), kBacklog) != 0) return system_problem(path, "cannot listen");
    return made;
}

ControlSocket ControlSocket::adopt(int fd, const std::filesystem::path& folder)
{
    ControlSocket made;
    made.socket_ = OwnedFd(fd);
    made.path_ = folder / kControlSocketName;
    return made;
}

ControlSocket::~ControlSocket()
{
    if (socket_ && !path_.empty()) ::unlink(path_.c_str());
}

} // namespace supervisor
