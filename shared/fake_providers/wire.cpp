#include "shared/fake_providers/wire.hpp"

#include <openssl/ssl.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace shared::fake_providers {

namespace {

constexpr std::size_t kReadBytes = 65536;
constexpr std::size_t kHeldMax = 256U << 20U;

bool parse_fields(std::string_view text, Headers& out)
{
    while (!text.empty()) {
        const std::size_t end = text.find("\r\n");
        if (end == std::string_view::npos) return false;
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end + 2);
        if (line.empty()) return true;
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) return false;
        std::size_t begin = colon + 1;
        while (begin < line.size() && (line[begin] == ' ' || line[begin] == '\t'))
            ++begin;
        out.emplace_back(line.substr(0, colon), line.substr(begin));
    }
    return true;
}

} // namespace

std::string lower(std::string_view text)
{
    std::string out(text);
    for (char& c : out)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

const std::string* find_header(const Headers& headers, std::string_view name)
{
    const std::string wanted = lower(name);
    for (const auto& [key, value] : headers) {
        if (lower(key) == wanted) return &value;
    }
    return nullptr;
}

Wire::Wire(int fd, SSL* ssl) : fd_(fd), ssl_(ssl)
{
    const int on = 1;
    (void)::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Wire::Wire(Wire&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      ssl_(std::exchange(other.ssl_, nullptr)),
      held_(std::move(other.held_))
{}

Wire& Wire::operator=(Wire&& other) noexcept
{
    if (this != &other) {
        close();
        fd_ = std::exchange(other.fd_, -1);
        ssl_ = std::exchange(other.ssl_, nullptr);
        held_ = std::move(other.held_);
    }
    return *this;
}

Wire::~Wire()
{
    close();
}

Wire Wire::connect(const std::string& host, std::uint16_t port)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return {};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    (void)::inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host.c_str(), &address.sin_addr);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(fd);
        return {};
    }
    return Wire(fd);
}

void Wire::set_timeout(std::chrono::milliseconds timeout)
{
    timeval value{};
    value.tv_sec = static_cast<time_t>(timeout.count() / 1000);
    value.tv_usec = static_cast<suseconds_t>(timeout.count() % 1000 * 1000);
    (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value);
    (void)::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);
}

void Wire::set_buffers(int bytes)
{
    (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    (void)::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

bool Wire::write(std::string_view bytes)
{
    while (!bytes.empty()) {
        if (fd_ < 0) return false;
        ssize_t n = 0;
        if (ssl_ != nullptr)
            n = SSL_write(ssl_, bytes.data(), static_cast<int>(std::min(bytes.size(), kReadBytes)));
        else
            n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n < 0 && ssl_ == nullptr && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

bool Wire::fill()
{
    if (fd_ < 0 || held_.size() > kHeldMax) return false;
    const std::size_t before = held_.size();
    held_.resize(before + kReadBytes);
    ssize_t n = 0;
    do {
        n = ssl_ != nullptr ? SSL_read(ssl_, held_.data() + before, static_cast<int>(kReadBytes))
                            : ::recv(fd_, held_.data() + before, kReadBytes, 0);
    } while (n < 0 && ssl_ == nullptr && errno == EINTR);
    held_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    return n > 0;
}

std::string Wire::take(std::size_t n)
{
    while (held_.size() < n && fill()) {
    }
    n = std::min(n, held_.size());
    std::string out = held_.substr(0, n);
    held_.erase(0, n);
    return out;
}

std::optional<std::string> Wire::take_through(std::string_view end)
{
    std::size_t from = 0;
    for (;;) {
        const std::size_t at = held_.find(end, from);
        if (at != std::string::npos) return take(at + end.size());
        from = held_.size() > end.size() ? held_.size() - end.size() : 0;
        if (!fill()) return std::nullopt;
    }
}

bool Wire::read_head(Message& message)
{
    message = Message{};
    const std::optional<std::string> text = take_through("\r\n\r\n");
    if (!text) return false;
    const std::size_t line = text->find("\r\n");
    message.first_line = text->substr(0, line);
    return parse_fields(std::string_view(*text).substr(line + 2), message.headers);
}

std::optional<std::string> Wire::read_chunk(Message& message)
{
    const std::optional<std::string> line = take_through("\r\n");
    if (!line) return std::nullopt;
    char* end = nullptr;
    const std::size_t size = std::strtoull(line->c_str(), &end, 16);
    if (end == line->c_str()) return std::nullopt;
    if (size == 0) {
        std::string fields;
        for (;;) {
            const std::optional<std::string> field = take_through("\r\n");
            if (!field) return std::nullopt;
            if (*field == "\r\n") break;
            fields += *field;
        }
        if (!parse_fields(fields, message.trailers)) return std::nullopt;
        return std::string();
    }
    std::string data = take(size);
    if (data.size() != size || take(2) != "\r\n") return std::nullopt;
    return data;
}

bool Wire::read_body(Message& message, bool until_close)
{
    if (lower(message.value("transfer-encoding")) == "chunked") {
        for (;;) {
            const std::optional<std::string> chunk = read_chunk(message);
            if (!chunk) return false;
            if (chunk->empty()) return true;
            message.body += *chunk;
        }
    }
    if (const std::string* length = message.header("content-length")) {
        const std::size_t size = std::strtoull(length->c_str(), nullptr, 10);
        message.body = take(size);
        return message.body.size() == size;
    }
    if (until_close) {
        while (fill()) {
        }
        message.body = std::exchange(held_, {});
    }
    return true;
}

bool Wire::peer_gone()
{
    pollfd poll{.fd = fd_, .events = POLLIN | POLLRDHUP, .revents = 0};
    if (::poll(&poll, 1, 0) <= 0) return false;
    if ((poll.revents & (POLLHUP | POLLERR)) != 0) return true;
    char byte = 0;
    return ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

void Wire::half_close()
{
    (void)::shutdown(fd_, SHUT_WR);
}

void Wire::reset()
{
    if (fd_ < 0) return;
    const linger now{.l_onoff = 1, .l_linger = 0};
    (void)::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    if (ssl_ != nullptr) SSL_set_quiet_shutdown(ssl_, 1);
    close();
}

void Wire::close()
{
    if (ssl_ != nullptr) {
        (void)SSL_shutdown(ssl_);
        SSL_free(ssl_);
        ssl_ = nullptr;
    }
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

void Wire::interrupt() const
{
    if (fd_ >= 0) (void)::shutdown(fd_, SHUT_RDWR);
}

} // namespace shared::fake_providers
