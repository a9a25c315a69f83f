#include "admin_ui/file_stamp.hpp"

#include <sys/stat.h>

namespace admin_ui {

FileStamp stamp_of(const std::filesystem::path& file)
{
    struct stat status = {};
    if (::stat(file.c_str(), &status) != 0) return {};
    FileStamp made;
    made.exists = true;
    made.modified_ns = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
    made.size = static_cast<std::uint64_t>(status.st_size);
    made.inode = status.st_ino;
    return made;
}

} // namespace admin_ui
