/// Which file it was that was read: after a change by anybody it has another stamp.
#pragma once

#include <cstdint>
#include <filesystem>

namespace admin_ui {

struct FileStamp {
    std::int64_t modified_ns = 0;
    std::uint64_t size = 0;
    std::uint64_t inode = 0;
    bool exists = false;

    friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

/// Of the file as it stands now; that of a missing one is empty.
[[nodiscard]] FileStamp stamp_of(const std::filesystem::path& file);

} // namespace admin_ui
