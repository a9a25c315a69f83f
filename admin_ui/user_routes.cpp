#include "admin_ui/people_pages.hpp"
#include "admin_ui/people_routes.hpp"
#include "admin_ui/responses.hpp"
#include "admin_ui/user_view.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

namespace admin_ui {
namespace {

using Json = nlohmann::ordered_json;
using shared::UnixMillis;

unsigned status_of(StoreRefusal refusal) noexcept
{
    switch (refusal) {
    case StoreRefusal::none:
        return 200;
    case StoreRefusal::not_found:
        return 404;
    case StoreRefusal::stale:
    case StoreRefusal::email_taken:
    case StoreRefusal::full:
        return 409;
    case StoreRefusal::unwritable:
        break;
    }
    return 500;
}

/// The version that the asker saw, of If-Match or the field; `wrong` if it is no number.
std::optional<std::uint64_t>
seen_version(const PageRequest& request, const Fields& fields, bool& wrong)
{
    std::string text = request.if_match.empty() ? fields.text("version") : request.if_match;
    std::erase(text, '"');
    if (text.empty() || text == "*") return std::nullopt;
    std::uint64_t version = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
    wrong = error != std::errc() || end != text.data() + text.size();
    return version;
}

/// Takes over what the fields say of a user; returns what is wrong with it.
std::string read_user(const Fields& fields, User& user, bool limits_only)
{
    if (!limits_only) {
        if (fields.has("email")) user.email = fields.text("email");
        if (fields.has("name")) user.name = fields.text("name");
        if (!fields.text("plan_type").empty()) user.plan = fields.text("plan_type");
        for (std::string wrong :
             {check_email(user.email), check_name(user.name), check_plan(user.plan)})
            if (!wrong.empty()) return wrong;
    }
    for (const std::string_view name : kLimitNames) {
        if (!fields.has(name)) continue;
        std::string wrong = set_limit(user.limits, name, fields.text(name));
        if (!wrong.empty()) return wrong;
    }
    return {};
}

/// Every name that stands in a list is a provider's.
std::string check_providers(const OwnLimits& limits, const shared::ProviderRegistry& registry)
{
    const std::string names = limits.providers.value_or("");
    std::size_t begin = 0;
    while (begin < names.size()) {
        const std::size_t end = std::min(names.find(',', begin), names.size());
        std::string name = names.substr(begin, end - begin);
        std::erase(name, ' ');
        begin = end + 1;
        if (name.empty() || name == "*" || registry.find(name) != nullptr) continue;
        return "there is no provider \"" + name + '"';
    }
    return {};
}

PageResponse json_response(unsigned status, const Json& body)
{
    return made_response(
        status, kJsonType, body.dump(2, ' ', false, Json::error_handler_t::replace) + '\n');
}

} // namespace

PageResponse PeopleRoutes::users(const PageRequest& request, std::string_view rest, UnixMillis now)
{
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (rest.empty() || rest == "create") {
        if (reads && rest == "create") return see_other("/status/people");
        if (reads) return list(request, now);
        if (request.method == "POST") return create(request, now);
        return method_not_allowed(request, "GET, HEAD, POST");
    }
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view id = rest.substr(0, slash);
    const std::string_view action = rest.substr(std::min(slash + 1, rest.size()));
    if (request.method == "DELETE" && action.empty()) return change(request, id, "delete", now);
    if (request.method == "POST") return change(request, id, action, now);
    if (!reads || !action.empty())
        return method_not_allowed(request, action.empty() ? "GET, HEAD, POST, DELETE" : "POST");
    const User* const user = people_.store().find(id);
    if (user == nullptr) return error_response(request, 404, "There is no such user.");
    const UserView view = view_user(people_, *user, now);
    PageResponse answer = wants_text(request) ? made_response(200, kTextType, user_text(view, now))
                                              : json_response(200, user_json(view, now));
    answer.headers.push_back({"ETag", '"' + std::to_string(user->version) + '"'});
    return answer;
}

PageResponse PeopleRoutes::list(const PageRequest& request, UnixMillis now)
{
    if (wants_html(request)) return see_other("/status/people");
    const std::vector<UserView> users = view_users(people_, now);
    if (wants_text(request)) {
        std::string text = users_text(users, now);
        for (const shared::Problem& problem : people_.store().problems())
            text += problem.text() + '\n';
        return made_response(200, kTextType, std::move(text));
    }
    Json body{{"users", Json::array()}, {"count", users.size()}, {"problems", Json::array()}};
    for (const UserView& view : users)
        body["users"].push_back(user_json(view, now));
    for (const shared::Problem& problem : people_.store().problems())
        body["problems"].push_back(problem.text());
    return json_response(200, body);
}

PageResponse PeopleRoutes::create(const PageRequest& request, UnixMillis now)
{
    const Fields fields(request);
    if (auto refusal = refused(request, fields)) return std::move(*refusal);
    User user;
    std::string wrong = read_user(fields, user, false);
    if (wrong.empty()) wrong = check_providers(user.limits, people_.registry());
    if (!wrong.empty()) return error_response(request, 400, wrong);
    const StoreResult result = people_.create(std::move(user), doer(request), now);
    if (!result.done()) return changed(request, result, now);
    return invited(request, people_.invite(result.user->id, doer(request), now), 201);
}

PageResponse PeopleRoutes::change(
    const PageRequest& request, std::string_view id, std::string_view action, UnixMillis now)
{
    const Fields fields(request);
    if (auto refusal = refused(request, fields)) return std::move(*refusal);
    bool wrong_version = false;
    const auto version = seen_version(request, fields, wrong_version);
    if (wrong_version) return error_response(request, 400, "version must be a number.");
    const std::string by = doer(request);
    if (action == "enable" || action == "disable") {
        const bool disabled = action == "disable";
        const auto edit = [disabled](User& user) { user.disabled = disabled; };
        const char* const event = disabled ? "user_disabled" : "user_enabled";
        return changed(request, people_.change(id, version, edit, event, by), now);
    }
    if (action == "rotate") {
        const auto edit = [](User& user) {
            ++user.generation;
            user.setup_tokens.clear();
        };
        return changed(request, people_.change(id, version, edit, "user_rotated", by), now);
    }
    if (action == "delete") {
        StoreResult result = people_.remove(id, version, by);
        return changed(request, result, now);
    }
    if (action == "invite") {
        const Invitation made = people_.invite(id, by, now);
        if (!made.result.done()) return changed(request, made.result, now);
        return invited(request, made, 200);
    }
    if (!action.empty() && action != "limits")
        return error_response(request, 404, "There is no such action.");
    const User* const found = people_.store().find(id);
    if (found == nullptr) return error_response(request, 404, "There is no such user.");
    User trial = *found;
    std::string wrong = read_user(fields, trial, action == "limits");
    if (wrong.empty()) wrong = check_providers(trial.limits, people_.registry());
    if (!wrong.empty()) return error_response(request, 400, wrong);
    const auto edit = [&](User& user) { (void)read_user(fields, user, action == "limits"); };
    return changed(request, people_.change(id, version, edit, "user_changed", by), now);
}

PageResponse
PeopleRoutes::changed(const PageRequest& request, const StoreResult& result, UnixMillis now) const
{
    if (!result.done()) return error_response(request, status_of(result.refusal), result.sentence);
    if (wants_html(request)) return see_other("/status/people");
    if (wants_text(request))
        return made_response(200, kTextType, "Done: " + result.user->label() + ".\n");
    Json body{{"success", true}, {"id", result.user->id}};
    if (people_.store().find(result.user->id) != nullptr)
        body["user"] = user_json(view_user(people_, *result.user, now), now);
    return json_response(200, body);
}

PageResponse
PeopleRoutes::invited(const PageRequest& request, const Invitation& made, unsigned status)
{
    const User& user = *made.result.user;
    const UnixMillis now = user.invited_at;
    if (wants_html(request)) return people_page(request, &made, now);
    const auto address = pool_address(request, site_);
    const std::string base = address.value_or("http://" + site_.listen);
    Json setup = Json::object();
    std::string text = user.id + '\n';
    for (const SetupLink& link : made.links) {
        const SetupTab tab = setup_tab(
            *link.provider,
            people_.client_setup(*link.provider, &user, base, now),
            base,
            link.token);
        setup[std::string(link.provider->name())] = {
            {"token", link.token}, {"command", tab.command}, {"powershell", tab.powershell}};
        text.append(link.provider->name()).append("\n    ").append(tab.command).append("\n");
    }
    if (wants_text(request)) return made_response(status, kTextType, text);
    return json_response(
        status, {{"user", user_json(view_user(people_, user, now), now)}, {"setup", setup}});
}

} // namespace admin_ui
