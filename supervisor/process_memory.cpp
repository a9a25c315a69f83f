#include "supervisor/process_memory.hpp"

#include <fstream>
#include <string>

#include <unistd.h>

namespace supervisor {

std::optional<std::uint64_t> private_bytes(pid_t pid)
{
    // statm, not smaps_rollup: that one walks the page tables under the process's own lock.
    std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
    std::uint64_t size = 0;
    std::uint64_t resident = 0;
    std::uint64_t shared = 0;
    if (!(file >> size >> resident >> shared) || shared > resident) return std::nullopt;
    return (resident - shared) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

} // namespace supervisor
