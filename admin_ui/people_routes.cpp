#include "admin_ui/people_routes.hpp"

#include "admin_ui/own_accounts.hpp"
#include "admin_ui/people_pages.hpp"
#include "admin_ui/responses.hpp"
#include "admin_ui/upload_form.hpp"
#include "admin_ui/user_view.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <utility>

namespace admin_ui {
namespace {

constexpr std::array kPaths{
    PeoplePath{"GET", "/login"},
    PeoplePath{"POST", "/login"},
    PeoplePath{"POST", "/logout"},
    PeoplePath{"GET", "/me"},
    PeoplePath{"POST", "/me/{action}"},
    PeoplePath{"GET", "/setup/undo"},
    PeoplePath{"GET", "/setup/{cli}"},
    PeoplePath{"GET", "/setup/{cli}/{token}"},
    PeoplePath{"GET", "/config/{cli}"},
    PeoplePath{"GET", "/config/{cli}/{token}"},
    PeoplePath{"POST", "/api/friend/claim"},
    PeoplePath{"POST", "/oauth/token"},
    PeoplePath{"GET", "/status/people"},
    PeoplePath{"GET", "/status/setup"},
    PeoplePath{"GET", "/admin/pool-users"},
    PeoplePath{"POST", "/admin/pool-users"},
    PeoplePath{"GET", "/admin/pool-users/{user}"},
    PeoplePath{"POST", "/admin/pool-users/{user}"},
    PeoplePath{"DELETE", "/admin/pool-users/{user}"},
    PeoplePath{"POST", "/admin/pool-users/{user}/{action}"},
};

/// What follows `prefix` if it is the path or stands above it; nothing else.
std::optional<std::string_view> below(std::string_view path, std::string_view prefix)
{
    if (!path.starts_with(prefix)) return std::nullopt;
    path.remove_prefix(prefix.size());
    if (path.empty()) return path;
    if (path.front() != '/') return std::nullopt;
    return path.substr(1);
}

bool same(std::string_view a, std::string_view b) noexcept
{
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace

std::span<const PeoplePath> people_paths() noexcept
{
    return kPaths;
}

PeopleRoutes::PeopleRoutes(People& people, const SiteSettings& site) : people_(people), site_(site)
{}

std::optional<PageResponse> PeopleRoutes::answer(const PageRequest& request, shared::UnixMillis now)
{
    std::string_view path = request.path;
    if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    const bool reads = request.method == "GET" || request.method == "HEAD";
    people_.refresh(now);
    if (path == "/" && site_.shared_mode && reads) return landing();
    if (path == "/api/friend/claim") return claim(request, now);
    if (path == "/login") return login(request, now);
    if (path == "/logout") return logout(request);
    if (below(path, "/oauth/token")) return token(request, now);
    if (const auto action = below(path, "/me")) return me(request, *action, now);
    if (const auto rest = below(path, "/admin/pool-users")) return users(request, *rest, now);
    const auto setup_rest = below(path, "/setup");
    const auto config_rest = below(path, "/config");
    const bool page = path == "/status/people" || path == "/status/setup";
    if (!setup_rest && !config_rest && !page) return std::nullopt;
    if (!reads) return method_not_allowed(request, "GET, HEAD");
    if (setup_rest) return setup(request, *setup_rest, now);
    if (config_rest) return config(request, *config_rest, now);
    if (path == "/status/people") return people_page(request, nullptr, now);
    if (request.caller.role == CallerRole::user) return see_other("/me");
    return setup_page(request, now);
}

PageResponse PeopleRoutes::landing() const
{
    const PeopleSettings& settings = people_.settings();
    return made_response(
        200,
        kHtmlType,
        landing_for_friends(
            site_.friend_name,
            site_.friend_tagline,
            !settings.friend_code.empty(),
            !settings.admin_password.empty()));
}

std::optional<PageResponse>
PeopleRoutes::refused(const PageRequest& request, const Fields& fields) const
{
    if (is_cross_site(request))
        return error_response(request, 403, "Another site may not ask for this.");
    if (!fields.problem().empty()) return error_response(request, 400, fields.problem());
    const std::string shown = request.csrf_token.empty() ? fields.text("csrf") : request.csrf_token;
    return token_refused(request, shown);
}

std::string PeopleRoutes::csrf_of(const PageRequest& request) const
{
    return request.caller.by_session ? people_.csrf_token(request.caller.user) : std::string();
}

std::optional<PageResponse>
PeopleRoutes::token_refused(const PageRequest& request, std::string_view shown) const
{
    if (!request.caller.by_session || same(shown, people_.csrf_token(request.caller.user)))
        return std::nullopt;
    return error_response(
        request, 403, "The form is of another session; open the page again, then repeat.");
}

PageResponse
PeopleRoutes::me(const PageRequest& request, std::string_view action, shared::UnixMillis now)
{
    if (request.caller.role == CallerRole::owner) return see_other("/status");
    const User* const user = people_.store().find(request.caller.user);
    if (user == nullptr) return see_other("/login");
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (action.empty()) {
        if (!reads) return method_not_allowed(request, "GET, HEAD");
        return me_page(request, *user, now, false);
    }
    if (action != "setup" && action != "rotate")
        return error_response(request, 404, "There is no such page.");
    if (request.method != "POST") return method_not_allowed(request, "POST");
    const Fields fields(request);
    if (auto refusal = refused(request, fields)) return std::move(*refusal);
    if (action == "setup") return me_page(request, User(*user), now, true);
    const auto edit = [](User& own) {
        ++own.generation;
        own.setup_tokens.clear();
    };
    const StoreResult result =
        people_.change(user->id, std::nullopt, edit, "user_rotated", request.caller.user);
    if (!result.done()) return error_response(request, 500, result.sentence);
    PageResponse answer = see_other("/me");
    // The cookie was of the old keys.
    if (request.caller.by_session)
        sign_in(answer, request, people_.user_session(*result.user, now));
    return answer;
}

PageResponse PeopleRoutes::me_page(
    const PageRequest& request, const User& user, shared::UnixMillis now, bool links)
{
    PageFrame frame;
    frame.title = "My pool";
    frame.role = CallerRole::user;
    frame.place = "/status/setup";
    frame.csrf = csrf_of(request);
    SetupView view;
    view.show_keys = true;
    if (links) {
        const auto address = pool_address(request, site_);
        if (!address)
            return error_response(request, 400, "The Host header names no address of the pool.");
        view.address = *address;
        const Invitation made = people_.invite(user.id, user.id, now);
        if (!made.result.done()) return error_response(request, 500, made.result.sentence);
        for (const SetupLink& link : made.links)
            view.tabs.push_back(setup_tab(
                *link.provider,
                people_.client_setup(*link.provider, &user, *address, now),
                *address,
                link.token));
    }
    const Html accounts = my_accounts(user, frame.csrf, now);
    return made_response(
        200, kHtmlType, my_page(frame, view_user(people_, user, now), view, accounts));
}

Html PeopleRoutes::my_accounts(const User& user, std::string_view csrf, shared::UnixMillis now)
{
    const std::vector<OwnAccount> own = own_accounts(people_.segment(), user.id, now);
    Html html;
    if (own.empty() && !site_.allow_contributions) return html;
    html.raw("<h2>Your accounts</h2>\n").add(own_accounts_part(own, csrf, now));
    if (!site_.allow_contributions) return html;
    html.raw("<details id=\"add-account\"><summary>Contribute an account</summary>\n");
    html.raw(
        "<p class=\"soft\">Everybody in this pool is then served by it too. Its credentials stay ");
    html.raw("on the pool's machine, and you can pause it whenever you like.</p>\n");
    html.add(upload_form(people_.registry(), "/api/pool/accounts", csrf, "Contribute it"));
    return html.raw("</details>\n");
}

PageResponse PeopleRoutes::people_page(
    const PageRequest& request, const Invitation* made, shared::UnixMillis now)
{
    PageFrame frame;
    frame.title = "People";
    frame.role = CallerRole::owner;
    frame.place = "/status/people";
    frame.csrf = csrf_of(request);
    PeopleView view;
    view.users = view_users(people_, now);
    view.link_hours = people_.settings().setup_token_hours;
    for (const shared::Problem& problem : people_.store().problems())
        view.problems.push_back(problem.text());
    if (made != nullptr) {
        const User& user = *made->result.user;
        view.invited = user.label();
        view.setup.address = pool_address(request, site_).value_or("http://" + site_.listen);
        for (const SetupLink& link : made->links)
            view.setup.tabs.push_back(setup_tab(
                *link.provider,
                people_.client_setup(*link.provider, &user, view.setup.address, now),
                view.setup.address,
                link.token));
    }
    return made_response(200, kHtmlType, people_html(frame, view, now));
}

PageResponse PeopleRoutes::setup_page(const PageRequest& request, shared::UnixMillis now)
{
    PageFrame frame;
    frame.title = "Set-up";
    frame.role = CallerRole::owner;
    frame.place = "/status/setup";
    SetupView view;
    view.address = pool_address(request, site_).value_or("http://" + site_.listen);
    view.show_keys = true;
    if (!site_.shared_mode) {
        for (const shared::Provider* provider : providers_in_order(people_.registry()))
            view.tabs.push_back(setup_tab(
                *provider,
                people_.client_setup(*provider, nullptr, view.address, now),
                view.address,
                ""));
    }
    return made_response(
        200,
        kHtmlType,
        setup_html(frame, view, site_.shared_mode, !people_.settings().friend_code.empty()));
}

} // namespace admin_ui
