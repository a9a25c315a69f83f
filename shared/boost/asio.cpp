/// Asio, compiled once for the program (BOOST_ASIO_SEPARATE_COMPILATION).
#include "shared/boost/wake_one.hpp"

#include <atomic>

#include <sys/epoll.h>

namespace {

std::atomic<int> shared_listener{-1}; // one per process, as the worker's listening socket is

/// Asio adds a descriptor once and modifies it at every wait. The kernel takes EPOLLEXCLUSIVE only with an addition; so
/// each wait is one, which also puts the process at the end of those that wait: they take turns. Before the first wait
/// the descriptor is added as Asio does it, which takes no connection away from those that do wait.
int pool_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept
{
    if (operation != EPOLL_CTL_MOD || fd != shared_listener.load(std::memory_order_relaxed))
        return ::epoll_ctl(epoll, operation, fd, event);
    epoll_event alone = *event;
    alone.events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE;
    (void)::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, event);
    return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &alone);
}

} // namespace

void shared::wake_one(int listening_fd) noexcept
{
    shared_listener.store(listening_fd, std::memory_order_relaxed);
}

#define epoll_ctl pool_epoll_ctl
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#undef epoll_ctl
