#include "admin_ui/status_parts.hpp"

#include "admin_ui/account_actions.hpp"
#include "admin_ui/views.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace admin_ui {
namespace {

using shared::AccountCondition;
using shared::UnixMillis;
using shared::UsedShare;
using shared::WindowRecord;

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kHoursShown = 24;

Html time_element(UnixMillis at, UnixMillis now)
{
    Html html;
    if (!at.is_set()) return html.raw("–");
    html.raw("<time datetime=\"").text(iso_time(at)).raw("\" title=\"").text(iso_time(at));
    return html.raw("\">").text(relative_time(at, now)).raw("</time>");
}

Html tile(std::string_view label, const std::string& value)
{
    Html html;
    html.raw("<div><dt>").text(label).raw("</dt><dd>").text(value);
    return html.raw("</dd></div>\n");
}

/// When a window runs empty at the present pace; nothing if that is not known or not before its reset.
Html forecast_part(const shared::Forecast& forecast, UnixMillis now)
{
    Html html;
    if (forecast.empty_at <= now) return html;
    html.raw("<p class=\"soft forecast\">empty ").add(time_element(forecast.empty_at, now));
    html.raw(" at this pace (").text(fmt::format("{:.0f}", forecast.percent_per_hour));
    html.raw(" % an hour, ").text(shared::to_string(forecast.confidence));
    return html.raw(" confidence)</p>\n");
}

/// Forms that do something to the account; they work without scripts.
Html actions_part(const AccountView& account)
{
    Html html;
    if (account.status.condition == AccountCondition::removed) return html;
    const bool disabled = account.status.condition == AccountCondition::disabled;
    const std::string_view id = account.identity.id.view();
    html.raw("<form class=\"account-actions\" method=\"post\" aria-label=\"Actions on ")
        .text(id)
        .raw("\">");
    for (const ActionButton& button : action_buttons()) {
        if (button.action ==
            (disabled ? shared::AccountAction::disable : shared::AccountAction::enable))
            continue;
        const bool is_key = account.identity.kind == 2;
        if (is_key && button.action == shared::AccountAction::refresh) continue;
        html.raw("<button formaction=\"").text(action_path(id, button.action));
        html.raw("\" title=\"").text(button.title).raw("\">").text(button.label);
        html.raw("</button> ");
    }
    return html.raw("</form>\n");
}

Html window_part(std::string_view label, const WindowRecord& window, UsedShare used, UnixMillis now)
{
    Html html;
    html.raw("<div class=\"window\"><p><span>").text(label);
    if (!used.is_known()) return html.raw("</span><span>not known</span></p></div>\n");
    const std::string percent = fmt::format("{:.0f} %", used.fraction() * 100);
    html.raw(" · ").text(percent).raw("</span><span>");
    if (window.resets_at > now) {
        html.raw("resets ").add(time_element(window.resets_at, now));
    } else {
        html.raw("seen ").add(time_element(window.seen_at, now));
    }
    html.raw("</span></p><svg class=\"bar");
    if (used.is_full()) {
        html.raw(" full");
    } else if (used.fraction() >= 0.8) {
        html.raw(" high");
    }
    html.raw("\" viewBox=\"0 0 100 7\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"");
    html.text(percent).raw(" used\"><rect width=\"");
    html.text(fmt::format("{:.1f}", used.fraction() * 100));
    return html.raw("\" height=\"7\"/></svg></div>\n");
}

Html models_part(const AccountView& account)
{
    Html html;
    if (account.models.empty()) return html;
    html.raw("<details id=\"models-").text(account.identity.id.view()).raw("\"><summary>");
    html.number(static_cast<long long>(account.models.size()));
    html.text(account.models.size() == 1 ? " model" : " models");
    html.raw("</summary><div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th>Model</th>"
             "<th class=\"num\">Requests</th><th class=\"num\">Input</th>"
             "<th class=\"num\">Cached</th><th class=\"num\">Output</th></tr></thead><tbody>");
    for (const ModelSums& model : account.models) {
        html.raw("<tr><td class=\"wide\">").text(model.model.empty() ? "–" : model.model);
        html.raw("</td><td class=\"num\">").number(model.sums.requests);
        html.raw("</td><td class=\"num\">").number(model.sums.input);
        html.raw("</td><td class=\"num\">").number(model.sums.cached_input);
        html.raw("</td><td class=\"num\">").number(model.sums.output).raw("</td></tr>");
    }
    return html.raw("</tbody></table></div></details>\n");
}

/// Why an account is what it is, since when, until when and who says so, in words.
Html status_part(const AccountView& account, UnixMillis now)
{
    const shared::AccountStatus& status = account.status;
    Html html;
    if (!status.reason.empty()) {
        html.text(shared::reason_in_words(status.reason.view()));
        const std::string_view source = shared::source_in_words(status.source);
        if (!source.empty()) html.raw(" (").text(source).raw(")");
        if (status.since.is_set()) html.raw("; since ").add(time_element(status.since, now));
    }
    if (status.until.is_set()) {
        html.text(html.str().empty() ? "" : "; ").raw("back ");
        html.add(time_element(status.until, now));
    }
    if (account.token_expired && status.condition != AccountCondition::removed) {
        html.text(html.str().empty() ? "" : "; ").raw("its access token expired ");
        html.add(time_element(account.identity.expires_at, now));
    }
    return html;
}

Html account_part(const AccountView& account, UnixMillis now)
{
    const auto& identity = account.identity;
    Html html;
    html.raw("<article class=\"account\"><header><h3>").text(identity.id.view());
    const shared::StateInfo& state = shared::state_info(account.status.condition);
    html.raw("</h3><span class=\"badge is-").text(state.name).raw("\" title=\"");
    html.text(state.meaning).raw(" ").text(state.ends).raw("\">").text(state.name);
    html.raw("</span></header>\n");
    html.raw("<p class=\"sub\">").text(identity.kind == 2 ? "API key" : "subscription");
    if (!identity.plan.empty()) html.raw(" · ").text(identity.plan.view());
    if (!identity.email.empty()) html.raw(" · ").text(identity.email.view());
    if (!identity.project.empty()) html.raw(" · ").text(identity.project.view());
    html.raw("</p>\n");
    const Html status = status_part(account, now);
    if (!status.str().empty()) html.raw("<p class=\"note\">").add(status).raw("</p>\n");
    if (!identity.problem.empty()) {
        html.raw("<p class=\"note\">").text(identity.problem.view()).raw("</p>\n");
    }
    // API keys usually have no such windows: nothing is said about what was never heard of.
    const bool has_windows =
        account.routing.short_window.seconds != 0 || account.routing.long_window.seconds != 0;
    if (identity.kind != 2 || has_windows) {
        html.add(window_part("5 hours", account.routing.short_window, account.short_used, now));
        html.add(forecast_part(account.short_forecast, now));
        html.add(window_part("Week", account.routing.long_window, account.long_used, now));
        html.add(forecast_part(account.long_forecast, now));
    }
    const TokenSums& totals = account.totals;
    html.raw("<dl class=\"facts\"><div><dt>In flight</dt><dd>").number(account.in_flight);
    html.raw("</dd></div><div><dt>Requests</dt><dd>").text(short_number(totals.requests));
    html.raw("</dd></div><div><dt>Failed</dt><dd>").text(short_number(totals.failed_requests));
    html.raw("</dd></div><div><dt>Input</dt><dd>").text(short_number(totals.input));
    html.raw("</dd></div><div><dt>Output</dt><dd>").text(short_number(totals.output));
    html.raw("</dd></div><div><dt>From cache</dt><dd>");
    if (totals.input > 0) {
        const double share =
            static_cast<double>(totals.cached_input) / static_cast<double>(totals.input);
        html.text(fmt::format("{:.0f} %", share * 100));
    } else {
        html.raw("–");
    }
    if (account.moved_away > 0 || account.moved_here > 0) {
        html.raw(
            "</dd></div><div><dt title=\"conversations that changed to or from this account\">");
        html.raw("Moved here, away</dt><dd>");
        html.text(fmt::format("{}, {}", account.moved_here, account.moved_away));
    }
    html.raw("</dd></div></dl>\n").add(models_part(account)).add(actions_part(account));
    return html.raw("</article>\n");
}

} // namespace

std::string short_number(std::int64_t value)
{
    constexpr std::array<std::pair<double, const char*>, 3> kSteps{
        {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}}};
    if (value < 10'000) return std::to_string(value);
    for (const auto& [size, unit] : kSteps) {
        const double scaled = static_cast<double>(value) / size;
        if (scaled >= 1) return fmt::format("{:.{}f} {}", scaled, scaled < 100 ? 1 : 0, unit);
    }
    return std::to_string(value);
}

Html state_part(const PoolView& pool)
{
    const Verdict state = verdict(pool);
    Html html;
    html.raw("<h1>Status</h1>\n<p class=\"state state-").text(state.word);
    html.raw("\"><span class=\"dot\" aria-hidden=\"true\"></span>").text(state.sentence);
    return html.raw("</p>\n");
}

Html tiles_part(const PoolView& pool)
{
    std::int64_t tokens = 0;
    std::int64_t requests = 0;
    for (const AccountView& account : pool.accounts) {
        tokens += account.totals.input + account.totals.output;
        requests += account.totals.requests;
    }
    const std::size_t all = pool.accounts.size() - pool.count(AccountCondition::removed);
    Html html;
    html.raw("<dl class=\"tiles\">\n");
    html.add(
        tile("Accounts ready", fmt::format("{} of {}", pool.count(AccountCondition::ready), all)));
    const std::string waiting = pool.waiting > 0 ? fmt::format(" (+{} waiting)", pool.waiting) : "";
    html.add(tile("In flight", std::to_string(pool.in_flight()) + waiting));
    html.add(tile("Requests", short_number(requests)));
    html.add(tile("Tokens", short_number(tokens)));
    html.add(tile("Pinned", short_number(static_cast<std::int64_t>(pool.pins))));
    html.add(tile("Up for", duration_text(pool.uptime_seconds())));
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
    if (lines.empty()) return html;
    html.raw("<section class=\"card problems\"><h2>Needs you</h2><ul>\n");
    for (const std::string& line : lines)
        html.raw("<li>").text(line).raw("</li>\n");
    html.raw("</ul>");
    if (pool.info.broken_files > 0) {
        html.raw(
            "<p class=\"soft\">Accounts whose file is broken stay as they were last good. Mend "
            "the file, then re-read the folder.</p>");
    }
    return html.raw("</section>\n");
}

Html accounts_part(const PoolView& pool)
{
    Html html;
    html.raw("<h2>Accounts</h2>\n");
    if (pool.accounts.empty()) {
        return html.raw("<p class=\"soft\">None. Put credential files into the pool folder, then "
                        "re-read it.</p>\n");
    }
    html.raw("<div class=\"accounts\">\n");
    for (const AccountView& account : pool.accounts)
        html.add(account_part(account, pool.now));
    return html.raw("</div>\n");
}

Html hours_part(const History& history, UnixMillis now)
{
    Html html;
    if (history.hours.empty()) return html;
    const std::int64_t last = now.value / kHourMs;
    std::array<TokenSums, kHoursShown> hours{};
    std::int64_t most = 1;
    for (const HourSums& hour : history.hours) {
        const std::int64_t place = kHoursShown - 1 - (last - hour.hour.value / kHourMs);
        if (place < 0 || place >= kHoursShown) continue;
        hours[static_cast<std::size_t>(place)] = hour.sums;
        most = std::max(most, hour.sums.input + hour.sums.output);
    }
    html.raw(
        "<h2>Tokens in the last 24 hours</h2>\n<figure class=\"card\"><svg class=\"hours\" "
        "viewBox=\"0 0 240 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Tokens "
        "per hour; the highest hour has ");
    html.text(short_number(most)).raw("\"><line x1=\"0\" y1=\"99.5\" x2=\"240\" y2=\"99.5\"/>");
    const auto rect = [&](std::size_t place, double from, double size, std::string_view kind) {
        html.raw("<rect class=\"").text(kind).raw("\" x=\"");
        html.text(fmt::format("{}", place * 10 + 1)).raw("\" width=\"8\" y=\"");
        html.text(fmt::format("{:.2f}", from)).raw("\" height=\"");
        html.text(fmt::format("{:.2f}", size)).raw("\"/>");
    };
    const double scale = 96.0 / static_cast<double>(most);
    for (std::size_t i = 0; i < hours.size(); ++i) {
        const double out = static_cast<double>(hours[i].output) * scale;
        const double in = static_cast<double>(hours[i].input) * scale;
        if (in + out <= 0) continue;
        html.raw("<g><title>")
            .text(iso_time({(last - kHoursShown + 1 + static_cast<std::int64_t>(i)) * kHourMs}));
        html.raw(": ").number(hours[i].requests).raw(" requests, ").number(hours[i].input);
        html.raw(" in, ").number(hours[i].output).raw(" out</title>");
        rect(i, 99 - out, out, "out");
        rect(i, 99 - out - in, in, "in");
        html.raw("</g>");
    }
    return html
        .raw("</svg><figcaption class=\"soft\">Output below, input above. The highest hour: ")
        .text(short_number(most))
        .raw(".</figcaption></figure>\n");
}

Html requests_part(const History& history, UnixMillis now)
{
    Html html;
    html.raw("<h2>Last requests</h2>\n");
    if (!history.problem.empty()) {
        html.raw("<p class=\"note\">").text(history.problem).raw("</p>\n");
    }
    if (history.requests.empty()) return html.raw("<p class=\"soft\">None yet.</p>\n");
    html.raw("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th>When</th><th>Account</th>"
             "<th>Model</th><th>User</th><th class=\"num\">Status</th><th>Outcome</th>"
             "<th class=\"num\">Tries</th><th class=\"num\">In</th><th class=\"num\">Out</th>"
             "<th class=\"num\">First byte</th><th class=\"num\">Total</th><th>Id</th></tr></thead>"
             "<tbody>\n");
    for (const RequestEntry& request : history.requests) {
        const bool good = request.status >= 200 && request.status < 400;
        html.raw("<tr><td>").add(time_element(request.finished_at, now)).raw("</td><td>");
        html.text(request.account.empty() ? "–" : request.account).raw("</td><td>");
        html.text(request.model.empty() ? request.path : request.model).raw("</td><td>");
        html.text(request.user).raw("</td><td class=\"num ");
        html.text(good ? "good" : "poor").raw("\">");
        html.text(request.status == 0 ? "–" : std::to_string(request.status)).raw("</td><td>");
        html.text(request.outcome).raw("</td><td class=\"num\">").number(request.attempts);
        html.raw("</td><td class=\"num\">").number(request.tokens.input);
        html.raw("</td><td class=\"num\">").number(request.tokens.output);
        html.raw("</td><td class=\"num\">").number(request.first_byte_ms);
        html.raw(" ms</td><td class=\"num\">").number(request.duration_ms);
        html.raw(" ms</td><td><a href=\"/status/why?id=").text(request.request_id);
        html.raw("\"><code>").text(request.request_id).raw("</code></a></td></tr>\n");
    }
    return html.raw("</tbody></table></div>\n");
}

Html workers_part(const PoolView& pool)
{
    Html html;
    html.raw("<h2>Processes</h2>\n<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>"
             "<th>Worker</th><th class=\"num\">Process</th><th class=\"num\">Listener</th>"
             "<th>State</th><th class=\"num\">Connections</th><th class=\"num\">Running</th>"
             "<th class=\"num\">Last sign</th></tr></thead><tbody>\n");
    for (const WorkerView& worker : pool.workers) {
        html.raw("<tr><td>").number(worker.slot).raw("</td><td class=\"num\">").number(worker.pid);
        html.raw("</td><td class=\"num\">").number(worker.listener).raw("</td><td>");
        html.text(to_string(worker.state)).raw("</td><td class=\"num\">");
        html.number(worker.open_connections).raw("</td><td class=\"num\">");
        html.number(worker.running_requests).raw("</td><td class=\"num\">");
        html.number(worker.silent_ms).raw(" ms</td></tr>\n");
    }
    html.raw("</tbody></table></div>\n<p class=\"soft\">Workers replaced: ");
    html.number(static_cast<long long>(pool.worker_restarts));
    html.raw(" · usage rows waiting: ").number(static_cast<long long>(pool.rows_waiting));
    html.raw(" · folded into sums: ").number(static_cast<long long>(pool.rows_folded));
    html.raw(" · pool folder read ").add(time_element(pool.info.loaded_at, pool.now));
    html.raw(" · version ").text(CODEX_POOL_VERSION);
    return html.raw("</p>\n");
}

} // namespace admin_ui
