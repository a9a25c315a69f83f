/// Asio, compiled once for the program (BOOST_ASIO_SEPARATE_COMPILATION), with its calls of epoll led through here:
/// two things that epoll can do cannot be said to Asio (wake_one.hpp, readiness.hpp).
#include "shared/boost/readiness.hpp"
#include "shared/boost/wake_one.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <sys/epoll.h>

namespace {

std::atomic<int> shared_listener{-1}; // one per process, as the worker's listening socket is

/// Asio adds a descriptor once and modifies it at every wait. The kernel takes EPOLLEXCLUSIVE only with an addition; so
/// each wait is one, which also puts the process at the end of those that wait: they take turns. Before the first wait
/// the descriptor is added as Asio does it, which takes no connection away from those that do wait.
int wait_alone(int epoll, int fd, const epoll_event& event) noexcept
{
    epoll_event alone = event;
    alone.events = EPOLLIN | EPOLLET | EPOLLEXCLUSIVE;
    (void)::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr);
    return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &alone);
}

/// What is known of a followed socket. Belongs to the one thread that runs the socket's loop.
struct Followed {
    enum class State : std::uint8_t {
        no,      ///< somebody else's
        chosen,  ///< to be followed from its addition on
        unknown, ///< there may be something to read
        dry,     ///< read to the end; what comes after that raises an event
        ended, ///< the peer has ended or broken it: a read may find bytes and leave the end unread
    };

    void* owner = nullptr;    ///< what Asio wants to be told with an event
    std::uint32_t events = 0; ///< it is registered for these
    State state = State::no;
};

using State = Followed::State;

// By descriptor. Sockets beyond are not followed; pages nobody uses take no memory.
constinit std::array<Followed, 65536> followed{};

constinit thread_local int begins_to_read = -1;

Followed* look_up(int fd) noexcept
{
    const auto index = static_cast<std::size_t>(fd);
    return index < followed.size() ? &followed[index] : nullptr;
}

/// Registers a followed socket: for its end as well, and under its number, which no address is as small as.
int follow(int epoll, int operation, int fd, std::uint32_t events) noexcept
{
    epoll_event own{};
    own.events = events | EPOLLRDHUP;
    own.data.u64 = static_cast<std::uint64_t>(fd);
    return ::epoll_ctl(epoll, operation, fd, &own);
}

int add(int epoll, int fd, epoll_event* event) noexcept
{
    Followed* known = look_up(fd);
    if (known == nullptr || known->state != State::chosen) {
        if (known != nullptr) known->state = State::no; // the number was another socket's
        return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, event);
    }
    *known = {event->data.ptr, event->events, State::unknown};
    return follow(epoll, EPOLL_CTL_ADD, fd, event->events);
}

/// Asio asks for the event again at each wait, for it cannot know whether the last one was used up.
int modify(int epoll, int fd, epoll_event* event) noexcept
{
    Followed* known = look_up(fd);
    if (known == nullptr || known->state == State::no)
        return ::epoll_ctl(epoll, EPOLL_CTL_MOD, fd, event);
    const bool reads = fd == begins_to_read;
    if (known->state == State::dry && reads && event->events == known->events) return 0;
    known->events = event->events;
    return follow(epoll, EPOLL_CTL_MOD, fd, event->events);
}

int pool_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept
{
    if (operation == EPOLL_CTL_ADD) return add(epoll, fd, event);
    if (operation != EPOLL_CTL_MOD) return ::epoll_ctl(epoll, operation, fd, event);
    if (fd == shared_listener.load(std::memory_order_relaxed)) return wait_alone(epoll, fd, *event);
    return modify(epoll, fd, event);
}

int pool_epoll_wait(int epoll, epoll_event* events, int size, int timeout) noexcept
{
    const int count = ::epoll_wait(epoll, events, size, timeout);
    for (int i = 0; i < count; ++i) {
        epoll_event& event = events[i]; // NOLINT: an array of the caller's
        if (event.data.u64 >= followed.size()) continue;
        Followed& known = followed[event.data.u64];
        // Urgent bytes end a read before those behind them.
        const bool ended = (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0;
        known.state = ended ? State::ended : State::unknown;
        event.data.ptr = known.owner;
    }
    return count;
}

} // namespace

void shared::wake_one(int listening_fd) noexcept
{
    shared_listener.store(listening_fd, std::memory_order_relaxed);
}

void shared::follow_readiness(int fd) noexcept
{
    if (Followed* known = look_up(fd)) known->state = State::chosen;
}

void shared::ran_dry(int fd) noexcept
{
    Followed* known = look_up(fd);
    if (known != nullptr && known->state == State::unknown) known->state = State::dry;
}

shared::BeginsToRead::BeginsToRead(int fd) noexcept
{
    begins_to_read = fd;
}

// Whatever begins next, be it a wait to write, must not be taken for this one.
shared::BeginsToRead::~BeginsToRead()
{
    begins_to_read = -1;
}

#define epoll_ctl pool_epoll_ctl
#define epoll_wait pool_epoll_wait
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#undef epoll_wait
#undef epoll_ctl
