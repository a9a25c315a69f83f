#include "shared/net/connector.hpp"

#include "shared/http/head.hpp"
#include "shared/net/socks5.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace shared::net {

namespace {

Connection failed(std::string problem)
{
    Connection result;
    result.problem = std::move(problem);
    return result;
}

std::string error_text(int error)
{
    return std::generic_category().message(error);
}

/// Starts connecting; -1 with errno if that fails at once.
int start_connect(const sockaddr* address, socklen_t size) noexcept
{
    const int fd = ::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (address->sa_family != AF_UNIX) {
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        // A peer that vanished without a word (power, NAT) must not hold a silent stream for ever.
        ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        const int idle_seconds = 60;
        ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
        const int interval_seconds = 15;
        ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof interval_seconds);
    }
    if (::connect(fd, address, size) == 0 || errno == EINPROGRESS) return fd;
    const int error = errno;
    ::close(fd);
    errno = error;
    return -1;
}

int socket_error(int fd) noexcept
{
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

} // namespace

void CancelToken::cancel() noexcept
{
    cancelled_ = true;
    if (wait_ != nullptr) wait_->abort();
    if (stream_ != nullptr) stream_->abort();
}

Connector::Connector(Loop& loop, SSL_CTX* tls, const ProxySettings& proxy)
    : loop_(loop), tls_(tls), proxy_(proxy), resolver_(loop)
{}

Task<Connection> Connector::open(const std::string& host, std::uint16_t port, CancelToken& cancel)
{
    Resolver::Wait look_up(resolver_, host);
    cancel.watch(&look_up);
    const std::vector<boost::asio::ip::address>& addresses = co_await look_up;
    cancel.watch(static_cast<Resolver::Wait*>(nullptr));
    if (cancel.cancelled()) co_return failed("stopped waiting");
    if (addresses.empty()) co_return failed("cannot resolve " + host);

    std::string problem;
    std::size_t tried = 0;
    for (const boost::asio::ip::address& address : addresses) {
        if (++tried > kAddressesMax) break;
        const Resolver::Endpoint endpoint(address, port);
        const int fd = start_connect(endpoint.data(), static_cast<socklen_t>(endpoint.size()));
        if (fd < 0) {
            problem = "cannot connect to " + host + ": " + error_text(errno);
            continue;
        }
        auto stream = std::make_unique<Stream>(loop_, fd);
        cancel.watch(stream.get());
        const bool waited = co_await stream->writable();
        cancel.watch(static_cast<Stream*>(nullptr));
        if (!waited || cancel.cancelled()) co_return failed("stopped waiting");
        const int error = socket_error(fd);
        if (error == 0) {
            Connection result;
            result.stream = std::move(stream);
            co_return result;
        }
        problem = "cannot connect to " + host + ": " + error_text(error);
    }
    co_return failed(std::move(problem));
}

Task<std::string> Connector::handshake(Stream& stream, const std::string& host)
{
    while (true) {
        const IoStatus status = stream.tls()->handshake();
        if (status == IoStatus::ok) co_return std::string();
        bool waited = false;
        if (status == IoStatus::wait_read) {
            // Half a record may wait inside the TLS layer: it is no reason not to wait.
            waited = co_await stream.descriptor_readable();
        } else if (status == IoStatus::wait_write) {
            waited = co_await stream.writable();
        } else {
            co_return "TLS with " + host + ": " + stream.tls()->failure();
        }
        if (!waited) co_return std::string("stopped waiting");
    }
}

Task<std::string>
Connector::ask_proxy(Stream& stream, const http::BaseUrl& base, const std::string& authorization)
{
    const std::string host =
        base.host.find(':') != std::string::npos ? "[" + base.host + "]" : base.host;
    const std::string target = host + ":" + std::to_string(base.port);
    std::string request = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
    if (!authorization.empty()) request += "Proxy-Authorization: " + authorization + "\r\n";
    request += "\r\n";
    std::string_view rest = request;
    while (!rest.empty()) {
        const iovec out = piece(rest);
        const IoResult sent = stream.write_some({&out, 1});
        if (sent.status == IoStatus::failed) co_return std::string("the forward proxy hung up");
        rest.remove_prefix(sent.bytes);
        if (rest.empty()) break;
        const bool waited = co_await stream.writable();
        if (!waited) co_return std::string("stopped waiting");
    }
    std::string answer;
    while (true) {
        // One byte at a time past the head would belong to the server; proxies send nothing there before we do.
        std::array<char, 2048> buffer{};
        const IoResult got = stream.read_some(buffer.data(), buffer.size());
        if (got.ok()) {
            answer.append(buffer.data(), got.bytes);
            http::ResponseHead head;
            const http::ParseStatus status = http::parse_response(answer, "CONNECT", head);
            if (status == http::ParseStatus::complete) {
                if (head.status / 100 == 2) co_return std::string();
                co_return "the forward proxy answered " + std::to_string(head.status);
            }
            if (status != http::ParseStatus::incomplete || answer.size() > kProxyAnswerBytesMax)
                co_return std::string("the forward proxy's answer is not HTTP");
            continue;
        }
        if (got.status != IoStatus::wait_read) co_return std::string("the forward proxy hung up");
        const bool waited = co_await stream.readable();
        if (!waited) co_return std::string("stopped waiting");
    }
}

Task<std::string>
Connector::ask_socks(Stream& stream, const http::BaseUrl& base, const ForwardProxy& proxy)
{
    Socks5 talk(proxy, base.host, base.port);
    std::array<char, 264> buffer{};
    while (!talk.done()) {
        std::string_view rest = talk.outgoing();
        while (!rest.empty()) {
            const iovec out = piece(rest);
            const IoResult sent = stream.write_some({&out, 1});
            if (sent.status == IoStatus::failed) co_return std::string("the SOCKS proxy hung up");
            rest.remove_prefix(sent.bytes);
            if (rest.empty()) break;
            const bool waited = co_await stream.writable();
            if (!waited) co_return std::string("stopped waiting");
        }
        std::size_t have = 0;
        while (have < talk.expects()) {
            const IoResult got = stream.read_some(&buffer[have], talk.expects() - have);
            have += got.bytes;
            if (got.ok()) continue;
            if (got.status != IoStatus::wait_read) co_return std::string("the SOCKS proxy hung up");
            const bool waited = co_await stream.readable();
            if (!waited) co_return std::string("stopped waiting");
        }
        talk.take({buffer.data(), have});
    }
    co_return talk.problem();
}

Task<Connection>
Connector::connect(const http::BaseUrl& base, CancelToken& cancel, const ForwardProxy* own)
{
    if (own != nullptr && own->address.host.empty())
        co_return failed("this account's proxy_url cannot be used");
    const http::BaseUrl* proxy = own != nullptr ? &own->address : proxy_.proxy_for(base);
    const std::string* authorization = own != nullptr ? &own->authorization : &proxy_.authorization;
    const bool socks = own != nullptr && own->protocol == ForwardProxy::Protocol::socks5;
    const http::BaseUrl& first = proxy != nullptr ? *proxy : base;
    Connection result = co_await open(first.host, first.port, cancel);
    if (!result.stream) co_return result;
    Stream& stream = *result.stream;
    cancel.watch(&stream);
    std::string problem;
    if (proxy != nullptr) {
        if (proxy->tls) {
            stream.start_tls(TlsLayer::over_socket(tls_, stream.fd(), proxy->host, nullptr));
            if (stream.tls() == nullptr)
                problem = "TLS failed";
            else
                problem = co_await handshake(stream, proxy->host);
        }
        if (problem.empty() && socks)
            problem = co_await ask_socks(stream, base, *own);
        else if (problem.empty())
            problem = co_await ask_proxy(stream, base, *authorization);
    }
    if (problem.empty() && base.tls) {
        // A resumed session would tell the vendor that two accounts come from one place.
        TlsSessions::Slot* session = own == nullptr ? sessions_.slot(base.authority()) : nullptr;
        if (stream.tls() != nullptr)
            stream.start_tls(TlsLayer::over_tls(tls_, stream.take_tls(), base.host, session));
        else
            stream.start_tls(TlsLayer::over_socket(tls_, stream.fd(), base.host, session));
        if (stream.tls() == nullptr)
            problem = "TLS failed";
        else
            problem = co_await handshake(stream, base.host);
    }
    cancel.watch(static_cast<Stream*>(nullptr));
    if (!problem.empty()) {
        result.stream.reset();
        result.problem = std::move(problem);
    }
    co_return result;
}

Task<Connection> Connector::connect_unix(std::string_view abstract_name, CancelToken& cancel)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (abstract_name.empty() || abstract_name.size() >= sizeof address.sun_path)
        co_return failed("there is no such Unix socket");
    std::memcpy(&address.sun_path[1], abstract_name.data(), abstract_name.size());
    const auto size =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + abstract_name.size());
    const int fd =
        start_connect(reinterpret_cast<const sockaddr*>(&address), size); // NOLINT: the C interface
    if (fd < 0) co_return failed("cannot connect: " + error_text(errno));
    auto stream = std::make_unique<Stream>(loop_, fd);
    cancel.watch(stream.get());
    const bool waited = co_await stream->writable();
    cancel.watch(static_cast<Stream*>(nullptr));
    if (!waited || cancel.cancelled()) co_return failed("stopped waiting");
    const int error = socket_error(fd);
    if (error != 0) co_return failed("cannot connect: " + error_text(error));
    Connection result;
    result.stream = std::move(stream);
    co_return result;
}

} // namespace shared::net
