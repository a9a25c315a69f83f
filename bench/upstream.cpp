/// The fake upstream that the benchmark puts behind nginx and behind the pool: one epoll loop, HTTP/1.1
/// keep-alive, optionally TLS. The request's X-Bench header says how to answer:
///
///   json                        a small JSON answer with usage, at once
///   sse events=N interval_us=T  N events of 250 bytes, T µs apart (0 = as fast as they go), then the usage
///
/// Usage: bench_upstream PORT [CERTIFICATE KEY]
#include <openssl/ssl.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const char* what)
{
    std::perror(what);
    std::exit(1);
}

struct Connection {
    int fd = -1;
    SSL* tls = nullptr;
    bool handshaken = false;
    std::string in;
    std::string out;
    long body_left = 0;     ///< of the request being read
    bool answering = false; ///< a stream is running
    long events_left = 0;
    long event_number = 0;
    std::chrono::microseconds interval{0};
    std::string mode;
};

struct Due {
    Clock::time_point at;
    int fd;
    long event_number; ///< a stale entry names another event than the connection waits for

    bool operator>(const Due& other) const { return at > other.at; }
};

class Upstream {
public:
    Upstream(int port, const char* certificate, const char* key);
    void run();

private:
    void accept_all();
    void on_readable(Connection& c);
    void parse(Connection& c);
    void answer(Connection& c);
    void next_event(Connection& c);
    void flush(Connection& c);
    void drop(Connection& c);
    void fire_due();
    long read_some(Connection& c, char* data, std::size_t size);
    long write_some(Connection& c);

    int epoll_ = epoll_create1(0);
    int listener_ = -1;
    SSL_CTX* tls_ = nullptr;
    std::unordered_map<int, std::unique_ptr<Connection>> connections_;
    std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
    std::string event_padding_ = std::string(150, 'x');
};

Upstream::Upstream(int port, const char* certificate, const char* key)
{
    if (certificate != nullptr) {
        tls_ = SSL_CTX_new(TLS_server_method());
        if (SSL_CTX_use_certificate_chain_file(tls_, certificate) != 1 ||
            SSL_CTX_use_PrivateKey_file(tls_, key, SSL_FILETYPE_PEM) != 1) {
            die("certificate");
        }
        SSL_CTX_set_mode(tls_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) die("bind");
    if (listen(listener_, 4096) != 0) die("listen");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = listener_;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event);
}

void Upstream::run()
{
    std::vector<epoll_event> events(512);
    while (true) {
        int wait_ms = -1;
        if (!due_.empty()) {
            const auto wait = due_.top().at - Clock::now();
            const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
            wait_ms = static_cast<int>(std::clamp<long>(ms, 0, 1000));
        }
        const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms);
        for (int i = 0; i < n; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            if (event.data.fd == listener_) {
                accept_all();
                continue;
            }
            const auto found = connections_.find(event.data.fd);
            if (found == connections_.end()) continue;
            if ((event.events & EPOLLOUT) != 0) flush(*found->second);
            if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) on_readable(*found->second);
        }
        fire_due();
    }
}

void Upstream::accept_all()
{
    while (true) {
        const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
        if (fd < 0) return;
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        auto c = std::make_unique<Connection>();
        c->fd = fd;
        if (tls_ != nullptr) {
            c->tls = SSL_new(tls_);
            SSL_set_fd(c->tls, fd);
            SSL_set_accept_state(c->tls);
        }
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLET;
        event.data.fd = fd;
        epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
        connections_[fd] = std::move(c);
    }
}

/// Bytes, 0 = would block, -1 = over.
long Upstream::read_some(Connection& c, char* data, std::size_t size)
{
    if (c.tls == nullptr) {
        const ssize_t got = recv(c.fd, data, size, 0);
        if (got > 0) return got;
        return got < 0 && errno == EAGAIN ? 0 : -1;
    }
    const int got = SSL_read(c.tls, data, static_cast<int>(size));
    if (got > 0) return got;
    const int error = SSL_get_error(c.tls, got);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

long Upstream::write_some(Connection& c)
{
    if (c.tls == nullptr) {
        const ssize_t sent = send(c.fd, c.out.data(), c.out.size(), MSG_NOSIGNAL);
        if (sent >= 0) return sent;
        return errno == EAGAIN ? 0 : -1;
    }
    const int sent = SSL_write(c.tls, c.out.data(), static_cast<int>(c.out.size()));
    if (sent > 0) return sent;
    const int error = SSL_get_error(c.tls, sent);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

void Upstream::on_readable(Connection& c)
{
    static std::vector<char> buffer(256 * 1024);
    const int fd = c.fd;
    while (true) {
        const long got = read_some(c, buffer.data(), buffer.size());
        if (got < 0) return drop(c);
        if (got == 0) return;
        std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
        const auto skip = std::min<long>(c.body_left, got);
        c.body_left -= skip;
        bytes.remove_prefix(static_cast<std::size_t>(skip));
        c.in.append(bytes);
        if (skip > 0 && c.body_left == 0) answer(c);
        if (!connections_.contains(fd)) return;
        if (c.body_left == 0) parse(c);
        if (!connections_.contains(fd)) return;
    }
}

std::string_view header(std::string_view head, std::string_view name)
{
    for (std::size_t at = head.find("\r\n"); at != std::string_view::npos;
         at = head.find("\r\n", at)) {
        at += 2;
        if (head.size() - at <= name.size()) break;
        if (strncasecmp(head.data() + at, name.data(), name.size()) != 0) continue;
        const std::size_t end = head.find("\r\n", at);
        return head.substr(at + name.size(), end - at - name.size());
    }
    return {};
}

long number(std::string_view text)
{
    long value = 0;
    while (text.starts_with(' '))
        text.remove_prefix(1);
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

long parameter(std::string_view text, std::string_view name)
{
    const std::size_t at = text.find(name);
    return at == std::string_view::npos ? 0 : number(text.substr(at + name.size()));
}

void Upstream::parse(Connection& c)
{
    const std::size_t end = c.in.find("\r\n\r\n");
    if (end == std::string::npos) return;
    const std::string_view head = std::string_view(c.in).substr(0, end + 2);
    c.mode = header(head, "x-bench:");
    const long length = number(header(head, "content-length:"));
    const long have = static_cast<long>(c.in.size() - end - 4);
    c.body_left = std::max(0L, length - have);
    c.in.erase(0, end + 4 + static_cast<std::size_t>(std::min(length, have)));
    if (c.body_left == 0) answer(c);
}

constexpr std::string_view kUsage =
    R"("usage":{"input_tokens":1200,"input_tokens_details":{"cached_tokens":1000},"output_tokens":34,)"
    R"("output_tokens_details":{"reasoning_tokens":10},"total_tokens":1234})";

void Upstream::answer(Connection& c)
{
    if (c.mode.find("sse") != std::string::npos) {
        c.out += "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
                 "chunked\r\n\r\n";
        c.events_left = parameter(c.mode, "events=");
        c.interval = std::chrono::microseconds(parameter(c.mode, "interval_us="));
        c.answering = true;
        return next_event(c);
    }
    std::string body =
        R"({"id":"resp_1","object":"response","status":"completed","model":"gpt-5.5","output":[],)";
    body += kUsage;
    body += '}';
    c.out += "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
    c.out += std::to_string(body.size()) + "\r\n\r\n" + body;
    flush(c);
}

void append_chunk(std::string& out, std::string_view payload)
{
    char size[20];
    std::snprintf(size, sizeof(size), "%zx\r\n", payload.size());
    out += size;
    out += payload;
    out += "\r\n";
}

void Upstream::next_event(Connection& c)
{
    const int fd = c.fd;
    while (c.answering) {
        if (c.events_left == 0) {
            std::string last =
                "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":"
                "{\"id\":\"resp_1\",\"model\":\"gpt-5.5\",";
            last += kUsage;
            last += "}}\n\n";
            append_chunk(c.out, last);
            c.out += "0\r\n\r\n";
            c.answering = false;
            return flush(c);
        }
        --c.events_left;
        ++c.event_number;
        std::string event = "event: response.output_text.delta\ndata: "
                            "{\"type\":\"response.output_text.delta\",\"delta\":\"";
        event += event_padding_;
        event += "\"}\n\n";
        append_chunk(c.out, event);
        if (c.interval.count() > 0) {
            due_.push({Clock::now() + c.interval, fd, c.event_number});
            return flush(c);
        }
        if (c.out.size() > 256 * 1024) {
            flush(c);
            if (!connections_.contains(fd)) return;
            if (!c.out.empty()) return; // goes on when writable
        }
    }
}

void Upstream::flush(Connection& c)
{
    while (!c.out.empty()) {
        const long sent = write_some(c);
        if (sent < 0) return drop(c);
        if (sent == 0) return;
        c.out.erase(0, static_cast<std::size_t>(sent));
    }
    if (c.answering && c.interval.count() == 0) next_event(c);
}

void Upstream::fire_due()
{
    const auto now = Clock::now();
    while (!due_.empty() && due_.top().at <= now) {
        const Due due = due_.top();
        due_.pop();
        const auto found = connections_.find(due.fd);
        if (found == connections_.end()) continue;
        if (found->second->answering && found->second->event_number == due.event_number) {
            next_event(*found->second);
        }
    }
}

void Upstream::drop(Connection& c)
{
    const int fd = c.fd;
    if (c.tls != nullptr) SSL_free(c.tls);
    connections_.erase(fd);
    close(fd);
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 2 && argc != 4) {
        std::fputs("usage: bench_upstream PORT [CERTIFICATE KEY]\n", stderr);
        return 2;
    }
    std::signal(SIGPIPE, SIG_IGN);
    Upstream upstream(
        std::atoi(argv[1]), argc == 4 ? argv[2] : nullptr, argc == 4 ? argv[3] : nullptr);
    upstream.run();
}
