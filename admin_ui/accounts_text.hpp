/// `GET /admin/accounts?format=text`: the table that `codex-pool accounts` prints. Pure.
#pragma once

#include "admin_ui/pool_view.hpp"

#include <string>

namespace admin_ui {

[[nodiscard]] std::string accounts_text(const PoolView& pool);

} // namespace admin_ui
