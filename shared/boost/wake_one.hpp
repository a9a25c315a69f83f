/// A listening socket that several processes wait for: of those that sleep, the kernel wakes one per connection
/// (EPOLLEXCLUSIVE) and not all. Asio has no such option, so its calls of epoll_ctl go through here (asio.cpp).
///
/// The one that was woken may end before it accepts, and nobody else is woken for that connection: whoever waits
/// looks now and then of his own accord.
#pragma once

namespace shared {

/// The socket of this process, from its next wait on; -1 = none. To be taken back before the descriptor is closed,
/// because its number may then become another socket's.
void wake_one(int listening_fd) noexcept;

} // namespace shared
