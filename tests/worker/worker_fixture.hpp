/// A worker in this process, between blocking test sockets: real loopback connections, a real segment, real providers.
#pragma once

#include "shared/base/clock.hpp"
#include "shared/net/tls_context.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/pin_table.hpp"
#include "shared/segment/segment.hpp"
#include "shared/segment/worker_slots.hpp"
#include "worker/server.hpp"
#include "worker/worker_state.hpp"

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace worker_test {

using namespace std::chrono_literals;

/// A listening socket on a free loopback port.
inline int listen_anywhere(std::uint16_t& port)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(fd, 512);
    socklen_t size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    return fd;
}

/// A blocking connection. Every wait fails the test after ten seconds.
class Peer {
public:
    static constexpr int kWaitMs = 10'000;

    explicit Peer(int fd) : fd_(fd) {}

    Peer(Peer&& other) noexcept : fd_(other.fd_.exchange(-1)), bytes_(std::move(other.bytes_)) {}

    Peer& operator=(Peer&& other) noexcept
    {
        close();
        fd_ = other.fd_.exchange(-1);
        bytes_ = std::move(other.bytes_);
        return *this;
    }

    ~Peer() { close(); }

    [[nodiscard]] static Peer to(std::uint16_t port)
    {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        return Peer(fd);
    }

    [[nodiscard]] int fd() const { return fd_; }

    void close()
    {
        const int fd = fd_.exchange(-1);
        if (fd >= 0) ::close(fd);
    }

    /// Closes with a reset.
    void reset()
    {
        const linger hard{1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close();
    }

    void finish_sending() { ::shutdown(fd_, SHUT_WR); }

    bool send(std::string_view bytes)
    {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }

    /// More bytes into the buffer; false at the end or on an error.
    bool more()
    {
        pollfd wait{fd_, POLLIN, 0};
        if (::poll(&wait, 1, kWaitMs) <= 0) {
            ADD_FAILURE() << "nothing arrived in time; so far: " << bytes_;
            return false;
        }
        char buffer[65536];
        const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
        if (got <= 0) return false;
        bytes_.append(buffer, static_cast<std::size_t>(got));
        return true;
    }

    /// Whether bytes (or the end) come within the time.
    [[nodiscard]] bool hears_within(std::chrono::milliseconds time) const
    {
        pollfd wait{fd_, POLLIN, 0};
        return ::poll(&wait, 1, static_cast<int>(time.count())) > 0;
    }

    /// Everything up to and including `mark`; what was read if the end comes first.
    std::string until(std::string_view mark)
    {
        while (true) {
            const std::size_t at = bytes_.find(mark);
            if (at != std::string::npos) return cut(at + mark.size());
            if (!more()) return cut(bytes_.size());
        }
    }

    std::string exactly(std::size_t size)
    {
        while (bytes_.size() < size && more()) {
        }
        return cut(std::min(size, bytes_.size()));
    }

    std::string rest()
    {
        while (more()) {
        }
        return cut(bytes_.size());
    }

    /// A message head.
    std::string head() { return until("\r\n\r\n"); }

    /// A message with Content-Length (or chunked; then raw, with its framing).
    std::string message()
    {
        std::string text = head();
        const std::string length = field(text, "content-length");
        if (!length.empty())
            text += exactly(std::stoul(length));
        else if (field(text, "transfer-encoding") == "chunked")
            text += until("0\r\n\r\n");
        return text;
    }

    /// Value of a field in a head; empty if it is absent.
    static std::string field(const std::string& message, std::string_view name)
    {
        std::size_t at = message.find("\r\n");
        while (at != std::string::npos && at + 2 < message.size()) {
            const std::size_t begin = at + 2;
            const std::size_t end = message.find("\r\n", begin);
            if (end == begin || end == std::string::npos) return {};
            const std::string_view line(&message[begin], end - begin);
            const std::size_t colon = line.find(':');
            if (colon != std::string_view::npos &&
                shared::http::iequals(line.substr(0, colon), name)) {
                std::string_view value = line.substr(colon + 1);
                while (value.starts_with(' '))
                    value.remove_prefix(1);
                return std::string(value);
            }
            at = end;
        }
        return {};
    }

    static int status(const std::string& message)
    {
        return message.size() > 12 ? std::atoi(message.c_str() + 9) : 0;
    }

    static std::string body(const std::string& message)
    {
        const std::size_t end = message.find("\r\n\r\n");
        return end == std::string::npos ? std::string() : message.substr(end + 4);
    }

private:
    std::string cut(std::size_t size)
    {
        std::string out = bytes_.substr(0, size);
        bytes_.erase(0, size);
        return out;
    }

    std::atomic<int> fd_;
    std::string bytes_;
};

/// An upstream whose connections are each served by `script` in a thread of its own.
class Upstream {
public:
    using Script = std::function<void(Peer& peer, int connection)>;

    explicit Upstream(Script script) : script_(std::move(script))
    {
        fd_ = listen_anywhere(port_);
        accepting_ = std::thread([this] {
            while (true) {
                const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
                if (fd < 0) return;
                const int number = connections_++;
                const int on = 1;
                ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                const std::lock_guard lock(mutex_);
                auto peer = std::make_shared<Peer>(fd);
                open_.push_back(peer);
                serving_.emplace_back([this, peer, number] {
                    script_(*peer, number);
                    peer->close();
                });
            }
        });
    }

    Upstream(const Upstream&) = delete;
    Upstream& operator=(const Upstream&) = delete;

    ~Upstream()
    {
        ::shutdown(fd_, SHUT_RDWR);
        accepting_.join();
        ::close(fd_);
        // Threads that wait for a next request on a kept connection.
        for (const auto& peer : open_)
            ::shutdown(peer->fd(), SHUT_RDWR);
        for (std::thread& thread : serving_)
            thread.join();
    }

    [[nodiscard]] std::uint16_t port() const { return port_; }

    [[nodiscard]] int connections() const { return connections_; }

private:
    Script script_;
    int fd_ = -1;
    std::uint16_t port_ = 0;
    std::atomic<int> connections_{0};
    std::thread accepting_;
    std::mutex mutex_;
    std::vector<std::thread> serving_;
    std::vector<std::shared_ptr<Peer>> open_;
};

/// Upstream script: answers every request of every connection with `answer(request)`; an empty answer hangs up.
inline Upstream::Script answering(std::function<std::string(const std::string&)> answer)
{
    return [answer = std::move(answer)](Peer& peer, int) {
        while (true) {
            pollfd wait{peer.fd(), POLLIN, 0};
            ::poll(&wait, 1, -1);
            const std::string request = peer.message();
            if (request.find("\r\n\r\n") == std::string::npos) return;
            const std::string reply = answer(request);
            if (reply.empty() || !peer.send(reply)) return;
        }
    };
}

inline std::string ok(std::string_view body, std::string_view fields = "")
{
    return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + std::string(fields) +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

inline std::string status_answer(int status, std::string_view body, std::string_view fields = "")
{
    return "HTTP/1.1 " + std::to_string(status) + " Because\r\nContent-Type: application/json\r\n" +
           std::string(fields) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string(body);
}

class WorkerTest : public ::testing::Test {
protected:
    WorkerTest()
        : mapping_(std::move(*shared::SegmentMapping::create(shared::now_unix()))),
          segment_(*mapping_),
          tls_(std::move(*shared::net::make_client_tls_context()))
    {
        config_.client_header_timeout_seconds = 5;
        config_.client_body_timeout_seconds = 5;
        for (const auto& provider : registry_.all()) {
            for (const shared::UpstreamSpec& spec : provider->upstreams())
                set_upstream(spec.key, 9);
        }
    }

    ~WorkerTest() override { stop(); }

    void set_upstream(std::string_view key, std::uint16_t port)
    {
        shared::http::BaseUrl base;
        base.tls = false;
        base.host = "127.0.0.1";
        base.port = port;
        config_.upstreams.insert_or_assign(std::string(key), base);
    }

    shared::AccountSlot add_account(
        std::string_view id,
        shared::ProviderId provider = shared::ProviderId::codex,
        shared::CredentialKind kind = shared::CredentialKind::oauth,
        std::string_view project = "")
    {
        const std::uint32_t index = segment_.account_slots.load();
        const shared::AccountSlot slot{static_cast<std::uint16_t>(index)};
        segment_.accounts[index].with_lock([&](shared::AccountRecord& record) {
            record.identity.id.assign(id);
            record.identity.provider = static_cast<std::uint8_t>(provider);
            record.identity.kind = static_cast<std::uint8_t>(kind);
            record.identity.project.assign(project);
            record.routing = {};
            record.routing.provider = record.identity.provider;
            record.routing.kind = record.identity.kind;
            record.routing.state = shared::AccountState::ready;
        });
        EXPECT_TRUE(shared::store_token(segment_, slot, "token-of-" + std::string(id)));
        segment_.account_slots.store(index + 1);
        segment_.token_version[index].fetch_add(1);
        segment_.roster_version.fetch_add(1);
        return slot;
    }

    void start()
    {
        const auto slot = shared::claim_slot(segment_, 1);
        slot_ = *slot;
        loop_ = std::make_unique<shared::net::Loop>(1);
        state_ = std::make_unique<worker::WorkerState>(
            *loop_, config_, registry_, segment_, slot_, tls_.get(), proxy_, 20ms);
        server_ = std::make_unique<worker::Server>(*state_, listen_anywhere(port_));
        server_->start();
        server_->serve();
        thread_ = std::thread([this] { loop_->run(); });
    }

    void stop()
    {
        if (!thread_.joinable()) return;
        loop_->stop();
        thread_.join();
        server_->abort_sessions();
        loop_->restart();
        loop_->poll();
        EXPECT_TRUE(server_->idle()) << "a session outlived its abort";
        server_.reset();
        state_.reset();
        loop_.reset();
    }

    /// Runs `f` on the worker's loop and waits for it.
    void on_loop(const std::function<void()>& f)
    {
        std::promise<void> done;
        boost::asio::post(*loop_, [&] {
            f();
            done.set_value();
        });
        done.get_future().wait();
    }

    [[nodiscard]] Peer connect() const { return Peer::to(port_); }

    /// One request on a connection of its own, and its whole answer.
    std::string ask(std::string_view request)
    {
        Peer peer = connect();
        peer.send(request);
        return peer.message();
    }

    static std::string
    post(std::string_view path, std::string_view body, std::string_view fields = "")
    {
        return "POST " + std::string(path) +
               " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" +
               std::string(fields) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
               std::string(body);
    }

    static std::string get(std::string_view path, std::string_view fields = "")
    {
        return "GET " + std::string(path) + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" +
               std::string(fields) + "\r\n";
    }

    /// Waits (by events of the ring) for the next finished request's record.
    shared::UsageEntry next_record()
    {
        std::optional<shared::UsageEntry> found;
        for (int i = 0; i < 1000 && !found; ++i) {
            shared::drain_ring(
                segment_.usage[slot_], 1, [&](const shared::UsageEntry& entry) { found = entry; });
            if (!found) std::this_thread::sleep_for(10ms);
        }
        EXPECT_TRUE(found) << "no record was published";
        return found.value_or(shared::UsageEntry{});
    }

    [[nodiscard]] shared::AccountRouting routing(shared::AccountSlot slot)
    {
        shared::AccountRouting copy;
        segment_.accounts[slot.value].with_lock(
            [&](shared::AccountRecord& record) { copy = record.routing; });
        return copy;
    }

    [[nodiscard]] std::uint32_t in_flight(shared::AccountSlot slot) const
    {
        return shared::in_flight(segment_, slot);
    }

    shared::ProviderRegistry registry_;
    shared::Config config_;
    shared::SegmentMapping mapping_;
    shared::Segment& segment_;
    shared::net::TlsContext tls_;
    shared::net::ProxySettings proxy_;
    std::uint16_t slot_ = 0;
    std::uint16_t port_ = 0;
    std::unique_ptr<shared::net::Loop> loop_;
    std::unique_ptr<worker::WorkerState> state_;
    std::unique_ptr<worker::Server> server_;
    std::thread thread_;
};

} // namespace worker_test
