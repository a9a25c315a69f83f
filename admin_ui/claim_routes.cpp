#include "admin_ui/people_pages.hpp"
#include "admin_ui/people_routes.hpp"
#include "admin_ui/responses.hpp"
#include "admin_ui/user_entry.hpp"
#include "shared/base/ip_address.hpp"
#include "shared/base/log.hpp"
#include "shared/segment/attempt_table.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <string>
#include <utility>

namespace admin_ui {
namespace {

using Json = nlohmann::ordered_json;
using shared::AttemptTarget;
using shared::UnixMillis;

std::string client_of(const PageRequest& request)
{
    return shared::client_key(shared::IpAddress::parse(request.caller.address));
}

/// What a client that tried too often gets.
PageResponse
slow_down(const PageRequest& request, std::chrono::milliseconds wait, const std::string& why)
{
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
    PageResponse answer = error_response(
        request,
        429,
        why + "; wait " + std::to_string(seconds) + (seconds == 1 ? " second." : " seconds."));
    answer.headers.push_back({"Retry-After", std::to_string(seconds)});
    return answer;
}

/// Whether `secret` is what was tried; wrong ones cost time.
struct Tried {
    bool right = false;
    std::optional<PageResponse> wait;
};

Tried try_secret(
    shared::Segment& segment,
    AttemptTarget target,
    const shared::Secret& secret,
    std::string_view tried,
    const PageRequest& request,
    UnixMillis now)
{
    Tried made;
    const std::string client = client_of(request);
    const auto wait = shared::attempt_wait(segment, target, client, now);
    if (wait.count() > 0) {
        made.wait = slow_down(request, wait, "Too many wrong tries");
        return made;
    }
    made.right = secret.matches(tried);
    shared::note_attempt(segment, target, client, made.right, now);
    return made;
}

PageResponse oauth_error(unsigned status, const char* error, const char* description)
{
    const Json body{{"error", error}, {"error_description", description}};
    return made_response(status, kJsonType, body.dump() + '\n');
}

} // namespace

std::string session_cookie(std::string_view session, bool https)
{
    std::string cookie(shared::kSessionCookie);
    cookie.append("=").append(session).append("; Path=/; HttpOnly; SameSite=Strict; Max-Age=");
    const auto seconds = std::chrono::seconds(shared::kSessionLasts).count();
    cookie += session.empty() ? "0" : std::to_string(seconds);
    return https ? cookie + "; Secure" : cookie;
}

void PeopleRoutes::sign_in(
    PageResponse& answer, const PageRequest& request, std::string session) const
{
    const bool https = request.caller.https || site_.public_url.starts_with("https:");
    answer.headers.push_back({"Set-Cookie", session_cookie(session, https)});
}

PeopleRoutes::Claimed
PeopleRoutes::claimed(const PageRequest& request, const Fields& fields, UnixMillis now)
{
    Claimed made;
    const PeopleSettings& settings = people_.settings();
    if (settings.friend_code.empty()) {
        made.refusal = made_response(403, kTextType, "feature disabled\n");
        return made;
    }
    const std::string code =
        fields.has("friend_code") ? fields.text("friend_code") : fields.text("code");
    Tried tried = try_secret(
        people_.segment(), AttemptTarget::friend_code, settings.friend_code, code, request, now);
    if (tried.wait) {
        made.refusal = std::move(tried.wait);
        return made;
    }
    if (!tried.right) {
        shared::log::warn("event=friend_code_wrong client={}", request.caller.address);
        made.refusal = error_response(request, 403, "Invalid Friend Code");
        return made;
    }
    User user;
    user.email = fields.text("email");
    user.name = fields.text("name");
    std::string wrong = check_email(user.email);
    if (wrong.empty()) wrong = check_name(user.name);
    if (!wrong.empty()) {
        made.refusal = error_response(request, 400, wrong);
        return made;
    }
    while (!claims_.empty() && now.since(claims_.front()) >= std::chrono::hours(1))
        claims_.pop_front();
    if (claims_.size() >= kClaimsPerHourMax) {
        made.refusal = slow_down(
            request,
            std::chrono::hours(1) - now.since(claims_.front()),
            "So many have joined within an hour that nobody else may for a while");
        return made;
    }
    StoreResult result = people_.create(std::move(user), "claim", now);
    if (result.refusal == StoreRefusal::email_taken) {
        made.refusal = error_response(
            request,
            409,
            "There is a user with this e-mail already. Ask the owner for a set-up link.");
        return made;
    }
    if (!result.done()) {
        made.refusal = error_response(request, 503, "The pool cannot add you; tell its owner.");
        return made;
    }
    claims_.push_back(now);
    made.user = std::move(result.user);
    return made;
}

PageResponse PeopleRoutes::claim(const PageRequest& request, UnixMillis now)
{
    if (request.method != "POST") return method_not_allowed(request, "POST");
    if (is_cross_site(request))
        return error_response(request, 403, "Another site may not ask for this.");
    const Fields fields(request);
    if (!fields.problem().empty()) return error_response(request, 400, fields.problem());
    const auto address = pool_address(request, site_);
    if (!address)
        return error_response(request, 400, "The Host header names no address of the pool.");
    Claimed made = claimed(request, fields, now);
    if (made.refusal) return std::move(*made.refusal);
    const User& user = *made.user;
    const Invitation invitation = people_.invite(user.id, "claim", now);
    Json body{{"public_url", *address}, {"user_id", user.id}};
    // One link per CLI; the one name that the original has is the first of them.
    body["download_token"] = invitation.links.empty() ? "" : invitation.links.front().token;
    Json setup = Json::object();
    for (const SetupLink& link : invitation.links) {
        const SetupTab tab = setup_tab(
            *link.provider,
            people_.client_setup(*link.provider, &user, *address, now),
            *address,
            link.token);
        setup[std::string(link.provider->name())] = {
            {"token", link.token},
            {"command", tab.command},
            {"powershell", tab.powershell},
            {"undo", tab.undo}};
        for (const auto& [name, value] : tab.setup.claim_fields)
            body[name] = value;
    }
    body["setup"] = std::move(setup);
    PageResponse answer = made_response(200, kJsonType, body.dump(2) + '\n');
    sign_in(answer, request, people_.user_session(user, now));
    return answer;
}

PageResponse PeopleRoutes::login(const PageRequest& request, UnixMillis now)
{
    if (request.method == "GET" || request.method == "HEAD") return landing();
    if (request.method != "POST") return method_not_allowed(request, "GET, HEAD, POST");
    if (is_cross_site(request))
        return error_response(request, 403, "Another site may not ask for this.");
    const Fields fields(request);
    if (!fields.problem().empty()) return error_response(request, 400, fields.problem());
    if (fields.has("password")) return owner_login(request, fields, now);
    if (fields.has("key")) return key_login(request, fields, now);
    Claimed made = claimed(request, fields, now);
    if (made.refusal) return std::move(*made.refusal);
    PageRequest signed_in = request;
    signed_in.caller.role = CallerRole::user;
    signed_in.caller.user = made.user->id;
    signed_in.caller.by_session = true;
    PageResponse answer = me_page(signed_in, *made.user, now, true);
    sign_in(answer, request, people_.user_session(*made.user, now));
    return answer;
}

PageResponse
PeopleRoutes::owner_login(const PageRequest& request, const Fields& fields, UnixMillis now)
{
    const shared::Secret& password = people_.settings().admin_password;
    if (password.empty())
        return error_response(request, 403, "The owner has set no admin_password.");
    Tried tried = try_secret(
        people_.segment(), AttemptTarget::owner, password, fields.text("password"), request, now);
    if (tried.wait) return std::move(*tried.wait);
    if (!tried.right) {
        shared::log::warn("event=owner_password_wrong client={}", request.caller.address);
        return error_response(request, 403, "This is not the owner's password.");
    }
    shared::log::info("event=owner_signed_in client={}", request.caller.address);
    PageResponse answer = see_other("/status");
    sign_in(answer, request, people_.owner_session(now));
    return answer;
}

PageResponse
PeopleRoutes::key_login(const PageRequest& request, const Fields& fields, UnixMillis now)
{
    // Wrong ones count like wrong friend codes: whoever has a right one could have joined anyway.
    const std::string client = client_of(request);
    shared::Segment& segment = people_.segment();
    const auto wait = shared::attempt_wait(segment, AttemptTarget::friend_code, client, now);
    if (wait.count() > 0) return slow_down(request, wait, "Too many wrong tries");
    const User* const user = holder_of(fields.text("key"), now);
    shared::note_attempt(segment, AttemptTarget::friend_code, client, user != nullptr, now);
    if (user == nullptr) {
        shared::log::warn("event=user_key_wrong client={}", request.caller.address);
        return error_response(
            request, 403, "This is no key of this pool, or it does not work any more.");
    }
    shared::log::info("event=user_signed_in user={} client={}", user->id, request.caller.address);
    PageResponse answer = see_other("/me");
    sign_in(answer, request, people_.user_session(*user, now));
    return answer;
}

const User* PeopleRoutes::holder_of(std::string_view key, UnixMillis now) const
{
    const auto credential = people_.key().verify(key, now);
    if (!credential || credential->use != shared::CredentialUse::access) return nullptr;
    const User* const user = people_.store().find(credential->user);
    const bool works = user != nullptr && user->generation == credential->generation &&
                       !user->disabled &&
                       !(user->limits.expires_at.is_set() && user->limits.expires_at <= now);
    return works ? user : nullptr;
}

PageResponse PeopleRoutes::logout(const PageRequest& request) const
{
    if (request.method != "POST") return method_not_allowed(request, "POST");
    const Fields fields(request);
    if (auto refusal = refused(request, fields)) return std::move(*refusal);
    PageResponse answer = see_other("/");
    sign_in(answer, request, "");
    return answer;
}

PageResponse PeopleRoutes::token(const PageRequest& request, UnixMillis now)
{
    if (request.method != "POST") return method_not_allowed(request, "POST");
    const Fields fields(request);
    const std::string grant = fields.text("grant_type");
    if (!fields.problem().empty() || (!grant.empty() && grant != "refresh_token"))
        return oauth_error(400, "unsupported_grant_type", "Only refresh_token is served here.");
    const std::string refresh = fields.text("refresh_token");
    if (refresh.empty()) return oauth_error(400, "invalid_request", "refresh_token is missing.");
    const auto credential = people_.key().verify(refresh, now);
    const bool known = credential && credential->use == shared::CredentialUse::refresh;
    const User* const user = known ? people_.store().find(credential->user) : nullptr;
    if (user == nullptr || user->generation != credential->generation)
        return oauth_error(
            401,
            "invalid_grant",
            "This refresh token is none of the pool's; set the CLI up again.");
    const UnixMillis end = user->limits.expires_at;
    if (user->disabled || (end.is_set() && end <= now))
        return oauth_error(
            401, "invalid_grant", "This pool user may not call any more; ask the pool's owner.");
    shared::ClientSetupFacts facts;
    facts.user = user->id;
    facts.generation = user->generation;
    facts.email = user->email;
    facts.plan = user->plan;
    facts.now = now;
    for (const auto& provider : people_.registry().all()) {
        const auto tokens = provider->client_tokens(facts, people_.key());
        if (!tokens) continue;
        const Json body{
            {"access_token", tokens->access},
            {"refresh_token", tokens->refresh},
            {"id_token", tokens->id},
            {"token_type", "Bearer"},
            {"expires_in", tokens->last.count()}};
        return made_response(200, kJsonType, body.dump() + '\n');
    }
    return oauth_error(400, "unsupported_grant_type", "No CLI renews its tokens here.");
}

} // namespace admin_ui
