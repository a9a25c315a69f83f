#include "admin_ui/status_parts.hpp"

#include "admin_ui/parameters.hpp"
#include "admin_ui/views.hpp"
#include "shared/base/percent.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace admin_ui {
namespace {

using shared::AccountCondition;
using shared::UnixMillis;

constexpr std::int64_t kMinute = 60'000;

/// "1 h 2 min" without the seconds that would change every time; "12 s" below a minute.
std::string elapsed_text(std::int64_t ms)
{
    return duration_text(std::max<std::int64_t>(0, ms) / 1000);
}

Html lane(const RunningView& request, UnixMillis now)
{
    const std::int64_t elapsed = std::max<std::int64_t>(0, now.value - request.started_at.value);
    const bool waits = request.account.empty();
    const bool answers = request.tokens.output > 0;
    Html html;
    html.raw("<li class=\"lane ").text(waits ? "waits" : answers ? "answers" : "works").raw("\">");
    html.raw("<span class=\"who\"><b>").text(request.model.empty() ? request.path : request.model);
    html.raw("</b> ").text(request.user);
    if (request.websocket) html.raw(" · WebSocket");
    html.raw("</span><span class=\"where\">");
    if (waits) {
        html.raw("waits for an account");
    } else {
        html.text(request.account);
    }
    html.raw("</span><svg class=\"track\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\""
             " aria-hidden=\"true\"><rect width=\"");
    // Most requests are over within a minute; longer ones fill the lane.
    const double share = std::min(1.0, static_cast<double>(elapsed) / kMinute);
    html.text(fmt::format("{:.0f}", 2 + share * 98)).raw("\" height=\"4\"/></svg>");
    html.raw("<span class=\"num\">")
        .text(elapsed_text(elapsed))
        .raw("</span><span class=\"num soft\">");
    if (request.tokens.tokens() > 0)
        html.text(short_number(request.tokens.tokens())).raw(" tokens");
    return html.raw("</span></li>\n");
}

Html running_list(const Running& running, UnixMillis now)
{
    Html html;
    if (running.total == 0) return html.raw("<p class=\"soft\">Nothing runs at the moment.</p>\n");
    html.raw("<ul class=\"lanes\">\n");
    for (const RunningView& request : running.requests)
        html.add(lane(request, now));
    html.raw("</ul>\n");
    if (running.total > running.requests.size()) {
        html.raw("<p class=\"soft\">and ");
        html.number(static_cast<long long>(running.total - running.requests.size()));
        html.raw(" more</p>\n");
    }
    return html;
}

Html worker_rows(const PoolView& pool)
{
    Html html;
    for (const WorkerView& worker : pool.workers) {
        html.raw("<tr><td>").number(worker.slot).raw("</td><td class=\"num\">").number(worker.pid);
        html.raw("</td><td>").text(to_string(worker.state)).raw("</td><td class=\"num\">");
        html.number(worker.open_connections).raw("</td><td class=\"num\">");
        html.number(worker.running_requests).raw("</td></tr>\n");
    }
    return html;
}

} // namespace

Html state_part(const PoolView& pool)
{
    const Verdict state = verdict(pool);
    Html html;
    html.raw("<div id=\"state\" class=\"hero state-").text(state.word);
    html.raw("\"><p class=\"verdict\"><span class=\"dot\" aria-hidden=\"true\"></span>");
    html.text(state.sentence).raw("</p>");
    if (const std::string risk = next_risk(pool); !risk.empty())
        html.raw("<p class=\"risk\">").text(risk).raw("</p>");
    return html.raw("</div>\n");
}

Html tiles_part(const PoolView& pool, const RecentUse& recent)
{
    TokenSums lately;
    for (const auto& [account, sums] : recent)
        lately.add(sums);
    const std::size_t all = pool.accounts.size() - pool.count(AccountCondition::removed);
    const std::size_t ready =
        pool.count(AccountCondition::ready) + pool.count(AccountCondition::busy);
    const std::string waiting = pool.waiting > 0 ? fmt::format("+{} waiting", pool.waiting) : "";
    Html html;
    html.raw("<dl id=\"tiles\" class=\"tiles\">\n");
    html.add(tile("Can serve", std::to_string(ready), fmt::format("of {}", all)));
    html.add(tile("In flight", std::to_string(pool.in_flight()), waiting));
    html.add(tile("Tokens, 24 h", short_number(lately.tokens())));
    html.add(tile("From cache, 24 h", percent_text(lately.cached_input, lately.input)));
    html.add(tile("Requests, 24 h", short_number(lately.requests)));
    html.add(tile("Up for", duration_text(pool.uptime_seconds() / 60 * 60)));
    return html.raw("</dl>\n");
}

Html problems_part(const PoolView& pool)
{
    std::vector<std::string> lines = problem_lines(pool.info);
    if (pool.rows_folded > 0) {
        lines.push_back(fmt::format(
            "{} usage rows are kept only as sums, because the database could not be written",
            pool.rows_folded));
    }
    Html html;
    html.raw("<div id=\"problems\">");
    if (lines.empty()) return html.raw("</div>\n");
    html.raw("<section class=\"card problems\"><h2>Needs you</h2><ul>\n");
    for (const std::string& line : lines)
        html.raw("<li>").text(line).raw("</li>\n");
    html.raw("</ul>");
    if (pool.info.broken_files > 0) {
        html.raw(
            "<p class=\"soft\">Accounts whose file is broken stay as they were last good. Mend "
            "the file, then re-read the folder.</p>");
    }
    return html.raw("</section></div>\n");
}

Html running_part(const Running& running, UnixMillis now)
{
    Html html;
    html.raw("<section id=\"running\" aria-labelledby=\"running-title\"><h2 id=\"running-title\">");
    html.raw("Running");
    if (running.total > 0)
        html.raw(" <small>").number(static_cast<long long>(running.total)).raw("</small>");
    html.raw("</h2>\n").add(running_list(running, now));
    return html.raw("</section>\n");
}

Html account_list_part(const PoolView& pool)
{
    Html html;
    html.raw("<div id=\"accounts\" class=\"accounts\" data-list>\n");
    for (const AccountView& account : pool.accounts)
        html.raw("<article id=\"").text(account_element_id(account)).raw("\"></article>\n");
    return html.raw("</div>\n");
}

std::string account_element_id(const AccountView& account)
{
    return "account-" + shared::percent_encoded(account.identity.id.view());
}

Html workers_part(const PoolView& pool)
{
    Html html;
    html.raw(
        "<details id=\"processes\" class=\"quiet\"><summary>Processes</summary>\n"
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Processes\">"
        "<table><thead><tr><th>Worker</th><th class=\"num\">Process</th><th>State</th>"
        "<th class=\"num\">Connections</th><th class=\"num\">Running</th></tr></thead><tbody>\n");
    html.add(worker_rows(pool)).raw("</tbody></table></div>\n<p class=\"soft\">Workers replaced: ");
    html.number(static_cast<long long>(pool.worker_restarts));
    html.raw(" · conversations pinned: ").number(static_cast<long long>(pool.pins));
    html.raw(" · usage rows waiting: ").number(static_cast<long long>(pool.rows_waiting));
    html.raw(" · folded into sums: ").number(static_cast<long long>(pool.rows_folded));
    html.raw(" · pool folder read ").add(time_element(pool.info.loaded_at, pool.now));
    html.raw(" · version ").text(CODEX_POOL_VERSION);
    return html.raw("</p></details>\n");
}

} // namespace admin_ui
