/// The parts of the Pool page, from top to bottom; each is one element with an id, which scripts renew.
/// Pure functions from values to HTML.
#pragma once

#include "admin_ui/html.hpp"
#include "admin_ui/live_view.hpp"
#include "admin_ui/page_parts.hpp"
#include "admin_ui/pool_view.hpp"

#include <string>
#include <string_view>

namespace admin_ui {

/// The state in one sentence, and the next risk.
[[nodiscard]] Html state_part(const PoolView& pool);
[[nodiscard]] Html tiles_part(const PoolView& pool, const RecentUse& recent);
/// Broken files and what else needs the owner; empty if all is well.
[[nodiscard]] Html problems_part(const PoolView& pool);
/// One lane per running request.
[[nodiscard]] Html running_part(const Running& running, shared::UnixMillis now);
/// The list of accounts with empty cards: which there are, in order.
[[nodiscard]] Html account_list_part(const PoolView& pool);
[[nodiscard]] std::string account_element_id(const AccountView& account);
/// `csrf`: what its forms have to show; empty = nobody is signed in by cookie.
[[nodiscard]] Html account_part(
    const AccountView& account,
    const RecentUse& recent,
    std::string_view csrf,
    shared::UnixMillis now);
[[nodiscard]] Html workers_part(const PoolView& pool);

} // namespace admin_ui
