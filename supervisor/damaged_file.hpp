/// What becomes of a saved copy that cannot be read.
#pragma once

#include <filesystem>
#include <string>

namespace supervisor {

/// Renames it to FILE.damaged, in place of an older one. What a log line says of that: "; the file is kept as …", or
/// nothing if it could not be renamed.
[[nodiscard]] std::string keep_damaged_aside(const std::filesystem::path& file);

} // namespace supervisor
