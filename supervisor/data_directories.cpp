#include "supervisor/data_directories.hpp"

#include "shared/base/read_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace supervisor {

namespace {

/// Makes `folder` and what is missing above it, each 0700.
int make_private(const std::filesystem::path& folder)
{
    std::error_code ignored;
    if (std::filesystem::is_directory(folder, ignored)) return 0;
    if (folder.has_relative_path()) {
        if (const int error = make_private(folder.parent_path()); error != 0) return error;
    }
    if (::mkdir(folder.c_str(), 0700) == 0) return 0;
    const int error = errno;
    return error == EEXIST && std::filesystem::is_directory(folder, ignored) ? 0 : error;
}

} // namespace

std::vector<std::filesystem::path> missing_data_directories(const shared::Config& config)
{
    std::vector<std::filesystem::path> missing;
    for (const auto& file : {config.db_path, config.users_path}) {
        const std::filesystem::path folder = file.parent_path();
        std::error_code ignored;
        if (folder.empty() || std::filesystem::is_directory(folder, ignored)) continue;
        if (std::find(missing.begin(), missing.end(), folder) == missing.end())
            missing.push_back(folder);
    }
    return missing;
}

shared::Result<void> create_data_directories(const shared::Config& config)
{
    for (const auto& folder : missing_data_directories(config)) {
        const int error = make_private(folder);
        if (error != 0)
            return shared::Problem{
                shared::printable(folder.string()),
                fmt::format("the data folder cannot be made: {}", std::strerror(error)),
                "make it, or set db_path (PROXY_DB_PATH) and pool_users.storage_path "
                "(POOL_USERS_PATH)"};
    }
    const std::filesystem::path data = config.db_path.parent_path();
    if (::faccessat(AT_FDCWD, data.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
        return shared::Problem{
            shared::printable(data.string()),
            fmt::format("the data folder cannot be written: {}", std::strerror(errno)),
            "give it to the user that runs codex-pool, or set db_path (PROXY_DB_PATH)"};
    return {};
}

} // namespace supervisor
