/// The paths that have to do with users: claiming, signing in, set-up, a friend's own page, the owner's list.
///
///   open    GET /setup/<cli>[/<token>], /setup/undo, /config/<cli>[/<token>]      setup_routes.cpp
///           POST /api/friend/claim; GET and POST /login, POST /logout             claim_routes.cpp
///           POST /oauth/token                                                     claim_routes.cpp
///   user    GET /me, POST /me/setup, /me/rotate                                   people_routes.cpp
///   owner   /admin/pool-users…                                                    user_routes.cpp
///           GET /status/people, /status/setup                                     people_routes.cpp
///
/// Whoever is signed in by cookie and changes something has to show the token that our own pages have (csrf_token()).
#pragma once

#include "admin_ui/fields.hpp"
#include "admin_ui/html.hpp"
#include "admin_ui/people.hpp"
#include "admin_ui/routes.hpp"

#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace admin_ui {

class PeopleRoutes {
public:
    /// Both outlive the routes.
    PeopleRoutes(People& people, const SiteSettings& site);

    /// What the forms of pages for this caller hold: empty unless a cookie signed it in.
    [[nodiscard]] std::string csrf_of(const PageRequest& request) const;
    /// Why a request with this token may not change anything; nothing if it may.
    [[nodiscard]] std::optional<PageResponse>
    token_refused(const PageRequest& request, std::string_view shown) const;

    /// Nothing if the path is none of these.
    [[nodiscard]] std::optional<PageResponse>
    answer(const PageRequest& request, shared::UnixMillis now);

private:
    /// What a path below /setup and /config is about, or why it is about nothing.
    struct SetUp {
        std::optional<PageResponse> refusal;
        const shared::Provider* provider = nullptr;
        std::string address;
        std::string_view token;   ///< of the path
        std::optional<User> user; ///< whose link it is; nobody's = local mode
        shared::ClientSetup setup;
    };

    [[nodiscard]] SetUp
    find_setup(const PageRequest& request, std::string_view rest, shared::UnixMillis now);
    [[nodiscard]] PageResponse landing() const;
    [[nodiscard]] PageResponse
    setup(const PageRequest& request, std::string_view rest, shared::UnixMillis now);
    [[nodiscard]] PageResponse
    config(const PageRequest& request, std::string_view rest, shared::UnixMillis now);
    [[nodiscard]] PageResponse claim(const PageRequest& request, shared::UnixMillis now);
    [[nodiscard]] PageResponse login(const PageRequest& request, shared::UnixMillis now);
    [[nodiscard]] PageResponse
    owner_login(const PageRequest& request, const Fields& fields, shared::UnixMillis now);
    /// A user who has joined before signs in on a new browser with one of their pool credentials.
    [[nodiscard]] PageResponse
    key_login(const PageRequest& request, const Fields& fields, shared::UnixMillis now);
    /// Whose access credential this is, if that user may call; nullptr if not.
    [[nodiscard]] const User* holder_of(std::string_view key, shared::UnixMillis now) const;
    [[nodiscard]] PageResponse logout(const PageRequest& request) const;
    [[nodiscard]] PageResponse token(const PageRequest& request, shared::UnixMillis now);
    [[nodiscard]] PageResponse
    me(const PageRequest& request, std::string_view action, shared::UnixMillis now);
    [[nodiscard]] PageResponse
    users(const PageRequest& request, std::string_view rest, shared::UnixMillis now);
    [[nodiscard]] PageResponse list(const PageRequest& request, shared::UnixMillis now);
    [[nodiscard]] PageResponse create(const PageRequest& request, shared::UnixMillis now);
    [[nodiscard]] PageResponse change(
        const PageRequest& request,
        std::string_view id,
        std::string_view action,
        shared::UnixMillis now);
    [[nodiscard]] PageResponse
    changed(const PageRequest& request, const StoreResult& result, shared::UnixMillis now) const;
    [[nodiscard]] PageResponse
    invited(const PageRequest& request, const Invitation& made, unsigned status);
    [[nodiscard]] PageResponse
    people_page(const PageRequest& request, const Invitation* made, shared::UnixMillis now);
    [[nodiscard]] PageResponse setup_page(const PageRequest& request, shared::UnixMillis now);
    [[nodiscard]] PageResponse
    me_page(const PageRequest& request, const User& user, shared::UnixMillis now, bool links);

    /// The part of a user's page with the accounts that are theirs; empty if there is nothing to say.
    [[nodiscard]] Html my_accounts(const User& user, std::string_view csrf, shared::UnixMillis now);

    /// What comes of a friend code: a new user, or why not.
    struct Claimed {
        std::optional<PageResponse> refusal;
        std::optional<User> user;
    };

    [[nodiscard]] Claimed
    claimed(const PageRequest& request, const Fields& fields, shared::UnixMillis now);
    void sign_in(PageResponse& answer, const PageRequest& request, std::string session) const;
    /// Why a request may not change anything; nothing if it may.
    [[nodiscard]] std::optional<PageResponse>
    refused(const PageRequest& request, const Fields& fields) const;

    People& people_;
    const SiteSettings& site_;
    std::deque<shared::UnixMillis> claims_; ///< of the last hour
};

/// Whoever has the friend code can make users; not without end.
inline constexpr std::size_t kClaimsPerHourMax = 100;

/// A path of these routes, as docs/openapi.json has it.
struct PeoplePath {
    std::string_view method;
    std::string_view path;
};

[[nodiscard]] std::span<const PeoplePath> people_paths() noexcept;

/// "https://host:port" that clients reach the pool at: public_url, or what a sane Host header says; nothing else ever
/// gets into a script.
[[nodiscard]] std::optional<std::string>
pool_address(const PageRequest& request, const SiteSettings& site);

/// Whether a Host header is a name, an IPv4 address or [IPv6], with or without a port, and nothing more.
[[nodiscard]] bool is_sane_host(std::string_view host) noexcept;

/// The cookie of a session.
[[nodiscard]] std::string session_cookie(std::string_view session, bool https);

} // namespace admin_ui
