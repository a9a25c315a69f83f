#include "admin_ui/friend_page.hpp"

#include "admin_ui/frame.hpp"
#include "admin_ui/page_parts.hpp"

#include <map>

#include <fmt/format.h>

namespace admin_ui {
namespace {

using shared::AccountCondition;

/// All accounts of one provider together.
struct ProviderSum {
    std::size_t accounts = 0;
    std::size_t ready = 0;
    double used_sum = 0; ///< of the window that is fuller, in percent
    std::size_t known = 0;
};

std::map<std::string, ProviderSum, std::less<>> by_provider(const PoolView& pool)
{
    std::map<std::string, ProviderSum, std::less<>> all;
    for (const AccountView& account : pool.accounts) {
        const AccountCondition condition = account.status.condition;
        if (condition == AccountCondition::removed) continue;
        ProviderSum& sum = all[std::string(account.provider())];
        ++sum.accounts;
        if (condition == AccountCondition::ready || condition == AccountCondition::busy)
            ++sum.ready;
        const double used = std::max(
            account.short_used.is_known() ? account.short_used.fraction() : -1.0,
            account.long_used.is_known() ? account.long_used.fraction() : -1.0);
        if (used < 0) continue;
        sum.used_sum += used * 100;
        ++sum.known;
    }
    return all;
}

Html provider_card(std::string_view name, const ProviderSum& sum)
{
    Html html;
    html.raw("<article class=\"account is-").text(sum.ready > 0 ? "ready" : "exhausted");
    html.raw("\"><header><h3>").text(name).raw("</h3><span class=\"badge\">");
    html.text(sum.ready > 0 ? "can serve" : "cannot serve now").raw("</span></header>");
    html.raw("<p class=\"sub\">").text(fmt::format("{} of {} accounts", sum.ready, sum.accounts));
    html.raw("</p>");
    if (sum.known > 0) {
        const double used = sum.used_sum / static_cast<double>(sum.known);
        html.raw("<div class=\"window\"><p><span>used on average <b>");
        html.text(fmt::format("{:.0f} %", used));
        html.raw("</b></span></p><svg class=\"bar\" viewBox=\"0 0 100 8\" "
                 "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"");
        html.text(fmt::format("{:.0f} % used", used)).raw("\"><rect width=\"");
        html.text(fmt::format("{:.1f}", used)).raw("\" height=\"8\"/></svg></div>");
    }
    return html.raw("</article>\n");
}

} // namespace

std::string friend_page(const PoolView& pool, std::string_view user, const UsageReport& own)
{
    const Verdict state = verdict(pool);
    const TokenSums& sums = own.total.sums;
    Html html;
    html.raw("<h1 class=\"quiet-title\">Pool</h1>\n<div id=\"state\" class=\"hero state-");
    html.text(state.word).raw("\"><p class=\"verdict\"><span class=\"dot\" aria-hidden=\"true\">");
    html.raw("</span>").text(state.sentence).raw("</p></div>\n<div class=\"accounts\">\n");
    for (const auto& [name, sum] : by_provider(pool))
        html.add(provider_card(name, sum));
    html.raw("</div>\n<h2>Your last seven days <small>").text(user).raw("</small></h2>\n");
    html.raw("<dl class=\"tiles\">\n").add(tile("Tokens", short_number(sums.tokens())));
    html.add(tile("From cache", percent_text(sums.cached_input, sums.input)));
    html.add(tile("Output", short_number(sums.output)));
    html.add(tile("Requests", short_number(sums.requests))).raw("</dl>\n");
    html.raw("<p><a href=\"/status/usage\">More of it</a></p>\n");
    Frame frame;
    frame.title = "Pool";
    frame.place = "/status";
    frame.audience = Audience::friend_;
    return framed(frame, html);
}

} // namespace admin_ui
