/// Puts a new text into a credential file so that at every instant the file is the old one or the new one, whole.
#pragma once

#include "shared/base/result.hpp"

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace refresher {

/// One replacement: prepared before anything depends on it, committed once. Until then the old file is untouched.
class FileReplacement {
public:
    /// Makes a temporary file beside `file` (behind a symbolic link: beside what it points to) with room for
    /// `bytes_max` bytes: what would prevent the replacement is found out here. Problem: no such file, the folder
    /// cannot be written, no room.
    [[nodiscard]] static shared::Result<FileReplacement>
    prepare(const std::filesystem::path& file, std::size_t bytes_max);

    FileReplacement(FileReplacement&& other) noexcept;
    FileReplacement& operator=(FileReplacement&& other) = delete;
    FileReplacement(const FileReplacement&) = delete;
    FileReplacement& operator=(const FileReplacement&) = delete;
    /// Removes the temporary file if it was not committed.
    ~FileReplacement();

    /// Writes, brings to the disk, takes the file's place, brings the folder to the disk. Mode 0600; the owner stays
    /// where this process may say so. On a Problem the old file is still there.
    [[nodiscard]] shared::Result<void> commit(std::string_view text);

private:
    FileReplacement() = default;

    std::filesystem::path target_;
    std::filesystem::path temporary_;
    int fd_ = -1;
};

/// Brings a file and its folder to the disk as they are.
[[nodiscard]] shared::Result<void> sync_file(const std::filesystem::path& file);

} // namespace refresher
