#include "supervisor/notify.hpp"

#include "supervisor/owned_fd.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <sys/socket.h>
#include <sys/un.h>

namespace supervisor {

Notifier::Notifier(std::string_view socket_name) : socket_name_(socket_name) {}

void Notifier::send(std::string_view state) const
{
    sockaddr_un address{};
    if (socket_name_.empty() || socket_name_.size() >= sizeof(address.sun_path)) return;
    address.sun_family = AF_UNIX;
    std::copy(socket_name_.begin(), socket_name_.end(), address.sun_path);
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_name_.size());
    const OwnedFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return;
    (void)sendto(
        fd.get(),
        state.data(),
        state.size(),
        MSG_NOSIGNAL,
        reinterpret_cast<const sockaddr*>(&address),
        size);
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
