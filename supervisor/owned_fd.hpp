/// The name under which the supervisor's parts know a descriptor's owner.
#pragma once

#include "shared/base/owned_fd.hpp"

namespace supervisor {

using shared::OwnedFd;

} // namespace supervisor
