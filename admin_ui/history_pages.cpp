#include "admin_ui/history_pages.hpp"

#include "admin_ui/frame.hpp"
#include "admin_ui/page_parts.hpp"
#include "admin_ui/parameters.hpp"
#include "shared/base/percent.hpp"
#include "shared/segment/event_text.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace admin_ui {
namespace {

using shared::UnixMillis;

constexpr std::array kOutcomes{
    "completed", "client_gone", "upstream_cut", "refused", "worker_killed"};

std::string_view or_dash(std::string_view text)
{
    return text.empty() ? "–" : text;
}

Html text_field(std::string_view name, std::string_view label, std::string_view value)
{
    Html html;
    html.raw("<label>")
        .text(label)
        .raw(" <input name=\"")
        .text(name)
        .raw("\" value=\"")
        .text(value);
    return html.raw("\" maxlength=\"128\" autocomplete=\"off\" spellcheck=\"false\"></label>\n");
}

Html time_field(std::string_view name, std::string_view label, std::string_view value)
{
    Html html;
    html.raw("<label>").text(label).raw(" <input type=\"datetime-local\" name=\"").text(name);
    return html.raw("\" value=\"").text(value).raw("\"></label>\n");
}

Html outcome_field(std::string_view chosen)
{
    Html html;
    html.raw("<label>Outcome <select name=\"outcome\"><option value=\"\">any</option>");
    for (const std::string_view outcome : kOutcomes) {
        html.raw("<option");
        if (outcome == chosen) html.raw(" selected");
        html.raw(">").text(outcome).raw("</option>");
    }
    return html.raw("</select></label>\n");
}

Html filter_form(const RequestsPageView& view)
{
    const RequestFilter& filter = view.filter;
    Html html;
    html.raw("<form class=\"filter\" method=\"get\" action=\"/status/requests\" role=\"search\""
             " aria-label=\"Filter\">\n");
    html.add(text_field("user", "User", filter.user));
    html.add(text_field("account", "Account", filter.account));
    html.add(text_field("model", "Model", filter.model));
    html.add(text_field("status", "Status (429, 5xx, failed)", view.status));
    html.add(outcome_field(filter.outcome));
    html.add(time_field("from", "From (UTC)", view.from));
    html.add(time_field("to", "Until (UTC)", view.to));
    html.raw("<div class=\"submit\"><button class=\"primary\">Filter</button>");
    html.raw(" <a href=\"/status/requests\">All</a></div>");
    return html.raw("</form>\n");
}

std::string older_link(const RequestsPageView& view)
{
    std::string link = "/status/requests?before=" + std::to_string(view.page.next);
    const auto add = [&link](std::string_view name, std::string_view value) {
        if (!value.empty()) link += "&" + std::string(name) + "=" + shared::percent_encoded(value);
    };
    add("user", view.filter.user);
    add("account", view.filter.account);
    add("model", view.filter.model);
    add("status", view.status);
    add("outcome", view.filter.outcome);
    add("from", view.from);
    add("to", view.to);
    return link;
}

std::string why_link(const RequestEntry& request)
{
    return "/status/why?id=" + shared::percent_encoded(request.request_id) +
           "&row=" + std::to_string(request.row);
}

bool is_good(const RequestEntry& request)
{
    return request.status >= 200 && request.status < 400 &&
           (request.outcome == "completed" || request.outcome == "client_gone");
}

Html request_row(const RequestEntry& request)
{
    Html html;
    html.raw("<tr><td>")
        .add(clock_time(request.finished_at))
        .raw("</td><td class=\"wide\"><a href=\"");
    html.text(why_link(request)).raw("\">");
    html.text(request.model.empty() ? or_dash(request.path) : request.model);
    html.raw("</a><span class=\"less soft\">").text(request.account).raw("</span>");
    html.raw("</td><td class=\"more\">").text(or_dash(request.user));
    html.raw("</td><td class=\"wide more\">").text(or_dash(request.account));
    html.raw("</td><td class=\"num ").text(is_good(request) ? "good" : "poor").raw("\">");
    html.text(request.status == 0 ? "–" : std::to_string(request.status));
    html.raw("</td><td class=\"more\">").text(request.outcome);
    html.raw("</td><td class=\"num more\">").number(request.attempts);
    html.raw("</td><td class=\"num more\">").text(grouped_number(request.tokens.input));
    html.raw("</td><td class=\"num more\">");
    html.text(percent_text(request.tokens.cached_input, request.tokens.input));
    html.raw("</td><td class=\"num more\">").text(grouped_number(request.tokens.output));
    html.raw("</td><td class=\"num more\">").text(milliseconds_text(request.first_byte_ms));
    html.raw("</td><td class=\"num\">").text(milliseconds_text(request.duration_ms));
    return html.raw("</td></tr>\n");
}

Html request_table(const RequestPage& page)
{
    Html html;
    html.raw(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Requests\"><table>"
        "<thead><tr><th scope=\"col\">Finished (UTC)</th><th scope=\"col\">Model</th>"
        "<th scope=\"col\" class=\"more\">User</th><th scope=\"col\" class=\"more\">Account</th>"
        "<th scope=\"col\" class=\"num\">Status</th><th scope=\"col\" class=\"more\">Outcome</th>"
        "<th scope=\"col\" class=\"num more\">Tries</th>"
        "<th scope=\"col\" class=\"num more\">Input</th>"
        "<th scope=\"col\" class=\"num more\">Cache</th>"
        "<th scope=\"col\" class=\"num more\">Output</th>"
        "<th scope=\"col\" class=\"num more\">First byte</th>"
        "<th scope=\"col\" class=\"num\">Total</th></tr></thead><tbody>\n");
    for (const RequestEntry& request : page.requests)
        html.add(request_row(request));
    return html.raw("</tbody></table></div>\n");
}

Html pager(const RequestsPageView& view)
{
    Html html;
    html.raw("<p class=\"pager\">");
    if (view.page.searched_to.is_set()) {
        html.raw("<span class=\"soft\">Looked back to ").add(clock_time(view.page.searched_to));
        html.raw(".</span> ");
    }
    if (view.filter.before != 0) html.raw("<a href=\"/status/requests\">Newest</a> ");
    if (view.page.next != 0) html.raw("<a href=\"").text(older_link(view)).raw("\">Older</a>");
    return html.raw("</p>\n");
}

/// A part of the time a request took.
struct ClockPart {
    std::string_view name;
    std::int64_t ms = 0;
    std::string_view colour;
};

/// Queue, connect, waiting for the vendor's first byte, and the answer itself.
std::array<ClockPart, 4> clock_of(const RequestEntry& entry)
{
    const std::int64_t first = std::max(entry.first_byte_ms, entry.queued_ms + entry.connect_ms);
    const std::int64_t head = entry.first_byte_ms == 0 ? entry.duration_ms : first;
    const std::int64_t upstream =
        std::max<std::int64_t>(0, head - entry.queued_ms - entry.connect_ms);
    return {
        {{"waited for an account", entry.queued_ms, "s3"},
         {"connected", entry.connect_ms, "s5"},
         {"until the first byte", upstream, "s2"},
         {"answered", std::max<std::int64_t>(0, entry.duration_ms - head), "s0"}}};
}

Html clock_part(const RequestEntry& entry)
{
    const auto parts = clock_of(entry);
    std::int64_t total = 1;
    for (const ClockPart& part : parts)
        total += part.ms;
    Html html;
    html.raw("<section class=\"card\"><h2>Where its time went</h2>\n<svg class=\"clock\" "
             "viewBox=\"0 0 1000 20\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    double x = 0;
    for (const ClockPart& part : parts) {
        const double width = 1000.0 * static_cast<double>(part.ms) / static_cast<double>(total);
        html.raw("<rect class=\"").text(part.colour).raw("\" x=\"").text(fmt::format("{:.1f}", x));
        html.raw("\" width=\"").text(fmt::format("{:.1f}", width)).raw("\" height=\"20\"/>");
        x += width;
    }
    html.raw("</svg>\n<dl class=\"pairs\">");
    for (const ClockPart& part : parts) {
        html.raw("<div><dt><span class=\"swatch ").text(part.colour);
        html.raw("\" aria-hidden=\"true\"></span>").text(part.name).raw("</dt><dd>");
        html.text(milliseconds_text(part.ms)).raw("</dd></div>");
    }
    html.raw("<div><dt>in all</dt><dd>").text(milliseconds_text(entry.duration_ms));
    html.raw("</dd></div><div><dt>of it the pool's own work</dt><dd>");
    html.text(fmt::format("{:.1f} ms", static_cast<double>(entry.own_us) / 1000));
    return html.raw("</dd></div></dl></section>\n");
}

Html pair(std::string_view name, std::string_view value)
{
    Html html;
    html.raw("<div><dt>").text(name).raw("</dt><dd>").text(or_dash(value));
    return html.raw("</dd></div>");
}

Html entry_part(const RequestEntry& entry)
{
    const std::string status = entry.status == 0 ? "none" : std::to_string(entry.status);
    Html html;
    html.raw("<section class=\"card\"><h2>What it was</h2>\n<dl class=\"pairs\">");
    html.add(pair("model", entry.model)).add(pair("user", entry.user));
    html.add(pair("account", entry.account)).add(pair("path", entry.path));
    html.add(pair("status", status)).add(pair("outcome", entry.outcome));
    html.add(pair("tries", std::to_string(entry.attempts)));
    html.add(pair("input", grouped_number(entry.tokens.input)));
    html.add(pair("of it from cache", grouped_number(entry.tokens.cached_input)));
    html.add(pair("output", grouped_number(entry.tokens.output)));
    html.add(pair("of it reasoning", grouped_number(entry.tokens.reasoning)));
    html.add(pair(
        "bytes sent, received",
        fmt::format(
            "{}, {}", grouped_number(entry.request_bytes), grouped_number(entry.response_bytes))));
    html.add(pair("vendor's request id", entry.upstream_request_id));
    html.raw("<div><dt>finished</dt><dd>").add(clock_time(entry.finished_at));
    return html.raw("</dd></div></dl></section>\n");
}

Html event_item(const shared::Event& event, UnixMillis now)
{
    Html html;
    html.raw("<li class=\"event ").text(shared::severity(event.type)).raw("\"><p class=\"sub\">");
    html.add(time_element(event.at, now)).raw(" · <b>").text(shared::to_string(event.type));
    html.raw("</b>");
    if (!event.account.empty()) {
        html.raw(" · ").text(event.account.view());
    } else if (!event.provider.empty()) {
        html.raw(" · ").text(event.provider.view());
    }
    html.raw("</p><p>").text(event.text.view()).raw("</p>");
    return html.raw("</li>\n");
}

} // namespace

std::string requests_page(const RequestsPageView& view)
{
    Html html;
    html.raw("<h1>Requests</h1>\n").add(filter_form(view));
    if (!view.problem.empty()) html.raw("<p class=\"note\">").text(view.problem).raw("</p>\n");
    if (view.page.requests.empty()) {
        html.raw("<p class=\"soft\">None that match.</p>\n");
    } else {
        html.add(request_table(view.page));
    }
    html.add(pager(view));
    Frame frame;
    frame.title = "Requests";
    frame.place = "/status/requests";
    return framed(frame, html);
}

std::string why_page(
    std::string_view request_id,
    std::string_view text,
    const std::optional<RequestEntry>& entry,
    UnixMillis now)
{
    Html html;
    html.raw("<h1>One request</h1>\n<p class=\"lead\"><code>").text(request_id).raw("</code>");
    if (entry) html.raw(", ").add(time_element(entry->finished_at, now));
    html.raw("</p>\n");
    if (entry) html.add(clock_part(*entry));
    html.raw("<section class=\"card\"><h2>Why it went there</h2>\n<pre tabindex=\"0\">").text(text);
    html.raw("</pre><p class=\"soft\">In a terminal: <code>codex-pool why ").text(request_id);
    html.raw("</code> · <a href=\"/admin/why?id=").text(shared::percent_encoded(request_id));
    html.raw("\">JSON</a></p></section>\n");
    if (entry) html.add(entry_part(*entry));
    Frame frame;
    frame.title = "One request";
    frame.place = "/status/requests";
    return framed(frame, html);
}

std::string events_page(const std::vector<shared::Event>& events, UnixMillis now)
{
    Html html;
    html.raw(
        "<h1>Events</h1>\n<p class=\"lead\">What needed attention since the pool started. New ones "
        "appear by themselves.</p>\n<ul id=\"events\" class=\"events\" aria-live=\"polite\" "
        "data-types=\"needs_login account_failing pool_low pool_empty recovered "
        "forecast_empty_before_reset\" data-last=\"");
    html.number(events.empty() ? 0 : static_cast<long long>(events.front().sequence)).raw("\">\n");
    for (const shared::Event& event : events)
        html.add(event_item(event, now));
    html.raw("</ul>\n<p id=\"no-events\" class=\"soft\"");
    if (!events.empty()) html.raw(" hidden");
    html.raw(">Nothing so far: all is well.</p>\n");
    Frame frame;
    frame.title = "Events";
    frame.place = "/status/events";
    frame.script = "events.js";
    return framed(frame, html);
}

} // namespace admin_ui
