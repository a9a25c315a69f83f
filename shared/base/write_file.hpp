/// Replaces a small file so that at every instant it is the old one or the new one, whole.
#pragma once

#include "shared/base/result.hpp"

#include <filesystem>
#include <string_view>

namespace shared {

/// Writes a temporary file beside it (mode 0600), brings it to the disk, renames it, brings the folder to the disk. A
/// symbolic link is replaced, not followed. Problem: the old file is still there; names the file and the errno's text.
[[nodiscard]] Result<void> replace_file(const std::filesystem::path& file, std::string_view bytes);

/// The same for a file that must not be there yet: one that is stays as it is, which is a Problem.
[[nodiscard]] Result<void> create_file(const std::filesystem::path& file, std::string_view bytes);

} // namespace shared
