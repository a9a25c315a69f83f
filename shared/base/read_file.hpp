/// Reads a small file as a whole: configuration, credentials, user lists.
///
/// Nothing but a regular file is ever read (a FIFO or device could block or have effects), and the size is looked at
/// before the first byte.
#pragma once

#include "shared/base/result.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace shared {

struct FileText {
    std::string bytes;
    unsigned mode = 0; ///< permission bits, without the one that root gives to a group on purpose
    bool missing = false; ///< there is no such file; `bytes` is empty
};

/// A file that does not exist is no Problem (`missing`), a dangling symbolic link is. `what` says what the file is, for
/// the remedy ("credential file"). Symbolic links are followed.
[[nodiscard]] Result<FileText>
read_file(const std::filesystem::path& file, std::size_t bytes_max, const char* what);

/// A warning with the command that mends it if others than the owner may read or write; else empty.
[[nodiscard]] std::string exposure_warning(const std::filesystem::path& file, unsigned mode);

/// `text` as one word of a shell command, and with control characters replaced so that it cannot forge terminal output.
[[nodiscard]] std::string shell_quoted(const std::string& text);

/// `text` with control characters (and bytes that are no UTF-8) replaced by '?'.
[[nodiscard]] std::string printable(std::string_view text);

/// Whether all of `text` is well-formed UTF-8 (no surrogates, no overlong forms).
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

} // namespace shared
