/// What is to be said of one account on one line, for terminals and programs. Pure.
#pragma once

#include "admin_ui/pool_view.hpp"

#include <string>

namespace admin_ui {

/// Why it is not ready, until when, and what is wrong with its file or token; empty if all is well.
[[nodiscard]] std::string account_note(const AccountView& account, shared::UnixMillis now);

/// What its owner can do to have it serve; empty if nothing is needed, or waiting is enough.
[[nodiscard]] std::string next_step(const AccountView& account);

} // namespace admin_ui
