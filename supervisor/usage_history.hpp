/// Request rows of the usage database as a trace for `simulate`. Reads only; the pool may be running.
#pragma once

#include "shared/base/result.hpp"
#include "shared/providers/provider.hpp"
#include "shared/simulation/trace.hpp"

#include <filesystem>

namespace supervisor {

/// Requests that some account answered and that began at `since` or later, by time. A file that is not there, or not
/// ours, is a Problem.
[[nodiscard]] shared::Result<shared::simulation::Trace> read_history(
    const std::filesystem::path& path,
    const shared::ProviderRegistry& registry,
    shared::UnixMillis since);

} // namespace supervisor
