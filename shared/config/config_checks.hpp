/// What is only right or wrong about a configuration as a whole, or together with files. Private to shared/config.
#pragma once

#include "shared/config/config_values.hpp"

#include <cstddef>
#include <filesystem>
#include <vector>

namespace shared {

/// Decides `shared_mode` and finds what must not start: an open listener without protection, a database of the program
/// this one takes after, a broken users file. Also appends warnings. Reads files, changes none.
void check_whole(Config& config, const ConfigValues& values, std::vector<Problem>& problems);

/// How many users the file holds; 0 if there is none. A file that cannot be understood is a Problem.
[[nodiscard]] Result<std::size_t> count_pool_users(const std::filesystem::path& file);

/// A file larger than this is no list of users.
inline constexpr std::size_t kUsersBytesMax = 64U << 20U;

} // namespace shared
