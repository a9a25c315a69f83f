#include "admin_ui/account_actions.hpp"

#include "shared/base/percent.hpp"

#include <algorithm>

namespace admin_ui {
namespace {

using shared::AccountAction;
using shared::ActionResult;

constexpr std::string_view kPrefix = "/admin/accounts/";
constexpr std::string_view kOwnPrefix = "/api/pool/accounts/";

struct Named {
    AccountAction action;
    std::string_view name;
};

constexpr std::array<Named, 9> kActions{
    {{AccountAction::enable, "enable"},
     {AccountAction::disable, "disable"},
     {AccountAction::clear, "clear"},
     {AccountAction::refresh, "refresh"},
     {AccountAction::test, "test"},
     {AccountAction::options, "options"},
     {AccountAction::pause, "pause"},
     {AccountAction::resume, "resume"},
     {AccountAction::add, "add"}}};

bool is_for_users(AccountAction action) noexcept
{
    return action == AccountAction::pause || action == AccountAction::resume;
}

constexpr std::array<ActionButton, 5> kButtons{
    {{AccountAction::enable, "Enable", "Put it back into service"},
     {AccountAction::disable, "Disable", "Take it out of service; lasts until you enable it"},
     {AccountAction::clear, "Clear", "Forget why it cools, fails or is used up"},
     {AccountAction::refresh, "Refresh token", "Renew its access token now"},
     {AccountAction::test, "Test", "Make one tiny real request and learn from the answer"}}};

/// What the vendor answered to a test; 0 = nothing.
unsigned upstream_status(const shared::Message& answer) noexcept
{
    return static_cast<unsigned>(answer.value >> 32U);
}

ActionWords failure_of(const shared::Message& answer)
{
    switch (answer.action) {
    case AccountAction::test: {
        const unsigned status = upstream_status(answer);
        if (status == 0) return {502, "The vendor could not be reached; the log says why."};
        return {
            502,
            "The vendor answered the test with " + std::to_string(status) +
                "; what it means for the account is in its state."};
    }
    case AccountAction::refresh:
        return {502, "The token could not be renewed; the account's state and the log say why."};
    default:
        return {500, "It could not be saved, so nothing was changed; the log says why."};
    }
}

/// What follows `prefix` as an account and the name of an action.
std::optional<ActionPath> parse_below(std::string_view path, std::string_view prefix)
{
    if (!path.starts_with(prefix)) return std::nullopt;
    path.remove_prefix(prefix.size());
    const std::size_t slash = path.find('/');
    if (slash == 0 || slash == std::string_view::npos) return std::nullopt;
    const std::string_view name = path.substr(slash + 1);
    for (const Named& each : kActions) {
        if (each.name == name)
            return ActionPath{shared::percent_decoded(path.substr(0, slash)), each.action};
    }
    return std::nullopt;
}

} // namespace

std::optional<ActionPath> parse_action_path(std::string_view path)
{
    auto made = parse_below(path, kPrefix);
    const bool known = made && !is_for_users(made->action) && made->action != AccountAction::add;
    return known ? made : std::nullopt;
}

std::optional<ActionPath> parse_own_action_path(std::string_view path)
{
    auto made = parse_below(path, kOwnPrefix);
    return made && is_for_users(made->action) ? made : std::nullopt;
}

std::string action_path(std::string_view account, AccountAction action)
{
    const std::string id = shared::percent_encoded(account, "-._~");
    return std::string(kPrefix) + id + "/" + std::string(to_string(action));
}

std::string_view to_string(AccountAction action) noexcept
{
    for (const Named& each : kActions)
        if (each.action == action) return each.name;
    return "none";
}

std::string_view to_string(ActionResult result) noexcept
{
    switch (result) {
    case ActionResult::done:
        return "done";
    case ActionResult::failed:
        return "failed";
    case ActionResult::no_account:
        return "no_account";
    case ActionResult::refused:
        return "refused";
    case ActionResult::unavailable:
        return "unavailable";
    }
    return "unknown";
}

const std::array<ActionButton, 5>& action_buttons() noexcept
{
    return kButtons;
}

ActionWords words_of(const shared::Message& answer)
{
    switch (answer.result) {
    case ActionResult::done:
        if (answer.action == AccountAction::test) return {200, "The vendor served the test."};
        return {200, "Done."};
    case ActionResult::failed:
        return failure_of(answer);
    case ActionResult::no_account:
        return {404, "There is no such account any more."};
    case ActionResult::refused:
        return {409, "That makes no sense for this account as it is."};
    case ActionResult::unavailable:
        break;
    }
    return {
        503,
        "The process that looks after accounts does not run; look at the log, then try again."};
}

unsigned status_of(shared::UploadEnd end) noexcept
{
    switch (end) {
    case shared::UploadEnd::added:
        return 201;
    case shared::UploadEnd::replaced:
    case shared::UploadEnd::unchanged:
        return 200;
    case shared::UploadEnd::invalid:
        return 400;
    case shared::UploadEnd::conflict:
        return 409;
    case shared::UploadEnd::failed:
        break;
    }
    return 500;
}

bool leave_wish(shared::Segment& segment, const Question& question, std::uint64_t request)
{
    shared::OwnerWish wish;
    wish.request = request;
    wish.account = static_cast<std::uint16_t>(question.message.value);
    wish.options.assign(question.options);
    return segment.owner_wish.with_lock([&wish](shared::OwnerWish& place) {
        if (place.request != 0) return false;
        place = wish;
        return true;
    });
}

void clear_wishes(shared::Segment& segment)
{
    segment.owner_wish.with_lock([](shared::OwnerWish& place) { place = {}; });
}

void withdraw_wish(shared::Segment& segment, std::uint64_t request)
{
    segment.owner_wish.with_lock([request](shared::OwnerWish& place) {
        if (place.request == request) place = {};
    });
}

} // namespace admin_ui
