#include "admin_ui/account_words.hpp"

#include "shared/base/read_file.hpp"

namespace admin_ui {

using shared::AccountCondition;

std::string account_note(const AccountView& account, shared::UnixMillis now)
{
    std::string text;
    const auto add = [&text](const std::string& part) {
        if (part.empty()) return;
        if (!text.empty()) text += "; ";
        text += part;
    };
    if (account.status.condition != AccountCondition::ready)
        add(shared::reason_in_words(account.status.reason.view()));
    if (account.status.until.is_set()) add("back " + relative_time(account.status.until, now));
    if (account.token_expired) add("access token expired");
    add(std::string(account.identity.problem.view()));
    return shared::printable(text);
}

std::string next_step(const AccountView& account)
{
    const std::string id = shared::printable(account.identity.id.view());
    if (!account.identity.problem.empty())
        return "mend its credential file (codex-pool check names the place), then codex-pool "
               "reload";
    switch (account.status.condition) {
    case AccountCondition::needs_login:
        return "sign in again with its CLI, copy the file into the pool folder, then codex-pool "
               "reload";
    case AccountCondition::failing:
        return "look whether the vendor still serves it: codex-pool accounts test " + id;
    case AccountCondition::disabled:
        if (account.status.reason.view() == shared::kReasonDisabledInFile)
            return "take \"disabled\" out of its credential file, then codex-pool reload";
        return "codex-pool accounts enable " + id;
    case AccountCondition::ready:
    case AccountCondition::busy:
    case AccountCondition::cooling:
    case AccountCondition::exhausted:
    case AccountCondition::removed:
        break;
    }
    return {};
}

} // namespace admin_ui
