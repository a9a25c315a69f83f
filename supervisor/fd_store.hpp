/// Descriptors that systemd keeps while this process is gone: the file-descriptor store of sd_notify(3), and those
/// that a socket unit gave (sd_listen_fds(3)). Without libsystemd.
#pragma once

#include "supervisor/notify.hpp"
#include "supervisor/owned_fd.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace supervisor {

/// Names in the store.
inline constexpr std::string_view kStoredSegment = "segment";
inline constexpr std::string_view kStoredAdmin = "admin";
inline constexpr std::string_view kStoredListener = "listener";
inline constexpr std::string_view kStoredDrainer = "drainer"; ///< our end of its control socket

struct NamedFd {
    std::string name;
    OwnedFd fd;
};

/// What systemd passed to this process, close-on-exec from now on; empty if nothing, or if it was for another process.
/// Neither children nor a second call see it.
[[nodiscard]] std::vector<NamedFd> take_passed_descriptors();

/// Whether a socket listens for TCP connections: one of a socket unit, or one of ours.
[[nodiscard]] bool is_tcp_listener(int fd) noexcept;

} // namespace supervisor
