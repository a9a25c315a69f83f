#include "supervisor/fd_store.hpp"

#include <charconv>
#include <cstdlib>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace supervisor {
namespace {

constexpr int kFirstPassed = 3; // SD_LISTEN_FDS_START
constexpr int kPassedMax = 512;

/// The variable's value; it is gone then.
std::string take_variable(const char* name)
{
    const char* value = std::getenv(name);
    std::string text = value == nullptr ? "" : value;
    (void)unsetenv(name);
    return text;
}

int number_of(const std::string& text)
{
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() ? number : 0;
}

int socket_option(int fd, int name) noexcept
{
    int value = 0;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

} // namespace

std::vector<NamedFd> take_passed_descriptors()
{
    const int for_pid = number_of(take_variable("LISTEN_PID"));
    const int count = number_of(take_variable("LISTEN_FDS"));
    std::string names = take_variable("LISTEN_FDNAMES");
    std::vector<NamedFd> passed;
    if (for_pid != getpid() || count <= 0 || count > kPassedMax) return passed;
    for (int fd = kFirstPassed; fd < kFirstPassed + count; ++fd) {
        const std::size_t end = names.find(':');
        NamedFd each;
        each.name = names.substr(0, end);
        names.erase(0, end == std::string::npos ? end : end + 1);
        const int flags = fcntl(fd, F_GETFD);
        if (flags < 0) continue;
        (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
        each.fd = OwnedFd(fd);
        passed.push_back(std::move(each));
    }
    return passed;
}

bool is_tcp_listener(int fd) noexcept
{
    const int domain = socket_option(fd, SO_DOMAIN);
    return (domain == AF_INET || domain == AF_INET6) && socket_option(fd, SO_ACCEPTCONN) == 1 &&
           socket_option(fd, SO_TYPE) == SOCK_STREAM;
}

} // namespace supervisor
