#include "admin_ui/pages.hpp"

#include "admin_ui/html.hpp"
#include "admin_ui/status_parts.hpp"
#include "shared/base/hash.hpp"

#include <algorithm>

#include "embedded_files.hpp"

namespace admin_ui {
namespace {

std::string_view embedded_file(std::string_view path)
{
    const auto found =
        std::find_if(embedded::kFiles.begin(), embedded::kFiles.end(), [path](const auto& file) {
            return file.path == path;
        });
    return found == embedded::kFiles.end() ? std::string_view() : found->bytes;
}

std::string digest_text(std::string_view bytes)
{
    const shared::Sha256Digest digest = shared::sha256(bytes);
    return shared::to_hex({reinterpret_cast<const char*>(digest.data()), 8});
}

/// Changes whenever an asset does, so that browsers may keep them for ever.
const std::string& assets_version()
{
    static const std::string version =
        digest_text(digest_text(embedded_file("style.css")) + digest_text(embedded_file("app.js")));
    return version;
}

/// host, host:port or [IPv6]:port, of the characters such a thing is made of.
bool is_plain_host(std::string_view host)
{
    constexpr std::string_view kAllowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
    constexpr std::size_t kHostMax = 255;
    return !host.empty() && host.size() <= kHostMax &&
           host.find_first_not_of(kAllowed) == std::string_view::npos;
}

/// From the configuration, so only odd characters are in the way.
bool is_plain_url(std::string_view url)
{
    return url.find_first_of("\"'`$\\<>& \t\r\n") == std::string_view::npos;
}

} // namespace

std::string
client_address(std::string_view host_header, std::string_view public_url, std::string_view listen)
{
    if (!public_url.empty() && is_plain_url(public_url)) return std::string(public_url);
    return "http://" + std::string(is_plain_host(host_header) ? host_header : listen);
}

std::string landing_page(const PoolView& pool, std::string_view address)
{
    const Verdict state = verdict(pool);
    return render(
        embedded_file("landing.html"),
        {{"version", assets_version()},
         {"state", state.word},
         {"sentence", state.sentence},
         {"address", address}});
}

std::string shared_page(std::string_view name, std::string_view tagline)
{
    return render(
        embedded_file("shared.html"),
        {{"version", assets_version()},
         {"name", name.empty() ? std::string_view("codex-pool") : name},
         {"tagline", tagline}});
}

std::string status_page(const PoolView& pool, const History& history)
{
    Html content;
    content.add(state_part(pool)).add(tiles_part(pool)).add(problems_part(pool));
    content.add(accounts_part(pool)).add(hours_part(history, pool.now));
    content.add(requests_part(history, pool.now)).add(workers_part(pool));
    return render(
        embedded_file("status.html"), {{"version", assets_version()}, {"content", content.str()}});
}

std::string why_page(std::string_view request_id, std::string_view text)
{
    return render(
        embedded_file("why.html"),
        {{"version", assets_version()}, {"id", request_id}, {"text", text}});
}

std::string error_page(std::string_view title, std::string_view message)
{
    return render(
        embedded_file("error.html"),
        {{"version", assets_version()}, {"title", title}, {"message", message}});
}

std::optional<Asset> find_asset(std::string_view name)
{
    std::string_view type;
    if (name.ends_with(".css")) type = "text/css; charset=utf-8";
    if (name.ends_with(".js")) type = "text/javascript; charset=utf-8";
    if (name.ends_with(".svg")) type = "image/svg+xml";
    const std::string_view bytes = embedded_file(name);
    if (type.empty() || bytes.empty()) return std::nullopt;
    return Asset{bytes, type, '"' + digest_text(bytes) + '"'};
}

} // namespace admin_ui
