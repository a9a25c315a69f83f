/// The refresher: the only process of the tree that opens credential files.
#pragma once

#include "shared/ipc/messages.hpp"

namespace refresher {

/// Loads the pool folder, publishes accounts into the segment, reloads on request; returns the exit code.
[[nodiscard]] int run(const shared::ChildArguments& arguments);

} // namespace refresher
