#include "admin_ui/own_accounts.hpp"

#include "admin_ui/json_text.hpp"
#include "admin_ui/page_parts.hpp"
#include "admin_ui/pool_view.hpp"
#include "shared/base/percent.hpp"
#include "shared/segment/account_table.hpp"

#include <nlohmann/json.hpp>

namespace admin_ui {

using shared::AccountCondition;

std::vector<OwnAccount>
own_accounts(shared::Segment& segment, std::string_view user, shared::UnixMillis now)
{
    std::vector<OwnAccount> own;
    if (user.empty()) return own;
    for (const shared::AccountSnapshot& account : shared::snapshot_accounts(segment)) {
        const bool is_gone = account.routing.state == shared::AccountState::removed ||
                             account.routing.state == shared::AccountState::empty;
        if (is_gone || !(account.identity.owner == user)) continue;
        OwnAccount shown;
        shown.id = account.identity.id.view();
        shown.slot = account.slot;
        shown.status =
            shared::account_status(account.routing, shared::in_flight(segment, account.slot), now);
        shown.problem = account.identity.problem.view();
        own.push_back(std::move(shown));
    }
    return own;
}

std::string own_accounts_json(const std::vector<OwnAccount>& accounts)
{
    Json body{{"accounts", Json::array()}, {"count", accounts.size()}};
    for (const OwnAccount& account : accounts) {
        const shared::AccountStatus& status = account.status;
        body["accounts"].push_back(
            {{"id", account.id},
             {"state", shared::to_string(status.condition)},
             {"reason", status.reason.view()},
             {"since", time_json(status.since)},
             {"until", time_json(status.until)},
             {"paused", account.is_paused()},
             {"problem", account.problem}});
    }
    return body.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

Html own_accounts_part(
    const std::vector<OwnAccount>& accounts, std::string_view csrf, shared::UnixMillis now)
{
    Html html;
    if (accounts.empty()) return html;
    html.raw("<ul class=\"own-accounts\">\n");
    for (const OwnAccount& account : accounts) {
        const shared::StateInfo& state = shared::state_info(account.status.condition);
        html.raw("<li class=\"account is-").text(state.name).raw("\"><header><h3>");
        html.text(account.id).raw("</h3><span class=\"badge\">").text(state_words(state.name));
        html.raw("</span></header>");
        if (!account.status.reason.empty()) {
            html.raw("<p class=\"note\">");
            html.text(shared::reason_in_words(account.status.reason.view()));
            if (account.status.until.is_set())
                html.raw("; back ").add(time_element(account.status.until, now));
            html.raw("</p>");
        }
        if (!account.problem.empty())
            html.raw("<p class=\"note\">").text(account.problem).raw("</p>");
        // What somebody else has switched off, its user cannot switch on.
        const bool paused = account.is_paused();
        if (paused || account.status.condition != AccountCondition::disabled) {
            html.raw("<form method=\"post\" action=\"/api/pool/accounts/");
            html.text(shared::percent_encoded(account.id, "-._~")).raw("/");
            html.text(paused ? "resume" : "pause").raw("\">").add(hidden_field("csrf", csrf));
            html.raw("<button>").text(paused ? "Resume" : "Pause").raw("</button></form>");
        }
        html.raw("</li>\n");
    }
    return html.raw("</ul>\n");
}

} // namespace admin_ui
