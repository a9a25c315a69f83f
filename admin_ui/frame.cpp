#include "admin_ui/frame.hpp"

#include "admin_ui/assets.hpp"

#include <array>

namespace admin_ui {
namespace {

struct Place {
    std::string_view path;
    std::string_view name;
    bool for_friends = false;
};

constexpr std::array kPlaces{
    Place{"/status", "Pool", true},
    Place{"/status/usage", "Usage", true},
    Place{"/status/requests", "Requests"},
    Place{"/status/events", "Events"},
    Place{"/status/people", "People"},
    Place{"/status/setup", "Set-up", true},
};

Html navigation(const Frame& frame)
{
    Html html;
    if (frame.audience == Audience::nobody) return html;
    html.raw("<nav aria-label=\"Pages\">");
    for (const Place& place : kPlaces) {
        if (frame.audience != Audience::owner && !place.for_friends) continue;
        html.raw("<a href=\"").text(place.path);
        if (place.path == frame.place) {
            html.raw("\" aria-current=\"page\">");
        } else {
            html.raw("\">");
        }
        html.text(place.name).raw("</a>");
    }
    return html.raw("</nav>");
}

Html script(std::string_view name)
{
    Html html;
    html.raw("<script type=\"module\" src=\"/static/").text(assets_version()).raw("/");
    return html.text(name).raw("\"></script>\n");
}

} // namespace

std::string framed(const Frame& frame, const Html& content)
{
    Html scripts = script("app.js");
    if (!frame.script.empty()) scripts.add(script(frame.script));
    return render(
        embedded_file("frame.html"),
        {{"version", assets_version()},
         {"program", CODEX_POOL_VERSION},
         {"title", frame.title},
         {"navigation", navigation(frame).str()},
         {"scripts", scripts.str()},
         {"content", content.str()}});
}

} // namespace admin_ui
