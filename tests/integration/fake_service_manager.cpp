#include "tests/integration/fake_service_manager.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace tests {
namespace {

std::string value_of(const std::string& message, const std::string& name)
{
    const std::size_t at = ("\n" + message).find("\n" + name + "=");
    if (at == std::string::npos) return "";
    const std::size_t begin = at + name.size() + 1;
    return message.substr(begin, message.find('\n', begin) - begin);
}

/// systemd keeps a descriptor once.
bool same_file(int a, int b)
{
    struct stat one {};

    struct stat other {};

    return ::fstat(a, &one) == 0 && ::fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

} // namespace

FakeServiceManager::FakeServiceManager(const std::filesystem::path& path)
{
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    if (::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        std::abort();
    thread_ = std::thread([this] { listen(); });
}

FakeServiceManager::~FakeServiceManager()
{
    stopping_ = true;
    thread_.join();
    ::close(socket_);
    for (const PassedFd& each : kept_)
        ::close(each.fd);
}

void FakeServiceManager::listen()
{
    while (!stopping_) {
        pollfd waiting{socket_, POLLIN, 0};
        if (::poll(&waiting, 1, 50) <= 0) continue;
        std::array<char, 4096> text{};
        iovec piece{text.data(), text.size()};
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
        msghdr message{};
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t got = ::recvmsg(socket_, &message, MSG_CMSG_CLOEXEC);
        if (got <= 0) continue;
        int fd = -1;
        const cmsghdr* rights = CMSG_FIRSTHDR(&message);
        if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS)
            std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
        take(std::string(text.data(), static_cast<std::size_t>(got)), fd);
    }
}

void FakeServiceManager::take(const std::string& message, int fd)
{
    const std::lock_guard lock(mutex_);
    const std::string name = value_of(message, "FDNAME");
    if (value_of(message, "READY") == "1") ++ready_;
    if (value_of(message, "FDSTOREREMOVE") == "1") {
        for (const PassedFd& each : kept_)
            if (each.name == name) ::close(each.fd);
        std::erase_if(kept_, [&](const PassedFd& each) { return each.name == name; });
    }
    const bool known = std::any_of(kept_.begin(), kept_.end(), [&](const PassedFd& each) {
        return fd >= 0 && same_file(each.fd, fd);
    });
    if (value_of(message, "FDSTORE") == "1" && fd >= 0 && !known)
        kept_.push_back({name, fd});
    else if (fd >= 0)
        ::close(fd);
}

std::vector<PassedFd> FakeServiceManager::kept() const
{
    const std::lock_guard lock(mutex_);
    return kept_;
}

std::size_t FakeServiceManager::count(const std::string& name) const
{
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::count_if(
        kept_.begin(), kept_.end(), [&](const PassedFd& each) { return each.name == name; }));
}

} // namespace tests
