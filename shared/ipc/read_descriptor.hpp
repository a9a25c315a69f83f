/// Reads what the supervisor handed over in a descriptor: the effective configuration in a memfd.
#pragma once

#include "shared/base/result.hpp"

#include <cstddef>
#include <string>

namespace shared {

/// More than this is no configuration.
inline constexpr std::size_t kDescriptorBytesMax = 4U << 20U;

/// Everything in `fd` from its beginning; its own offset, shared between all children, is neither used nor moved.
[[nodiscard]] Result<std::string> read_descriptor(int fd);

} // namespace shared
