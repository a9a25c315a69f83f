/// The drainer: a role of the program that carries on with a segment which no supervisor looks after any more. It takes
/// the usage of its workers into the database until the last of them has ended. It serves nobody.
///
/// It comes in two ways (docs/upgrade.md): an upgrade to a program of another layout starts one of the old program, and
/// a refresher whose supervisor is lost, where no service manager keeps the segment, becomes one.
#pragma once

#include "shared/ipc/messages.hpp"

namespace supervisor {

/// Beside the descriptors of every child: memory that takes the copy of pins and evidence. Not open where nobody wants
/// it.
inline constexpr int kStateFd = 7;

/// With `hold` it only empties the rings until it is told to `drain` or its supervisor is gone: up to then the workers
/// belong to that one. Told to `drain` it first writes what the segment knows into kStateFd, and says `ready`. The exit
/// code: 0 = nothing is left to do.
[[nodiscard]] int run_drainer(const shared::ChildArguments& arguments);

} // namespace supervisor
