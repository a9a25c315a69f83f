#include "admin_ui/pages.hpp"

#include "admin_ui/assets.hpp"
#include "admin_ui/frame.hpp"
#include "admin_ui/html.hpp"
#include "admin_ui/status_parts.hpp"

namespace admin_ui {
namespace {

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

std::string status_page(const PoolView& pool, const PoolPageView& view)
{
    Html html;
    html.raw("<h1 class=\"quiet-title\">Pool</h1>\n");
    html.add(state_part(pool)).add(tiles_part(pool, view.recent));
    if (!view.problem.empty()) html.raw("<p class=\"note\">").text(view.problem).raw("</p>\n");
    html.add(problems_part(pool)).add(running_part(view.running, pool.now));
    html.raw("<h2>Accounts</h2>\n");
    if (pool.accounts.empty()) {
        html.raw("<p class=\"soft\">None. Add one below, or put credential files into the "
                 "pool folder and re-read it.</p>\n");
    }
    html.raw("<div id=\"accounts\" class=\"accounts\" data-list>\n");
    for (const AccountView& account : pool.accounts)
        html.add(account_part(account, view.recent, view.csrf, pool.now));
    html.raw("</div>\n<form class=\"page-actions\" method=\"post\" action=\"/admin/reload\">");
    html.add(hidden_field("csrf", view.csrf));
    html.raw("<button>Re-read the pool folder</button></form>\n");
    html.raw("<details id=\"add-account\"><summary>Add an account</summary>\n");
    html.raw("<p class=\"soft\">Send the file that the vendor's CLI wrote when you signed in, or ");
    html.raw("an API key. It is checked, stored where only the pool can read it, and used at ");
    html.raw("once.</p>\n").add(view.add_account).raw("</details>\n");
    html.raw("<output id=\"message\" aria-live=\"polite\"></output>\n").add(workers_part(pool));
    html.raw("<noscript><p class=\"soft\">Without scripts this page does not renew itself; reload "
             "it to see changes.</p></noscript>\n");
    Frame frame;
    frame.title = "Pool";
    frame.place = "/status";
    frame.script = "live.js";
    return framed(frame, html);
}

std::string notice_page(
    const Frame& frame, std::string_view sentence, std::string_view back, std::string_view words)
{
    Html html;
    html.raw("<h1>").text(frame.title).raw("</h1>\n<p class=\"lead\" role=\"status\">");
    html.text(sentence).raw("</p>\n<p><a href=\"").text(back).raw("\">").text(words);
    return framed(frame, html.raw("</a></p>\n"));
}

std::string error_page(std::string_view title, std::string_view message)
{
    Html html;
    html.raw("<h1>").text(title).raw("</h1>\n<p class=\"lead\">").text(message).raw("</p>\n");
    html.raw("<p><a href=\"/status\">To the pool</a></p>\n");
    Frame frame;
    frame.title = title;
    frame.audience = Audience::nobody;
    return framed(frame, html);
}

} // namespace admin_ui
