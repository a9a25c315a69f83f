/// account_part(): one account as a card of the Pool page.
#include "admin_ui/account_actions.hpp"
#include "admin_ui/parameters.hpp"
#include "admin_ui/status_parts.hpp"
#include "shared/base/percent.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace admin_ui {
namespace {

using shared::AccountCondition;
using shared::UnixMillis;
using shared::UsedShare;
using shared::WindowRecord;

constexpr double kHighShare = 0.8;
constexpr double kHourMs = 3'600'000;

/// How much will be used up when the window is renewed, if the pace stays: 0 to 100; below `used` if nobody knows.
double percent_at_reset(
    const WindowRecord& window, UsedShare used, const shared::Forecast& forecast, UnixMillis now)
{
    const bool known = used.is_known() && window.resets_at > now && forecast.percent_per_hour > 0;
    if (!known) return -1;
    const double hours = static_cast<double>(window.resets_at.value - now.value) / kHourMs;
    return std::min(100.0, used.fraction() * 100 + forecast.percent_per_hour * hours);
}

Html bar(UsedShare used, double at_reset, std::string_view label)
{
    const double percent = used.is_known() ? used.fraction() * 100 : 0;
    Html html;
    html.raw("<svg class=\"bar");
    if (used.is_full()) {
        html.raw(" full");
    } else if (used.is_known() && used.fraction() >= kHighShare) {
        html.raw(" high");
    }
    html.raw("\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"");
    html.text(label).raw("\"><rect width=\"").text(fmt::format("{:.1f}", percent));
    html.raw("\" height=\"8\"/>");
    if (at_reset > percent + 0.5) {
        // What the present pace adds until the reset, and a mark where it will be.
        html.raw("<rect class=\"ahead\" x=\"").text(fmt::format("{:.1f}", percent));
        html.raw("\" width=\"").text(fmt::format("{:.1f}", at_reset - percent));
        html.raw("\" height=\"8\"/><rect class=\"mark\" x=\"");
        html.text(fmt::format("{:.1f}", std::min(99.2, at_reset - 0.4)));
        html.raw("\" width=\"0.8\" height=\"8\"/>");
    }
    return html.raw("</svg>");
}

Html window_part(
    std::string_view name,
    const WindowRecord& window,
    UsedShare used,
    const shared::Forecast& forecast,
    UnixMillis now)
{
    Html html;
    html.raw("<div class=\"window\"><p><span>").text(name);
    if (!used.is_known()) {
        html.raw("</span><span class=\"soft\">not known yet</span></p>");
        return html.add(bar(used, -1, "not known")).raw("</div>\n");
    }
    const std::string percent = fmt::format("{:.0f} %", used.fraction() * 100);
    html.raw(" <b>").text(percent).raw("</b></span><span class=\"soft\">");
    if (window.resets_at > now) {
        html.raw("resets ").add(time_element(window.resets_at, now));
    } else {
        html.raw("seen ").add(time_element(window.seen_at, now));
    }
    const double at_reset = percent_at_reset(window, used, forecast, now);
    std::string label = percent + " used";
    if (at_reset >= 0)
        label += fmt::format(", {:.0f} % at its reset at the present pace", at_reset);
    html.raw("</span></p>").add(bar(used, at_reset, label));
    if (forecast.empty_at > now) {
        html.raw("<p class=\"forecast\">empty ").add(time_element(forecast.empty_at, now));
        html.raw(" at this pace (").text(fmt::format("{:.0f}", forecast.percent_per_hour));
        html.raw(" % an hour, ").text(shared::to_string(forecast.confidence));
        html.raw(" confidence)</p>");
    }
    return html.raw("</div>\n");
}

Html windows_part(const AccountView& account, UnixMillis now)
{
    Html html;
    const shared::AccountRouting& routing = account.routing;
    // API keys usually have no such windows: nothing is said about what was never heard of.
    const bool has_windows = routing.short_window.seconds != 0 || routing.long_window.seconds != 0;
    if (account.identity.kind == 2 && !has_windows) return html;
    html.add(window_part(
        "5 hours", routing.short_window, account.short_used, account.short_forecast, now));
    html.add(
        window_part("Week", routing.long_window, account.long_used, account.long_forecast, now));
    return html;
}

/// Why an account is what it is, since when, until when and who says so, in words.
Html note_part(const AccountView& account, UnixMillis now)
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

Html fact(std::string_view name, std::string_view value)
{
    Html html;
    html.raw("<div><dt>").text(name).raw("</dt><dd>").text(value);
    return html.raw("</dd></div>");
}

Html facts_part(const AccountView& account, const RecentUse& recent)
{
    const auto found = recent.find(account.identity.id.view());
    const TokenSums lately = found == recent.end() ? TokenSums() : found->second;
    Html html;
    html.raw("<dl class=\"facts\">").add(fact("In flight", std::to_string(account.in_flight)));
    html.add(fact("Cache, 24 h", percent_text(lately.cached_input, lately.input)));
    html.add(fact("Tokens, 24 h", short_number(lately.tokens())));
    return html.raw("</dl>\n");
}

/// What there is to know beyond the card: behind a button of its own.
Html details_part(const AccountView& account, UnixMillis now)
{
    const shared::StateInfo& state = shared::state_info(account.status.condition);
    Html html;
    html.raw("<details id=\"why-").text(account_element_id(account));
    html.raw("\"><summary>Why</summary><p><b>").text(state_words(state.name)).raw("</b>: ");
    html.text(state.meaning).raw(" <span class=\"soft\">Ends: ").text(state.ends);
    html.raw("</span></p>\n<dl class=\"pairs\">");
    html.add(fact("All requests", grouped_number(account.totals.requests)));
    html.add(fact("Failed", grouped_number(account.totals.failed_requests)));
    html.add(fact("Input", grouped_number(account.totals.input)));
    html.add(fact("Output", grouped_number(account.totals.output)));
    if (account.moved_away > 0 || account.moved_here > 0) {
        const std::string moves = fmt::format("{}, {}", account.moved_here, account.moved_away);
        html.add(fact("Conversations moved here, away", moves));
    }
    html.raw("<div><dt>Last used</dt><dd>").add(time_element(account.routing.last_used, now));
    html.raw("</dd></div></dl>\n<p><a href=\"/status/requests?account=");
    html.text(shared::percent_encoded(account.identity.id.view())).raw("\">Its requests</a></p>");
    return html.raw("</details>\n");
}

/// Forms that do something to the account; they work without scripts.
Html actions_part(const AccountView& account, std::string_view csrf)
{
    Html html;
    if (account.status.condition == AccountCondition::removed) return html;
    const bool disabled = account.status.condition == AccountCondition::disabled;
    const std::string_view id = account.identity.id.view();
    html.raw("<form class=\"account-actions\" method=\"post\" aria-label=\"Actions on ")
        .text(id)
        .raw("\">")
        .add(hidden_field("csrf", csrf));
    for (const ActionButton& button : action_buttons()) {
        const bool other_way = button.action == (disabled ? shared::AccountAction::disable
                                                          : shared::AccountAction::enable);
        const bool is_key = account.identity.kind == 2;
        if (other_way || (is_key && button.action == shared::AccountAction::refresh)) continue;
        html.raw("<button formaction=\"").text(action_path(id, button.action));
        html.raw("\" title=\"").text(button.title).raw("\">").text(button.label);
        html.raw("</button>");
    }
    return html.raw("</form>\n");
}

} // namespace

Html account_part(
    const AccountView& account, const RecentUse& recent, std::string_view csrf, UnixMillis now)
{
    const auto& identity = account.identity;
    const shared::StateInfo& state = shared::state_info(account.status.condition);
    const std::string element = account_element_id(account);
    Html html;
    html.raw("<article id=\"").text(element).raw("\" class=\"account is-").text(state.name);
    html.raw("\" aria-labelledby=\"title-").text(element).raw("\"><header><h3 id=\"title-");
    html.text(element)
        .raw("\">")
        .text(identity.id.view())
        .raw("</h3><span class=\"badge\" title=\"");
    html.text(state.meaning).raw(" ").text(state.ends).raw("\">").text(state_words(state.name));
    html.raw("</span></header>\n<p class=\"sub\">");
    html.text(identity.kind == 2 ? "API key" : "subscription");
    if (!identity.plan.empty()) html.raw(" · ").text(identity.plan.view());
    if (!identity.email.empty()) html.raw(" · ").text(identity.email.view());
    if (!identity.project.empty()) html.raw(" · ").text(identity.project.view());
    html.raw("</p>\n");
    const Html note = note_part(account, now);
    if (!note.str().empty()) html.raw("<p class=\"note\">").add(note).raw("</p>\n");
    if (!identity.problem.empty())
        html.raw("<p class=\"note\">").text(identity.problem.view()).raw("</p>\n");
    html.add(windows_part(account, now)).add(facts_part(account, recent));
    html.add(details_part(account, now)).add(actions_part(account, csrf));
    return html.raw("</article>\n");
}

} // namespace admin_ui
