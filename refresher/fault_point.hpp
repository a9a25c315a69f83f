/// Named places at which a test can have the refresher killed: what a power cut does, made repeatable.
///
/// In builds with tests CODEX_POOL_FAULT_POINT=NAME:N ends the process with SIGKILL when it comes to that place for
/// the Nth time. Elsewhere (the release build) the calls are empty.
#pragma once

#include <string_view>

namespace refresher {

#ifdef CODEX_POOL_FAULTS
void fault_point(std::string_view name) noexcept;
#else
inline void fault_point(std::string_view /*name*/) noexcept {}
#endif

} // namespace refresher
