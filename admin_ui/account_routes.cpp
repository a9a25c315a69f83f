/// The routes that change something: account actions, uploads, reload, upgrade. What has to be asked of the refresher
/// first becomes a Question; its answer becomes the response.
#include "admin_ui/own_accounts.hpp"
#include "admin_ui/pages.hpp"
#include "admin_ui/people_routes.hpp"
#include "admin_ui/responses.hpp"
#include "admin_ui/routes.hpp"
#include "admin_ui/upload_form.hpp"
#include "admin_ui/views.hpp"
#include "shared/base/log.hpp"
#include "shared/providers/account_options.hpp"
#include "shared/segment/account_table.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace admin_ui {
namespace {

using shared::AccountAction;
using shared::UploadEnd;

/// What OwnerWish holds.
constexpr std::size_t kWishBytesMax = decltype(shared::OwnerWish::options){}.bytes.size();

/// What a changing request shows to prove that a page of ours made it.
std::string shown_token(const PageRequest& request)
{
    return request.csrf_token.empty() ? Fields(request).text("csrf") : request.csrf_token;
}

std::string_view title_of(UploadEnd end) noexcept
{
    switch (end) {
    case UploadEnd::added:
        return "Account added";
    case UploadEnd::replaced:
        return "Account renewed";
    case UploadEnd::unchanged:
        return "Nothing changed";
    default:
        return "Not added";
    }
}

/// What is answered before anybody was asked.
PageResponse about_account(const shared::Message& asked, std::string account, std::uint16_t slot)
{
    PageResponse later;
    Question& question = later.question.emplace();
    question.message = asked;
    question.message.type = shared::MessageType::account_action;
    question.message.value = slot;
    question.account = std::move(account);
    return later;
}

} // namespace

std::string Routes::csrf_of(const PageRequest& request) const
{
    return people_ ? people_->csrf_of(request) : std::string();
}

PageResponse
Routes::post(Page page, const PageRequest& request, std::string_view path, shared::UnixMillis now)
{
    if (is_cross_site(request))
        return error_response(request, 403, "Another site may not ask for this.");
    // It looks for the token where the form has it, and says so itself.
    if (page == Page::admin_add || page == Page::own_add) return ask_upload(request, page);
    if (people_) {
        if (auto refusal = people_->token_refused(request, shown_token(request)))
            return std::move(*refusal);
    }
    if (page == Page::admin_action) return ask_action(request, *parse_action_path(path));
    if (page == Page::own_action) return ask_own_action(request, *parse_own_action_path(path), now);
    PageResponse later;
    later.question.emplace().message.type =
        page == Page::admin_upgrade ? shared::MessageType::upgrade : shared::MessageType::reload;
    return later;
}

PageResponse Routes::ask_action(const PageRequest& request, const ActionPath& action)
{
    const std::optional<shared::AccountSlot> slot = shared::find_account(segment_, action.account);
    if (!slot) return error_response(request, 404, "There is no such account.");
    shared::Message message;
    message.action = action.action;
    PageResponse later = about_account(message, action.account, slot->value);
    if (action.action != AccountAction::options) return later;
    // Checked here, where what is wrong can be said; the refresher checks again.
    if (request.body.size() > kWishBytesMax) {
        return error_response(
            request, 413, "Options have at most " + std::to_string(kWishBytesMax) + " bytes.");
    }
    if (const auto options = shared::parse_options_text(request.body); !options.has_value())
        return error_response(request, 400, options.error().text());
    later.question->options = request.body;
    return later;
}

PageResponse
Routes::ask_own_action(const PageRequest& request, const ActionPath& action, shared::UnixMillis now)
{
    const auto own = own_accounts(segment_, request.caller.user, now);
    const auto found = std::find_if(own.begin(), own.end(), [&action](const OwnAccount& account) {
        return account.id == action.account;
    });
    // Whether others have it is nobody else's business.
    if (found == own.end()) return error_response(request, 404, "You have no such account.");
    if (found->status.condition == shared::AccountCondition::disabled && !found->is_paused())
        return error_response(
            request, 409, "The pool's owner has disabled this account; ask them about it.");
    shared::Message message;
    message.action = action.action;
    return about_account(message, found->id, found->slot.value);
}

PageResponse Routes::ask_upload(const PageRequest& request, Page page)
{
    UploadForm form = read_upload_form(request);
    if (people_) {
        if (auto refusal = people_->token_refused(request, form.csrf)) return std::move(*refusal);
    }
    const bool by_user = request.caller.role == CallerRole::user;
    if (page == Page::own_add && by_user && !settings_.allow_contributions)
        return error_response(
            request, 403, "The pool's owner does not take accounts of its users.");
    if (!form.problem.empty()) return error_response(request, 400, form.problem);
    if (by_user) form.wish.owner = request.caller.user;
    auto packed = shared::pack_upload(form.wish, form.file);
    if (!packed.has_value()) return error_response(request, 413, packed.error().text() + '.');
    PageResponse later;
    Question& question = later.question.emplace();
    question.message.type = shared::MessageType::account_action;
    question.message.action = AccountAction::add;
    question.upload = std::move(*packed);
    return later;
}

PageResponse Routes::answer_response(
    const PageRequest& request,
    const Question& question,
    const shared::Message& answer,
    shared::UnixMillis now)
{
    const ActionWords words = words_of(answer);
    const bool done = answer.result == shared::ActionResult::done;
    if (question.message.type == shared::MessageType::reload) {
        if (done) return reload_response(request, answer.value);
        if (answer.result == shared::ActionResult::refused)
            return error_response(request, 409, "Nothing was changed: " + supervisor_word());
        return error_response(request, words.status, words.sentence);
    }
    if (question.message.type == shared::MessageType::upgrade)
        return upgrade_response(request, done);
    if (done && question.message.action == AccountAction::add)
        return upload_response(request, question);
    shared::log::info(
        "event=owner_action account={} action={} result={} by={}",
        question.account.empty() ? "-" : question.account,
        to_string(answer.action),
        to_string(answer.result),
        doer(request));
    if (wants_html(request)) {
        if (!done) return error_response(request, words.status, words.sentence);
        return see_other(request.caller.role == CallerRole::user ? "/me" : "/status");
    }
    if (question.message.action == AccountAction::add)
        return error_response(request, words.status, words.sentence);
    const auto slot = static_cast<std::uint16_t>(question.message.value);
    const shared::AccountRouting routing = segment_.accounts[slot].with_lock(
        [](const shared::AccountRecord& record) { return record.routing; });
    const shared::AccountStatus status =
        shared::account_status(routing, shared::in_flight(segment_, {slot}), now);
    if (done && wants_text(request)) {
        const std::string state(shared::to_string(status.condition));
        return made_response(
            200, kTextType, words.sentence + " " + question.account + " is " + state + ".\n");
    }
    return made_response(words.status, kJsonType, action_json(question, answer, words, status));
}

PageResponse Routes::upload_response(const PageRequest& request, const Question& question) const
{
    const auto answer = shared::read_upload_answer(question.upload.get());
    if (!answer.has_value()) return error_response(request, 500, answer.error().text() + '.');
    shared::log::info(
        "event=owner_action account={} action=add result={} by={}",
        answer->account.empty() ? "-" : answer->account,
        shared::to_string(answer->end),
        doer(request));
    const unsigned status = status_of(answer->end);
    if (wants_html(request)) {
        const bool friendly = request.caller.role == CallerRole::user;
        Frame frame;
        frame.title = title_of(answer->end);
        frame.audience = friendly ? Audience::friend_ : Audience::owner;
        frame.place = friendly ? "/status/setup" : "/status";
        return made_response(
            status,
            kHtmlType,
            notice_page(
                frame,
                answer->sentence,
                friendly ? "/me" : "/status",
                friendly ? "To your page" : "To the pool"));
    }
    if (wants_text(request) && status < 400)
        return made_response(status, kTextType, answer->sentence + '\n');
    return made_response(status, kJsonType, upload_json(*answer));
}

PageResponse Routes::no_answer(const PageRequest& request, const Question& question)
{
    if (question.message.type == shared::MessageType::reload) {
        return error_response(
            request, 504, "The pool folder was not read in time; look at the log, then try again.");
    }
    if (question.message.type == shared::MessageType::upgrade)
        return error_response(request, 504, "There was no answer in time; look at the log.");
    return error_response(
        request, 504, "There was no answer in time; look at the account's state and the log.");
}

PageResponse Routes::upgrade_response(const PageRequest& request, bool done)
{
    if (!done) return error_response(request, 409, "Nothing was upgraded: " + supervisor_word());
    if (wants_json(request)) return made_response(200, kJsonType, "{\"status\": \"ok\"}\n");
    return made_response(200, kTextType, "ok, the program on disk has taken over\n");
}

std::string Routes::supervisor_word()
{
    const auto text = segment_.supervisor_word.with_lock(
        [](const shared::SupervisorWord& word) { return word.text; });
    return text.empty() ? "the log says why." : std::string(text.view());
}

PageResponse Routes::reload_response(const PageRequest& request, std::uint64_t broken_files)
{
    const shared::PoolInfo info =
        segment_.info.with_lock([](shared::PoolInfo& current) { return current; });
    if (wants_json(request)) return made_response(200, kJsonType, reload_json(info, broken_files));
    if (broken_files == 0) return made_response(200, kTextType, "ok\n");
    std::string text = "ok, but " + std::to_string(broken_files) +
                       (broken_files == 1 ? " file is" : " files are") + " not in service:\n";
    for (const std::string& line : problem_lines(info))
        text += line + '\n';
    return made_response(200, kTextType, text);
}

} // namespace admin_ui
