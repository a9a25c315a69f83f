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
    /// listens on already is refused, even if sharing it would work.
    [[nodiscard]] static shared::Result<Listeners>
    open(const shared::ListenAddress& address, std::size_t count);

    /// With the port that was really bound.
    [[nodiscard]] const shared::ListenAddress& address() const noexcept { return address_; }

    [[nodiscard]] int fd(std::size_t number) const noexcept { return sockets_.at(number).get(); }

    /// Nobody will accept on this one any more: the kernel must not queue connections there.
    void close(std::size_t number) noexcept { sockets_.at(number).reset(); }

    void close_all() noexcept { sockets_.clear(); }

private:
    std::vector<OwnedFd> sockets_;
    shared::ListenAddress address_;
};

/// A listening AF_UNIX socket under a name the kernel chose, which exists nowhere in the file system.
struct UnixListener {
    OwnedFd socket;
    std::string name; ///< abstract name, without its leading zero byte
};

[[nodiscard]] shared::Result<UnixListener> open_unix_listener();

} // namespace supervisor
