/// A SOCKS5 proxy for tests: whatever it is asked for, it connects to one port of this machine.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tests {

class TinySocks5Server {
public:
    /// With a user it wants that login; `reply` other than 0 refuses every connection with that code.
    explicit TinySocks5Server(
        std::uint16_t to_port, std::string user = "", std::string password = "", char reply = 0)
        : to_port_(to_port), user_(std::move(user)), password_(std::move(password)), reply_(reply)
    {
        fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = loopback(0);
        ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address);
        ::listen(fd_, 16);
        socklen_t size = sizeof address;
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
        acceptor_ = std::thread([this] { accept_all(); });
    }

    TinySocks5Server(const TinySocks5Server&) = delete;
    TinySocks5Server& operator=(const TinySocks5Server&) = delete;

    ~TinySocks5Server()
    {
        ::shutdown(fd_, SHUT_RDWR);
        acceptor_.join();
        {
            const std::lock_guard lock(mutex_);
            for (const int fd : open_)
                ::shutdown(fd, SHUT_RDWR);
        }
        for (std::thread& thread : threads_)
            thread.join();
        ::close(fd_);
    }

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    /// "host:port" of each connection it was asked for, in order.
    [[nodiscard]] std::vector<std::string> asked() const
    {
        const std::lock_guard lock(mutex_);
        return asked_;
    }

private:
    static sockaddr_in loopback(std::uint16_t port)
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
    }

    void accept_all()
    {
        while (true) {
            const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) return;
            const std::lock_guard lock(mutex_);
            open_.push_back(fd);
            threads_.emplace_back([this, fd] {
                serve(fd);
                const std::lock_guard closing(mutex_);
                std::erase(open_, fd);
                ::close(fd);
            });
        }
    }

    static bool read_all(int fd, std::string& bytes, std::size_t size)
    {
        bytes.resize(size);
        return ::recv(fd, bytes.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size);
    }

    static void send_all(int fd, std::string_view bytes)
    {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
    }

    bool log_in(int fd)
    {
        std::string bytes;
        if (!read_all(fd, bytes, 2) || bytes[0] != 5) return false;
        std::string methods;
        if (!read_all(fd, methods, static_cast<unsigned char>(bytes[1]))) return false;
        const char method = user_.empty() ? '\0' : '\2';
        if (methods.find(method) == std::string::npos) {
            send_all(fd, std::string("\5\xFF", 2));
            return false;
        }
        send_all(fd, std::string(1, '\5') + method);
        if (user_.empty()) return true;
        std::string user;
        std::string password;
        const bool whole =
            read_all(fd, bytes, 2) && read_all(fd, user, static_cast<unsigned char>(bytes[1])) &&
            read_all(fd, bytes, 1) && read_all(fd, password, static_cast<unsigned char>(bytes[0]));
        const bool right = whole && user == user_ && password == password_;
        send_all(fd, std::string(1, '\1') + (right ? '\0' : '\1'));
        return right;
    }

    bool read_target(int fd)
    {
        std::string bytes;
        if (!read_all(fd, bytes, 4) || bytes[1] != 1) return false;
        std::string host;
        if (bytes[3] == 3) {
            if (!read_all(fd, bytes, 1)) return false;
            if (!read_all(fd, host, static_cast<unsigned char>(bytes[0]))) return false;
        } else {
            if (!read_all(fd, bytes, bytes[3] == 1 ? 4 : 16)) return false;
            for (const char byte : bytes)
                host +=
                    (host.empty() ? "" : ".") + std::to_string(static_cast<unsigned char>(byte));
        }
        if (!read_all(fd, bytes, 2)) return false;
        const int port =
            static_cast<unsigned char>(bytes[0]) * 256 + static_cast<unsigned char>(bytes[1]);
        const std::lock_guard lock(mutex_);
        asked_.push_back(host + ":" + std::to_string(port));
        return true;
    }

    void serve(int fd)
    {
        if (!log_in(fd) || !read_target(fd)) return;
        const int to = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_in address = loopback(to_port_);
        const bool connected =
            reply_ == 0 &&
            ::connect(to, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
        // Bound to a name, the rarest kind: its length comes first.
        send_all(fd, std::string("\5") + reply_ + std::string("\0\3\4here\0\1", 9));
        if (connected) relay(fd, to);
        ::close(to);
    }

    static void relay(int fd, int to)
    {
        std::array<pollfd, 2> both{pollfd{fd, POLLIN, 0}, pollfd{to, POLLIN, 0}};
        std::vector<char> buffer(65536);
        while (::poll(both.data(), 2, -1) > 0) {
            for (std::size_t i = 0; i < 2; ++i) {
                if (both[i].revents == 0) continue;
                const ssize_t got = ::recv(both[i].fd, buffer.data(), buffer.size(), 0);
                if (got <= 0) return;
                send_all(both[1 - i].fd, {buffer.data(), static_cast<std::size_t>(got)});
            }
        }
    }

    std::uint16_t to_port_;
    std::string user_;
    std::string password_;
    char reply_;
    int fd_ = -1;
    std::uint16_t port_ = 0;
    mutable std::mutex mutex_;
    std::vector<std::string> asked_;
    std::vector<int> open_;
    std::vector<std::thread> threads_;
    std::thread acceptor_;
};

} // namespace tests
