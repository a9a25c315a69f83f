/// What is only right or wrong about a configuration as a whole, or together with files. Private to shared/config.
#pragma once

#include "shared/config/config_values.hpp"

#include <cstddef>
#include <filesystem>
#include <string_view>
#include <vector>

namespace shared {

/// Decides `shared_mode` and finds what must not start: an open listener without protection, a database of the program
/// this one takes after. Also appends warnings: a broken users file means that there are users, whom nobody knows, so
/// the pool is shared and lets none of them in. Reads files, changes none.
void check_whole(Config& config, const ConfigValues& values, std::vector<Problem>& problems);

/// How many users the file holds; 0 if there is none. A file that cannot be understood is a Problem.
[[nodiscard]] Result<std::size_t> count_pool_users(const std::filesystem::path& file);

/// Whether a users file's text is one: a JSON list, or an object with a list as "users".
[[nodiscard]] bool is_users_text(std::string_view text);
/// What is wrong with a file that is not.
[[nodiscard]] Problem no_users_list(const std::filesystem::path& file);

/// A file larger than this is no list of users.
inline constexpr std::size_t kUsersBytesMax = 64U << 20U;

} // namespace shared
