/// The listening sockets: opened once, before any child, and kept over every restart of a worker, so that connections
/// queued at a dead worker's socket are served by its replacement.
#pragma once

#include "shared/base/result.hpp"
#include "shared/config/config.hpp"
#include "supervisor/owned_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace supervisor {

class Listeners {
public:
    /// Opens `count` SO_REUSEPORT sockets on one address; port 0 becomes one free port for all. A port that anybody
    /// listens on already is refused, even if sharing it would work; but those of `kept` that are bound to this address
    /// are used first, and the others closed.
    [[nodiscard]] static shared::Result<Listeners>
    open(const shared::ListenAddress& address, std::size_t count, std::vector<OwnedFd> kept = {});
    /// Those of a socket unit; several workers may share one. None is empty.
    [[nodiscard]] static Listeners given(std::vector<OwnedFd> sockets);

    /// Takes over listening sockets that are bound to this address; fewer than workers are a socket unit's.
    [[nodiscard]] static Listeners adopt(
        const shared::ListenAddress& address, const std::vector<int>& sockets, std::size_t workers);

    /// With the port that was really bound.
    [[nodiscard]] const shared::ListenAddress& address() const noexcept { return address_; }

    /// Of worker `number`.
    [[nodiscard]] int fd(std::size_t number) const noexcept
    {
        return sockets_.at(number % sockets_.size()).get();
    }

    /// Nobody will accept on this one any more: the kernel must not queue connections there.
    void close(std::size_t number) noexcept
    {
        if (!given_) sockets_.at(number).reset();
    }

    /// Of a socket unit.
    [[nodiscard]] bool are_given() const noexcept { return given_; }

    /// All that are open.
    [[nodiscard]] std::vector<int> fds() const;

    void close_all() noexcept { sockets_.clear(); }

private:
    std::vector<OwnedFd> sockets_;
    bool given_ = false; ///< shared, and not ours to close one by one
    shared::ListenAddress address_;
};

/// A listening AF_UNIX socket under a name the kernel chose, which exists nowhere in the file system.
struct UnixListener {
    OwnedFd socket;
    std::string name; ///< abstract name, without its leading zero byte
};

[[nodiscard]] shared::Result<UnixListener> open_unix_listener();
/// One that another program opened.
[[nodiscard]] UnixListener adopt_unix_listener(int fd);

} // namespace supervisor
