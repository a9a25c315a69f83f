/// An HTTP server on a free loopback port, in a thread of its own: reads one request per connection and sends what the
/// handler says, byte for byte. For tests of clients; knows nothing of HTTP but where a request ends.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tests {

class TinyHttpServer {
public:
    /// Gets the whole request, returns the whole response. Afterwards the connection is closed, unless the response is
    /// kHoldOpen: then it stays open and silent until the server ends.
    using Handler = std::function<std::string(const std::string&)>;
    static constexpr const char* kHoldOpen = "(hold open)";

    explicit TinyHttpServer(Handler handler) : handler_(std::move(handler))
    {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 64) != 0 ||
            ::getsockname(listener_, generic, &size) != 0) {
            std::abort();
        }
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }

    TinyHttpServer(const TinyHttpServer&) = delete;
    TinyHttpServer& operator=(const TinyHttpServer&) = delete;

    ~TinyHttpServer()
    {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
        for (const int fd : held_)
            ::close(fd);
    }

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    [[nodiscard]] std::vector<std::string> requests() const
    {
        const std::lock_guard lock(mutex_);
        return requests_;
    }

private:
    void serve()
    {
        for (;;) {
            const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) return;
            const std::string request = read_request(fd);
            {
                const std::lock_guard lock(mutex_);
                requests_.push_back(request);
            }
            const std::string response = handler_(request);
            if (response == kHoldOpen) {
                held_.push_back(fd);
                continue;
            }
            for (std::size_t sent = 0; sent < response.size();) {
                const ssize_t n =
                    ::send(fd, response.data() + sent, response.size() - sent, MSG_NOSIGNAL);
                if (n <= 0) break;
                sent += static_cast<std::size_t>(n);
            }
            ::close(fd);
        }
    }

    static std::string read_request(int fd)
    {
        std::string text;
        std::size_t wanted = std::string::npos;
        char part[4096];
        while (text.size() < wanted) {
            const ssize_t n = ::recv(fd, part, sizeof part, 0);
            if (n <= 0) break;
            text.append(part, static_cast<std::size_t>(n));
            const std::size_t head = text.find("\r\n\r\n");
            if (wanted != std::string::npos || head == std::string::npos) continue;
            const std::size_t length = text.find("Content-Length: ");
            wanted = head + 4;
            if (length < head) wanted += std::strtoul(text.c_str() + length + 16, nullptr, 10);
        }
        return text;
    }

    Handler handler_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    std::vector<int> held_; ///< the thread's own until it is joined
    std::thread thread_;
};

/// A response with Content-Length and Connection: close.
inline std::string
http_response(unsigned status, const std::string& body, const std::string& headers = "")
{
    return "HTTP/1.1 " + std::to_string(status) + " Status\r\n" + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" +
           body;
}

} // namespace tests
