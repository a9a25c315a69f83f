/// Reads the file of `codex-pool accounts add`.
#pragma once

#include "shared/base/result.hpp"

#include <string>

namespace supervisor {

/// "-" is standard input. Problem: it cannot be read, or is larger than a credential file. The caller clears the text.
[[nodiscard]] shared::Result<std::string> read_upload(const std::string& name);

} // namespace supervisor
