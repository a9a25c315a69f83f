/// Fewer system calls per wait. Asio asks epoll anew at every wait for a socket to become readable, in case
/// something was left unread. Whoever reads a socket to its end knows better and says so; the next wait then costs
/// nothing (asio.cpp).
///
/// Only for TCP sockets: of these a read that gives less than was asked for has left nothing behind.
#pragma once

namespace shared {

/// The next addition of `fd` to an event loop begins this for it; to be said before each. One loop, on one thread,
/// waits for the socket and calls ran_dry().
void follow_readiness(int fd) noexcept;

/// A read of `fd` was shorter than asked for, or found nothing. Does nothing for a socket that is not followed.
void ran_dry(int fd) noexcept;

/// Around the beginning of a wait for `fd` to become readable; -1 = another wait. Asio, which has once waited to write,
/// asks for both at every later wait, and only this tells what the wait is for.
class BeginsToRead {
public:
    explicit BeginsToRead(int fd) noexcept;
    BeginsToRead(const BeginsToRead&) = delete;
    BeginsToRead(BeginsToRead&&) = delete;
    BeginsToRead& operator=(const BeginsToRead&) = delete;
    BeginsToRead& operator=(BeginsToRead&&) = delete;
    ~BeginsToRead();
};

} // namespace shared
