/// The files built into the program: what browsers fetch from /static/, and what pages and API are made from. Text is
/// compressed once, at the first use.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace admin_ui {

/// A built-in file by its path below admin_ui/static (or its name: prices.json, openapi.json); empty if there is none.
[[nodiscard]] std::string_view embedded_file(std::string_view path);

/// Changes whenever a style, script or picture does: pages name them as /static/<version>/…, so that browsers may keep
/// them for ever, and modules import each other by relative paths.
[[nodiscard]] const std::string& assets_version();

/// A file that browsers fetch from /static/ (or /favicon.ico).
struct Asset {
    std::string_view bytes;
    std::string_view gzip; ///< the same, compressed; empty if that would not make it smaller
    std::string_view content_type;
    std::string_view etag;  ///< quoted
    bool versioned = false; ///< asked for by its version: it never changes
};

/// `name` is the path below /static/, with or without a version. Templates are not assets.
[[nodiscard]] std::optional<Asset> find_asset(std::string_view name);

/// `text` as a gzip stream; empty if it cannot be made.
[[nodiscard]] std::string gzip_compressed(std::string_view text, int level);

} // namespace admin_ui
