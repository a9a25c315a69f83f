/// How much memory a process has for itself.
#pragma once

#include <cstdint>
#include <optional>

#include <sys/types.h>

namespace supervisor {

/// Resident bytes that belong to this process alone: without the segment, the program and its libraries. Nothing if it
/// is gone.
[[nodiscard]] std::optional<std::uint64_t> private_bytes(pid_t pid);

} // namespace supervisor
