/// The HTML pages without history: set-up, Pool, errors. Templates of static/ filled with values, or parts in the
/// frame. Pure; everything from outside is escaped by html.hpp.
#pragma once

#include "admin_ui/frame.hpp"
#include "admin_ui/live_view.hpp"
#include "admin_ui/pool_view.hpp"

#include <string>
#include <string_view>

namespace admin_ui {

/// What the Pool page shows besides the accounts.
struct PoolPageView {
    Running running;
    RecentUse recent;    ///< of the last day, by account
    std::string problem; ///< why there is no history, if there is a reason
    std::string csrf;    ///< what its forms have to show; empty = nobody is signed in by cookie
    Html add_account;    ///< the form
};

/// `/` in local mode: the set-ups, with the address the client itself used.
[[nodiscard]] std::string landing_page(const PoolView& pool, std::string_view address);

/// `/` in shared mode: says that the owner hands out credentials. Knows nothing of accounts.
[[nodiscard]] std::string shared_page(std::string_view name, std::string_view tagline);

/// `/status`: the Pool page.
[[nodiscard]] std::string status_page(const PoolView& pool, const PoolPageView& view);

/// What came of a form: one sentence, and where to go on.
[[nodiscard]] std::string notice_page(
    const Frame& frame, std::string_view sentence, std::string_view back, std::string_view words);

[[nodiscard]] std::string error_page(std::string_view title, std::string_view message);

/// "http://127.0.0.1:8989": `public_url` if there is one, else from the client's Host header if that is a plain
/// host[:port], else `listen`. What comes out is safe inside a shell word and a TOML string.
[[nodiscard]] std::string
client_address(std::string_view host_header, std::string_view public_url, std::string_view listen);

} // namespace admin_ui
