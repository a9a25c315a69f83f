/// control.sock in the data folder: how the owner's commands reach the admin child, without a password. Only the user
/// who runs the pool (and root) may connect: by the file's mode, and by the peer's credentials (admin_ui/server).
#pragma once

#include "shared/base/result.hpp"
#include "supervisor/owned_fd.hpp"

#include <filesystem>

#include <sys/un.h>

namespace supervisor {

inline constexpr const char* kControlSocketName = "control.sock";

/// The address of control.sock in a folder, however long the folder's path is: one that does not fit into an address
/// (107 bytes) is gone to by way of /proc.
struct ControlAddress {
    OwnedFd folder; ///< open for as long as the address is used
    sockaddr_un address{};
    socklen_t size = 0;
};

[[nodiscard]] shared::Result<ControlAddress> control_address(const std::filesystem::path& folder);

/// The listening socket. Removes the file when it goes.
class ControlSocket {
public:
    /// Replaces what an earlier run left. The folder must be locked (data_folder.hpp), so that a socket there is
    /// nobody's any more. Anything that is no socket is left alone: a Problem.
    [[nodiscard]] static shared::Result<ControlSocket> open(const std::filesystem::path& folder);

    /// Takes over the listening socket that is bound to the folder's file.
    [[nodiscard]] static ControlSocket adopt(int fd, const std::filesystem::path& folder);

    ControlSocket() = default;
    ControlSocket(ControlSocket&&) noexcept = default;
    ControlSocket& operator=(ControlSocket&&) noexcept = default;
    ControlSocket(const ControlSocket&) = delete;
    ControlSocket& operator=(const ControlSocket&) = delete;
    ~ControlSocket();

    /// -1 if there is none.
    [[nodiscard]] int fd() const noexcept { return socket_.get(); }

private:
    OwnedFd socket_;
    std::filesystem::path path_;
};

} // namespace supervisor
