/// The key that signs what pool users get, where the configuration names none.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"

#include <filesystem>

namespace supervisor {

/// Reads `jwt_secret` in `folder`, the users file's; makes it (0600, 64 random hexadecimal characters) if there is
/// none. Problem: it cannot be read, written, or is too short to be safe; it is never overwritten.
[[nodiscard]] shared::Result<shared::Secret> signing_key(const std::filesystem::path& folder);

} // namespace supervisor
