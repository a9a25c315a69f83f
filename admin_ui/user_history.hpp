/// What each user has used this day and this week, from the hourly roll-ups of the usage database. Read-only.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/units.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>

namespace admin_ui {

/// Billable tokens.
struct UserTokens {
    std::uint64_t day = 0;
    std::uint64_t week = 0;
};

/// By user id. Days and weeks as in shared/segment/user_table.hpp: UTC, from Monday. A database that is not there yet
/// gives nothing.
[[nodiscard]] shared::Result<std::unordered_map<std::string, UserTokens>>
read_user_tokens(const std::filesystem::path& database, shared::UnixMillis now);

} // namespace admin_ui
