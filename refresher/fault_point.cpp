#include "refresher/fault_point.hpp"

#ifdef CODEX_POOL_FAULTS

#include <csignal>
#include <cstdlib>
#include <string>

#include <unistd.h>

namespace refresher {
namespace {

struct Fault {
    std::string name;
    long count = 0;
};

Fault from_environment()
{
    const char* text = std::getenv("CODEX_POOL_FAULT_POINT");
    const std::string_view all = text != nullptr ? text : "";
    const std::size_t colon = all.rfind(':');
    if (colon == std::string_view::npos) return {};
    return {std::string(all.substr(0, colon)), std::strtol(all.data() + colon + 1, nullptr, 10)};
}

} // namespace

void fault_point(std::string_view name) noexcept
{
    static Fault fault = from_environment();
    if (fault.count <= 0 || name != fault.name) return;
    if (--fault.count == 0) (void)::kill(::getpid(), SIGKILL);
}

} // namespace refresher

#endif
