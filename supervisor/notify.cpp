#include "supervisor/notify.hpp"

#include "supervisor/owned_fd.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include <sys/socket.h>
#include <sys/un.h>

namespace supervisor {

Notifier::Notifier(std::string_view socket_name) : socket_name_(socket_name) {}

void Notifier::send(std::string_view state) const
{
    send(state, -1);
}

void Notifier::send(std::string_view state, int fd) const
{
    sockaddr_un address{};
    if (socket_name_.empty() || socket_name_.size() >= sizeof(address.sun_path)) return;
    address.sun_family = AF_UNIX;
    std::copy(socket_name_.begin(), socket_name_.end(), address.sun_path);
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
    const OwnedFd own(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!own) return;
    iovec text{const_cast<char*>(state.data()), state.size()};
    msghdr message{};
    message.msg_name = &address;
    message.msg_namelen =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_name_.size());
    message.msg_iov = &text;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    if (fd >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(rights), &fd, sizeof(int));
    }
    (void)sendmsg(own.get(), &message, MSG_NOSIGNAL);
}

void Notifier::store(int fd, std::string_view name) const
{
    send("FDSTORE=1\nFDNAME=" + std::string(name), fd);
}

void Notifier::forget(std::string_view name) const
{
    send("FDSTOREREMOVE=1\nFDNAME=" + std::string(name));
}

void Notifier::stopping(unsigned long long seconds) const
{
    send("STOPPING=1\nEXTEND_TIMEOUT_USEC=" + std::to_string(seconds * 1'000'000));
}

void Notifier::reloading(long long monotonic_us) const
{
    send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_us));
}

} // namespace supervisor
