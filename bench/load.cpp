/// The benchmark's load generator: one epoll loop of keep-alive connections. Prints one line of key=value.
///
/// Usage: bench_load PORT CONNECTIONS REQUESTS BODY_BYTES X_BENCH [HOLD_SECONDS]
///
/// Each connection sends its next request when the answer to the last one is complete, REQUESTS in all. With
/// HOLD_SECONDS every connection sends one request and keeps its stream open that long (for memory).
#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

struct Connection {
    int fd = -1;
    std::size_t sent = 0; ///< of the request
    std::string head;     ///< of the answer, until it is complete
    bool in_body = false;
    bool chunked = false;
    long left = 0;    ///< of a body of known length
    std::string tail; ///< last bytes of a chunked body: is it over?
    Clock::time_point started;
    bool idle = false;
};

struct Result {
    long done = 0;
    long errors = 0;
    long events = 0;
    long bytes = 0;
    std::vector<double> latencies_us;
};

class Load {
public:
    Load(int port, int connections, long requests, std::string request);
    Result run(double hold_seconds);

private:
    void open(Connection& c);
    void begin(Connection& c);
    void send_more(Connection& c);
    void receive(Connection& c);
    void on_bytes(Connection& c, std::string_view bytes);
    void complete(Connection& c);
    void fail(Connection& c);

    int epoll_ = epoll_create1(0);
    int port_;
    long to_start_;
    std::string request_;
    std::vector<Connection> connections_;
    Result result_;
    std::vector<char> buffer_ = std::vector<char>(256 * 1024);
};

Load::Load(int port, int connections, long requests, std::string request)
    : port_(port),
      to_start_(requests),
      request_(std::move(request)),
      connections_(static_cast<std::size_t>(connections))
{}

void Load::open(Connection& c)
{
    c = {};
    c.fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port_));
    if (connect(c.fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
        std::perror("connect");
        std::exit(1);
    }
    const int on = 1;
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &c;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event);
}

void Load::begin(Connection& c)
{
    if (to_start_ == 0) {
        c.idle = true;
        return;
    }
    --to_start_;
    c.sent = 0;
    c.started = Clock::now();
    send_more(c);
}

void Load::send_more(Connection& c)
{
    while (c.sent < request_.size()) {
        const ssize_t n = send(
            c.fd, request_.data() + c.sent, request_.size() - c.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) return fail(c);
        c.sent += static_cast<std::size_t>(n);
    }
    epoll_event event{};
    event.events = c.sent < request_.size() ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.ptr = &c;
    if (request_.size() > 64 * 1024) epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &event);
}

void Load::receive(Connection& c)
{
    const ssize_t n = recv(c.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return fail(c);
    on_bytes(c, {buffer_.data(), static_cast<std::size_t>(n)});
}

void Load::on_bytes(Connection& c, std::string_view bytes)
{
    result_.bytes += static_cast<long>(bytes.size());
    if (!c.in_body) {
        c.head.append(bytes);
        const std::size_t end = c.head.find("\r\n\r\n");
        if (end == std::string::npos) return;
        if (!c.head.starts_with("HTTP/1.1 200")) return fail(c);
        c.in_body = true;
        const std::string rest = c.head.substr(end + 4);
        std::string head = c.head.substr(0, end);
        std::transform(head.begin(), head.end(), head.begin(), [](unsigned char x) {
            return std::tolower(x);
        });
        c.chunked = head.find("transfer-encoding: chunked") != std::string::npos;
        const std::size_t at = head.find("content-length: ");
        if (at != std::string::npos) c.left = std::atol(head.c_str() + at + 16);
        c.head.clear();
        return on_bytes(c, rest);
    }
    if (!c.chunked) {
        c.left -= static_cast<long>(bytes.size());
        if (c.left <= 0) complete(c);
        return;
    }
    // Events are counted by their names; one split over two reads is found through the kept tail.
    const std::string joined = c.tail + std::string(bytes);
    constexpr std::string_view kEvent = "\nevent: ";
    for (std::size_t at = joined.find(kEvent); at != std::string::npos;
         at = joined.find(kEvent, at + 1)) {
        ++result_.events;
    }
    c.tail = joined.substr(joined.size() - std::min(joined.size(), kEvent.size() - 1));
    if (joined.ends_with("\r\n0\r\n\r\n")) complete(c);
}

void Load::complete(Connection& c)
{
    const std::chrono::duration<double, std::micro> took = Clock::now() - c.started;
    result_.latencies_us.push_back(took.count());
    ++result_.done;
    c.in_body = false;
    c.tail.clear();
    begin(c);
}

void Load::fail(Connection& c)
{
    ++result_.errors;
    close(c.fd);
    open(c);
    begin(c);
}

Result Load::run(double hold_seconds)
{
    for (Connection& c : connections_)
        open(c);
    for (Connection& c : connections_)
        begin(c);
    const auto end = Clock::now() + std::chrono::duration<double>(hold_seconds);
    std::vector<epoll_event> events(512);
    const auto busy = [&] {
        if (hold_seconds > 0) return Clock::now() < end;
        return std::any_of(
            connections_.begin(), connections_.end(), [](const Connection& c) { return !c.idle; });
    };
    while (busy()) {
        const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 100);
        for (int i = 0; i < n; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            auto& c = *static_cast<Connection*>(event.data.ptr);
            if ((event.events & EPOLLOUT) != 0) send_more(c);
            if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive(c);
        }
    }
    return std::move(result_);
}

std::string make_request(long body_bytes, const std::string& bench)
{
    // Shaped as Codex sends it: the conversation's id in a header, model first, flags last.
    std::string body =
        R"({"model":"gpt-5.5","instructions":"be brief","input":[{"type":"message","role":"user",)"
        R"("content":[{"type":"input_text","text":")";
    const std::string end =
        R"("}]}],"store":false,"stream":true,"prompt_cache_key":"0199a1b2-0000-7000-8000-000000000001"})";
    const std::string line =
        "int main() { return \\\"text\\\" != 0; } // some code of a repository\\n";
    while (static_cast<long>(body.size() + end.size() + line.size()) < body_bytes)
        body += line;
    while (static_cast<long>(body.size() + end.size()) < body_bytes)
        body += 'x';
    body += end;
    std::string head =
        "POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "authorization: Bearer client-token-that-is-not-a-secret\r\n"
        "chatgpt-account-id: 00000000-0000-0000-0000-000000000001\r\n"
        "session-id: 0199a1b2-0000-7000-8000-000000000001\r\n"
        "thread-id: 0199a1b2-0000-7000-8000-000000000001\r\n"
        "x-client-request-id: 0199a1b2-0000-7000-8000-000000000001\r\n"
        "originator: codex_exec\r\nuser-agent: codex_exec/0.169.0 (Debian; x86_64) dumb\r\n"
        "accept: text/event-stream\r\ncontent-type: application/json\r\n";
    head += "x-bench: " + bench + "\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n";
    return head + body;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 6) {
        std::fputs(
            "usage: bench_load PORT CONNECTIONS REQUESTS BODY_BYTES X_BENCH [HOLD_SECONDS]\n",
            stderr);
        return 2;
    }
    std::signal(SIGPIPE, SIG_IGN);
    Load load(
        std::atoi(argv[1]),
        std::atoi(argv[2]),
        std::atol(argv[3]),
        make_request(std::atol(argv[4]), argv[5]));
    const auto start = Clock::now();
    Result result = load.run(argc > 6 ? std::atof(argv[6]) : 0.0);
    const std::chrono::duration<double> took = Clock::now() - start;
    auto& all = result.latencies_us;
    std::sort(all.begin(), all.end());
    const auto at = [&](double share) {
        return all.empty()
                   ? 0.0
                   : all[static_cast<std::size_t>(share * static_cast<double>(all.size() - 1))];
    };
    std::printf(
        "done=%ld errors=%ld events=%ld seconds=%.4f p50_us=%.1f p99_us=%.1f\n",
        result.done,
        result.errors,
        result.events,
        took.count(),
        at(0.5),
        at(0.99));
}
