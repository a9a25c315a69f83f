/// Copies of the usage database, and whether one is whole. SQLite stays in database_copy.cpp.
#pragma once

#include "shared/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>

namespace supervisor::shell {

/// Copies the database as it is at one instant, while others go on writing to it, into a file that does not exist yet.
/// `progress` hears of pages done and pages in all.
[[nodiscard]] shared::Result<void> copy_database(
    const std::filesystem::path& from,
    const std::filesystem::path& to,
    const std::function<void(std::uint64_t, std::uint64_t)>& progress);

/// A Problem if it is damaged, or of a version that this program does not know.
[[nodiscard]] shared::Result<void> check_database(const std::filesystem::path& file);

} // namespace supervisor::shell
