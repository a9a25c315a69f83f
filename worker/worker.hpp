/// The proxy worker: one event loop that accepts, authenticates, picks, relays and counts.
#pragma once

#include "shared/ipc/messages.hpp"

namespace worker {

/// Runs until drained or told to stop; returns the exit code. Called by main() in the exec'ed child, with the
/// descriptors of messages.hpp open.
[[nodiscard]] int run(const shared::ChildArguments& arguments);

} // namespace worker
