/// One user as an entry of the users file: JSON in, JSON out, and what may stand in it.
#pragma once

#include "admin_ui/user_store.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace admin_ui {

/// A Problem's `what` says why this entry cannot be used. Strict: what is not understood could be a restriction.
[[nodiscard]] shared::Result<User> read_entry(const nlohmann::ordered_json& entry);

/// The entry `old` (JSON text) with this user in it; what else stands there stays.
[[nodiscard]] std::string entry_text(std::string_view old, const User& user);

} // namespace admin_ui
