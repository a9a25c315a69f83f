#include "supervisor/listeners.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace supervisor {
namespace {

using shared::ListenAddress;
using shared::Problem;
using shared::Result;

constexpr int kBacklog = 4096;

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;

    [[nodiscard]] const sockaddr* get() const noexcept
    {
        return reinterpret_cast<const sockaddr*>(&storage);
    }

    void set_port(std::uint16_t port) noexcept
    {
        if (storage.ss_family == AF_INET6) {
            reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port = htons(port);
        } else {
            reinterpret_cast<sockaddr_in*>(&storage)->sin_port = htons(port);
        }
    }
};

Result<SocketAddress> parse(const ListenAddress& address)
{
    const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
    SocketAddress result;
    auto* v4 = reinterpret_cast<sockaddr_in*>(&result.storage);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&result.storage);
    if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
        result.storage.ss_family = AF_INET;
        result.size = sizeof(sockaddr_in);
    } else if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
        result.storage.ss_family = AF_INET6;
        result.size = sizeof(sockaddr_in6);
    } else {
        return Problem{
            "listen_addr",
            "\"" + address.host + "\" is not a numeric address",
            "use for example 127.0.0.1:8989"};
    }
    result.set_port(address.port);
    return result;
}

Problem bind_problem(const ListenAddress& address, int reason)
{
    std::string remedy = "look at listen_addr (--listen, PROXY_LISTEN_ADDR)";
    std::string what = std::string("cannot listen: ") + std::strerror(reason);
    if (reason == EADDRINUSE) {
        what = "the port is in use";
        remedy = "end the program that listens there (ss -ltnp shows it) or choose another port"
                 " (--listen, PROXY_LISTEN_ADDR)";
    } else if (reason == EADDRNOTAVAIL) {
        what = "this machine has no such address";
    } else if (reason == EACCES) {
        what = "this user may not listen on that port";
        remedy = "choose a port above 1023";
    }
    return {address.text(), std::move(what), std::move(remedy)};
}

/// A bound socket; the errno instead if that fails.
std::pair<OwnedFd, int> bind_socket(const SocketAddress& address, bool share_port)
{
    OwnedFd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return {OwnedFd(), errno};
    const int on = 1;
    // Without REUSEADDR old connections in TIME_WAIT would forbid a restart for a minute.
    (void)setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (share_port && setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) {
        return {OwnedFd(), errno};
    }
    if (bind(fd.get(), address.get(), address.size) != 0) return {OwnedFd(), errno};
    return {std::move(fd), 0};
}

SocketAddress bound_address(int fd)
{
    SocketAddress address;
    address.size = sizeof(address.storage);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size);
    return address;
}

ListenAddress in_words(const SocketAddress& address)
{
    std::array<char, INET6_ADDRSTRLEN> text{};
    ListenAddress out;
    if (address.storage.ss_family == AF_INET6) {
        const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
        out.host = inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
        out.port = ntohs(v6->sin6_port);
    } else {
        const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
        out.host = inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
        out.port = ntohs(v4->sin_port);
    }
    return out;
}

} // namespace

Result<Listeners>
Listeners::open(const ListenAddress& address, std::size_t count, std::vector<OwnedFd> kept)
{
    Listeners listeners;
    listeners.address_ = address;
    auto where = parse(address);
    if (!where) return where.error();
    const ListenAddress wanted = in_words(*where);
    for (OwnedFd& socket : kept) {
        const ListenAddress bound = in_words(bound_address(socket.get()));
        const bool usable =
            bound.host == wanted.host && (bound.port == wanted.port || wanted.port == 0);
        if (!usable || listeners.sockets_.size() == count) continue;
        listeners.address_.port = bound.port;
        where->set_port(bound.port);
        listeners.sockets_.push_back(std::move(socket));
    }
    kept.clear();
    if (address.port != 0 && listeners.sockets_.empty()) {
        // With SO_REUSEPORT a second pool of the same user would silently take half of the connections.
        // A socket without it finds out, and is closed again.
        const auto [probe, reason] = bind_socket(*where, false);
        if (reason != 0) return bind_problem(address, reason);
    }
    while (listeners.sockets_.size() < count) {
        auto [fd, reason] = bind_socket(*where, true);
        if (reason == 0 && listen(fd.get(), kBacklog) != 0) reason = errno;
        if (reason != 0) return bind_problem(listeners.address_, reason);
        if (listeners.sockets_.empty()) {
            listeners.address_.port = in_words(bound_address(fd.get())).port;
            where->set_port(listeners.address_.port);
        }
        listeners.sockets_.push_back(std::move(fd));
    }
    return listeners;
}

Listeners Listeners::given(std::vector<OwnedFd> sockets)
{
    Listeners listeners;
    listeners.address_ = in_words(bound_address(sockets.front().get()));
    listeners.sockets_ = std::move(sockets);
    listeners.given_ = true;
    return listeners;
}

Listeners
Listeners::adopt(const ListenAddress& address, const std::vector<int>& sockets, std::size_t workers)
{
    Listeners listeners;
    listeners.given_ = sockets.size() < workers;
    listeners.address_ = address;
    for (const int fd : sockets)
        listeners.sockets_.emplace_back(fd);
    return listeners;
}

std::vector<int> Listeners::fds() const
{
    std::vector<int> all;
    for (const OwnedFd& socket : sockets_)
        all.push_back(socket.get());
    return all;
}

namespace {

std::string abstract_name(int fd)
{
    sockaddr_un address{};
    socklen_t size = sizeof(address);
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
    const std::size_t name_offset = offsetof(sockaddr_un, sun_path) + 1;
    if (size <= name_offset) return {};
    return {address.sun_path + 1, size - name_offset};
}

} // namespace

Result<UnixListener> open_unix_listener()
{
    const auto failed = [](const char* what) {
        return Problem{
            "admin socket", std::string(what) + ": " + std::strerror(errno), "check system limits"};
    };
    UnixListener listener;
    listener.socket = OwnedFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener.socket) return failed("socket");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    // An address of only the family asks the kernel for a free abstract name (unix(7), autobind).
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener.socket.get(), generic, sizeof(sa_family_t)) != 0) return failed("bind");
    if (::listen(listener.socket.get(), kBacklog) != 0) return failed("listen");
    listener.name = abstract_name(listener.socket.get());
    if (listener.name.empty()) return failed("getsockname");
    return listener;
}

UnixListener adopt_unix_listener(int fd)
{
    return {OwnedFd(fd), abstract_name(fd)};
}

} // namespace supervisor
