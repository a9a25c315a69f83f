#include "worker/server.hpp"

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/boost/wake_one.hpp"
#include "shared/segment/worker_slots.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace worker {

namespace {

shared::IpAddress address_of(const sockaddr_storage& peer) noexcept
{
    if (peer.ss_family == AF_INET6) {
        sockaddr_in6 address{};
        std::memcpy(&address, &peer, sizeof address);
        std::array<std::uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), &address.sin6_addr, bytes.size());
        return shared::IpAddress::from_v6(bytes);
    }
    if (peer.ss_family == AF_INET) {
        sockaddr_in address{};
        std::memcpy(&address, &peer, sizeof address);
        std::array<std::uint8_t, 4> bytes{};
        std::memcpy(bytes.data(), &address.sin_addr, bytes.size());
        return shared::IpAddress::from_v4(bytes);
    }
    return shared::IpAddress::from_v4({127, 0, 0, 1}); // a socket of this machine
}

void set_option(int fd, int level, int name, int value) noexcept
{
    ::setsockopt(fd, level, name, &value, sizeof value);
}

/// Accepted sockets inherit these: no system call per connection.
void prepare_listener(int fd) noexcept
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    // A client that closed while it waits for its answer looks like one that has only finished sending, until
    // it leaves these probes unanswered.
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 10);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

} // namespace

Server::Server(WorkerState& worker, int listen_fd)
    : worker_(worker), listener_(worker.loop, listen_fd), timer_(worker.loop.get_executor())
{
    prepare_listener(listen_fd);
    shared::wake_one(listen_fd);
}

Server::~Server()
{
    closed_ = true;
    shared::wake_one(-1);
    abort_sessions();
}

void Server::start()
{
    worker_.on_session_end = [this] { check_drained(); };
    tick();
}

void Server::serve()
{
    held_ = false;
    if (!accepting_ && !worker_.draining && !closed_) accept_loop();
}

shared::net::Detached Server::accept_loop()
{
    accepting_ = true;
    while (!closed_) {
        const bool waited = co_await listener_.readable();
        if (!waited || closed_ || !accept_waiting()) break;
    }
    accepting_ = false;
}

bool Server::accept_waiting()
{
    for (int i = 0; i < kAcceptBatchMax; ++i) {
        sockaddr_storage peer{};
        socklen_t size = sizeof peer;
        const int fd = ::accept4(
            listener_.fd(),
            reinterpret_cast<sockaddr*>(&peer), // NOLINT: the C interface
            &size,
            SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            Session::start(worker_, sessions_, fd, address_of(peer));
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) break;
        if (errno == EINTR || errno == ECONNABORTED) continue;
        // Out of descriptors or memory: the connection stays queued; the next tick tries again.
        shared::log::warn("event=accept_failed errno={}", errno);
        return false;
    }
    return true;
}

void Server::schedule_tick()
{
    timer_.expires_after(worker_.deadlines.granularity());
    timer_.async_wait([this](boost::system::error_code error) {
        if (!error && !closed_) tick();
    });
}

void Server::tick()
{
    const std::int64_t now_us = shared::now_monotonic_us();
    worker_.row().heartbeat_us.store(now_us, std::memory_order_relaxed);
    shared::publish_waiting(worker_.segment, worker_.slot);
    shared::fold_costs(worker_.segment, worker_.slot, shared::MonotonicMillis(now_us / 1000));
    worker_.deadlines.tick(now_us / 1000);
    worker_.pool.expire(now_us / 1000);
    shared::log::flush();
    // Another process of this socket may have been woken for a connection and ended before it took it.
    if (accepting_ && !worker_.draining) (void)accept_waiting();
    if (!held_) serve();
    schedule_tick();
}

void Server::drain(bool patient, std::function<void()> on_drained)
{
    if (!worker_.draining) {
        worker_.draining = true;
        on_drained_ = std::move(on_drained);
        worker_.row().state.store(shared::SlotState::draining, std::memory_order_relaxed);
        // Only our descriptor: what is queued there is for the process that takes over.
        shared::wake_one(-1);
        listener_.abort();
        boost::system::error_code ignored;
        listener_.descriptor().close(ignored);
        worker_.pool.clear();
    }
    worker_.patient = patient;
    for (auto it = sessions_.begin(); it != sessions_.end();)
        (it++)->drain(patient);
    check_drained();
}

void Server::abort_sessions() noexcept
{
    worker_.waits.close(); // those in the queue are told
    for (auto it = sessions_.begin(); it != sessions_.end();)
        (it++)->abort();
}

void Server::check_drained()
{
    if (!worker_.draining || !sessions_.empty() || !on_drained_) return;
    const std::function<void()> done = std::exchange(on_drained_, nullptr);
    done();
}

} // namespace worker
