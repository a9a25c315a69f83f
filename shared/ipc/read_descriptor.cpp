#include "shared/ipc/read_descriptor.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <unistd.h>

namespace shared {

Result<std::string> read_descriptor(int fd)
{
    const std::string where = "inherited descriptor " + std::to_string(fd);
    std::string text;
    std::array<char, 16384> part;
    for (;;) {
        const ssize_t got = pread(fd, part.data(), part.size(), static_cast<off_t>(text.size()));
        if (got == 0) return Result<std::string>(boost::system::in_place_value, std::move(text));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            return Problem{
                where,
                std::string("cannot be read: ") + std::strerror(errno),
                "restart codex-pool"};
        }
        text.append(part.data(), static_cast<std::size_t>(got));
        if (text.size() > kDescriptorBytesMax) {
            return Problem{where, "holds more than any configuration", "restart codex-pool"};
        }
    }
}

} // namespace shared
