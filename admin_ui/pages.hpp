/// The HTML pages: templates of static/ filled with values. Pure; everything from outside is escaped by html.hpp.
#pragma once

#include "admin_ui/pool_view.hpp"
#include "admin_ui/usage_query.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace admin_ui {

/// What the status page shows besides the segment.
struct History {
    std::vector<RequestEntry> requests; ///< newest first
    std::vector<HourSums> hours;        ///< of the last day, oldest first
    std::string problem;                ///< why there is none, if there is a reason
};

/// `/` in local mode: the set-ups, with the address the client itself used.
[[nodiscard]] std::string landing_page(const PoolView& pool, std::string_view address);

/// `/` in shared mode: says that the owner hands out credentials. Knows nothing of accounts.
[[nodiscard]] std::string shared_page(std::string_view name, std::string_view tagline);

[[nodiscard]] std::string status_page(const PoolView& pool, const History& history);

/// Why a request went where it went; `text` as explain() makes it, or a sentence saying that nothing is known.
[[nodiscard]] std::string why_page(std::string_view request_id, std::string_view text);

[[nodiscard]] std::string error_page(std::string_view title, std::string_view message);

/// "http://127.0.0.1:8989": `public_url` if there is one, else from the client's Host header if that is a plain
/// host[:port], else `listen`. What comes out is safe inside a shell word and a TOML string.
[[nodiscard]] std::string
client_address(std::string_view host_header, std::string_view public_url, std::string_view listen);

/// A file that browsers fetch from /static/ (or /favicon.ico).
struct Asset {
    std::string_view bytes;
    std::string_view content_type;
    std::string etag; ///< quoted
};

/// `name` is the path below /static/. Templates are not assets.
[[nodiscard]] std::optional<Asset> find_asset(std::string_view name);

} // namespace admin_ui
