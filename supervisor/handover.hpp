/// What one supervisor hands to the program that takes over from it in the same process (upgrade.hpp): descriptors that
/// stay open over the exec, and the children. Text, one fact a line, in a memfd; facts that the reader does not know
/// are passed over, so that versions can differ.
#pragma once

#include "shared/base/result.hpp"
#include "supervisor/child_table.hpp"
#include "supervisor/owned_fd.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace supervisor {

/// Of this format and of what both sides expect of each other: messages to children, their descriptors.
inline constexpr std::uint32_t kHandoverVersion = 1;
/// Environment variable: number of the descriptor with the text.
inline constexpr const char* kHandoverVariable = "CODEX_POOL_HANDOVER";

struct Handover {
    struct Process {
        Role role = Role::worker;
        std::uint16_t number = 0; ///< of its place among those of its role
        Child child;              ///< but for `place`
        int control_fd = -1;
    };

    /// Reads a segment of another layout than that of the program that goes on (drainers.hpp).
    struct Drainer {
        pid_t pid = 0; ///< 0 = it is no child of this process; -1 = it died, another is to be started
        int control_fd = -1;
        int program_fd = -1; ///< these three start another one, should it die; -1 = it cannot be
        int segment_fd = -1;
        int config_fd = -1;
        int state_fd = -1; ///< memory that it writes pins and evidence into when it is let go
        bool held = false; ///< its workers are still those of the program that started it
    };

    std::uint32_t layout = 0; ///< of the segment
    bool can_drain = false;   ///< a program of another layout may take over: a drainer goes on with the segment
    std::string version;      ///< of the program that wrote this
    std::string binary;       ///< path that the pool was started by
    std::string listen_host;  ///< what the listeners are bound to
    std::uint16_t listen_port = 0;
    std::uint32_t last_generation = 0;
    std::uint64_t request = 0; ///< number of whoever asked for the upgrade; 0 = nobody waits
    std::string refused;       ///< why the newer program gave it back; empty = this is an upgrade

    int lock_fd = -1;
    int segment_fd = -1;
    int config_fd = -1;  ///< the effective configuration
    int admin_fd = -1;   ///< where the admin child listens
    int control_fd = -1; ///< control.sock; -1 = there is none
    int program_fd = -1; ///< the program that wrote this, to give it back to
    std::vector<int> listener_fds;
    std::vector<Process> processes;
    std::vector<Drainer> drainers;

    /// All that have to stay open.
    [[nodiscard]] std::vector<int> descriptors() const;
};

[[nodiscard]] std::string to_text(const Handover& handover);
/// A Problem if it is no handover, or one of another version.
[[nodiscard]] shared::Result<Handover> handover_from_text(std::string_view text);
/// What the environment names; a Problem if it cannot be read. `fd` stays open.
[[nodiscard]] shared::Result<Handover> read_handover(int fd);

} // namespace supervisor
