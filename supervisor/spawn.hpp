/// Starts a child: fork and exec of this same program, with exactly the descriptors it is meant to have.
///
/// A child inherits no event loop, database handle, thread or allocator state. PR_SET_PDEATHSIG is not used: EOF on
/// the control descriptor tells a child that the supervisor died.
#pragma once

#include "shared/base/result.hpp"
#include "supervisor/owned_fd.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace supervisor {

struct SpawnRequest {
    std::string program = "/proc/self/exe"; ///< also right after an upgrade replaced the file
    std::vector<std::string> arguments;     ///< with argv[0]
    /// Descriptors the child gets: {ours, its number}; numbers from 3 on, increasing. All others are closed but 0-2.
    std::vector<std::pair<int, int>> descriptors;
};

/// The child's pid. It starts with SIGINT, SIGTERM and SIGHUP ignored (a terminal's Ctrl-C and systemd signal the whole
/// group; only the control socket commands a child) and all other signals as usual.
[[nodiscard]] shared::Result<pid_t> spawn(const SpawnRequest& request);

/// Waits for the end of a child of this process, at most so long; its exit status is thrown away. True = it has ended.
[[nodiscard]] bool wait_for_end(pid_t pid, std::chrono::milliseconds max);
/// SIGKILL, and waits.
void kill_and_wait(pid_t pid);

/// Two connected SOCK_SEQPACKET ends: ours, the child's.
[[nodiscard]] shared::Result<std::pair<OwnedFd, OwnedFd>> control_pair();

/// An anonymous file that holds `text` and that nobody can change any more.
[[nodiscard]] shared::Result<OwnedFd> sealed_text(std::string_view text);

/// A descriptor of its own on the same file: with its own read position, read-only.
[[nodiscard]] shared::Result<OwnedFd> reopen(int fd);

} // namespace supervisor
