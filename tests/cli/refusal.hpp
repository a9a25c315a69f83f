/// Any of the pool's own errors on demand, byte for byte as the pool would tell it to this client: so that a real CLI
/// can be shown each one without a pool that has got into that state.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

/// The whole answer to a request with this head, if it spends tokens and FOLDER/refuse says "KIND [SECONDS]" (KIND as
/// in PoolError, SECONDS until it is over; none = unknown). Throws std::runtime_error for a kind there is not.
[[nodiscard]] std::optional<std::string>
refusal_of(const std::filesystem::path& folder, const std::string& head);
