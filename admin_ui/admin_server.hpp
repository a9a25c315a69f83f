/// The admin child: pages, admin API, metrics and history, over a Unix socket that only workers reach.
#pragma once

#include "shared/ipc/messages.hpp"

namespace admin_ui {

/// Serves until told to stop; returns the exit code.
[[nodiscard]] int run(const shared::ChildArguments& arguments);

} // namespace admin_ui
