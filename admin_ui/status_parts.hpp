/// The parts of the status page, from top to bottom. Pure functions from values to HTML.
#pragma once

#include "admin_ui/html.hpp"
#include "admin_ui/pages.hpp"

namespace admin_ui {

[[nodiscard]] Html state_part(const PoolView& pool);
[[nodiscard]] Html tiles_part(const PoolView& pool);
/// Broken files and what else needs the owner; nothing if all is well.
[[nodiscard]] Html problems_part(const PoolView& pool);
[[nodiscard]] Html accounts_part(const PoolView& pool);
[[nodiscard]] Html hours_part(const History& history, shared::UnixMillis now);
[[nodiscard]] Html requests_part(const History& history, shared::UnixMillis now);
[[nodiscard]] Html workers_part(const PoolView& pool);

/// 1234567 -> "1.23 M"
[[nodiscard]] std::string short_number(std::int64_t value);

} // namespace admin_ui
