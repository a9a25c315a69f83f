#include "shared/providers/codex.hpp"

#include <algorithm>
#include <utility>

namespace shared::providers::codex {
namespace {

/// Removes `prefix` from the front; false if it is not there.
bool strip(std::string_view& path, std::string_view prefix) noexcept
{
    if (!path.starts_with(prefix)) return false;
    path.remove_prefix(prefix.size());
    return true;
}

/// True if `path` is `folder` or lies below it.
bool is_within(std::string_view path, std::string_view folder) noexcept
{
    return strip(path, folder) && (path.empty() || path.front() == '/');
}

/// What nearly all requests ask for; tested first.
bool is_turn(std::string_view path) noexcept
{
    return path == "/v1/responses" || path == "/responses";
}

/// "." and ".." segments, escaped or not, would leave the place a path was matched for.
bool has_dot_segment(std::string_view path) noexcept
{
    while (!path.empty()) {
        path.remove_prefix(1);
        const std::size_t end = std::min(path.find('/'), path.size());
        std::string_view segment = path.substr(0, end);
        path.remove_prefix(end);
        std::size_t dots = 0;
        while (!segment.empty() && (segment.front() == '.' || segment.starts_with("%2e") ||
                                    segment.starts_with("%2E"))) {
            segment.remove_prefix(segment.front() == '.' ? 1 : 3);
            ++dots;
        }
        if (segment.empty() && (dots == 1 || dots == 2)) return true;
    }
    return false;
}

std::string_view without_trailing_slash(std::string_view path) noexcept
{
    if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    return path;
}

bool is_read(const http::RequestHead& request) noexcept
{
    return request.method == "GET" || request.method == "HEAD";
}

Route local(Local what, Access access)
{
    Route route;
    route.target = Route::Target::local;
    route.access = access;
    route.local_id = static_cast<std::uint16_t>(what);
    return route;
}

Route to_upstream(std::vector<Leg> legs)
{
    Route route;
    route.target = Route::Target::upstream;
    route.legs = std::move(legs);
    return route;
}

Leg leg(CredentialKind kind, Upstream base, std::string path)
{
    Leg out;
    out.kind = kind;
    out.upstream = upstream(base);
    out.path = std::move(path);
    return out;
}

Route if_unserved(Route route, Local answer)
{
    route.local_if_unserved = true;
    route.local_id = static_cast<std::uint16_t>(answer);
    return route;
}

/// Requests the CLI makes on the side, which no account is needed for. Forwarding them drew Cloudflare challenges that
/// then hit the turns too, and asking for a credential made clients report errors at start-up; so they are open and
/// answered here. `path` has no trailing slash.
Local stub_for(std::string_view path) noexcept
{
    if (path.ends_with("/rate-limit-reset-credits")) return Local::reset_credits;
    if (path.ends_with("/rate-limit-reset-credits/consume")) return Local::reset_consume;
    if (path.ends_with("/ps/mcp") || path == "/api/codex/apps" ||
        path == "/backend-api/wham/apps" || path == "/wham/apps" || path == "/apps")
        return Local::mcp;
    if (path.starts_with("/.well-known/oauth-authorization-server")) return Local::oauth_discovery;
    if (path == "/v1/traces/ingest") return Local::traces;

    std::string_view rest = path;
    if (is_within(rest, "/backend-api")) strip(rest, "/backend-api");
    if (rest == "/connectors/directory/list" || rest == "/connectors/directory/list_workspace")
        return Local::connectors;
    if (rest == "/codex/analytics-events/events" || rest == "/plugins/featured" ||
        rest == "/plugins/list")
        return Local::empty_body;
    if (is_within(rest, "/ps/plugins/suggested")) return Local::plugins_suggested;
    if (is_within(rest, "/ps/plugins")) return Local::plugins;

    if (is_within(path, "/api/codex"))
        strip(rest, "/api/codex");
    else if (!strip(rest, "/wham"))
        return Local::none;
    // All methods: a change would alter the settings of whichever account it met.
    if (rest == "/settings/user" || rest == "/config/bundle") return Local::empty_object;
    return Local::none;
}

/// The Responses API below `rest` ("", "/compact", "/<id>…"). `platform` = an API key may serve it too.
Route responses(const http::RequestHead& request, std::string_view rest, bool platform)
{
    const bool turn = rest.empty() || rest == "/";
    std::string path = "/responses";
    if (!turn) path += rest;

    std::vector<Leg> legs;
    legs.reserve(platform ? 2 : 1);
    legs.push_back(leg(CredentialKind::oauth, Upstream::codex, path));
    legs.front().websocket = turn;
    if (platform)
        legs.push_back(leg(CredentialKind::api_key, Upstream::openai_api, std::move(path)));
    Route route = to_upstream(std::move(legs));
    route.conversation = true; // a sub-resource belongs to the account that made it
    // Asking for a stored response again spends nothing, although the answer repeats its usage.
    route.generates = (turn && request.upgrades_to_websocket) ||
                      (request.method == "POST" && (turn || rest == "/compact"));
    return route;
}

Route models(const http::RequestHead& request)
{
    // The two catalogues differ in shape; only the CLI states its version.
    if (request.query_parameter("client_version").data() != nullptr)
        return if_unserved(
            to_upstream({leg(CredentialKind::oauth, Upstream::codex, "/models")}), Local::models);
    return if_unserved(
        to_upstream({leg(CredentialKind::api_key, Upstream::openai_api, "/models")}),
        Local::openai_models);
}

/// Paths of the public API that spend tokens.
bool spends(std::string_view path) noexcept
{
    constexpr std::array<std::string_view, 6> kPaths{
        "/chat/completions",
        "/completions",
        "/embeddings",
        "/images/generations",
        "/images/edits",
        "/images/variations"};
    return std::find(kPaths.begin(), kPaths.end(), path) != kPaths.end() ||
           is_within(path, "/audio");
}

/// "/v1/…" below the version: an API key's.
Route platform_api(const http::RequestHead& request, std::string_view path)
{
    if (is_within(path, "/realtime") || is_within(path, "/live")) return {}; // not built
    Route route = if_unserved(
        to_upstream({leg(CredentialKind::api_key, Upstream::openai_api, std::string(path))}),
        Local::not_served);
    route.generates = request.method == "POST" && spends(path);
    route.conversation = route.generates;
    return route;
}

/// "/backend-api/…" and "/api/codex/…", the two spellings of account calls. `rest` is what follows the former;
/// the latter's are under /wham there.
Route account_call(const http::RequestHead& request, std::string_view rest)
{
    std::string_view call = rest;
    if (strip(call, "/wham/")) {
        call = without_trailing_slash(call);
        if (call == "usage" && is_read(request)) return local(Local::usage, Access::user);
        if (call == "accounts/check" && is_read(request))
            return local(Local::accounts_check, Access::user);
    }
    if (is_within(rest, "/codex/responses")) {
        strip(rest, "/codex/responses");
        return responses(request, rest, false);
    }
    if (without_trailing_slash(rest) == "/codex/models")
        return if_unserved(
            to_upstream({leg(CredentialKind::oauth, Upstream::codex, "/models")}), Local::models);
    return to_upstream({leg(CredentialKind::oauth, Upstream::chatgpt, std::string(rest))});
}

} // namespace

Match CodexProvider::match(const http::RequestHead& request) const noexcept
{
    constexpr std::array<std::string_view, 6> kFolders{
        "/v1", "/responses", "/backend-api", "/api/codex", "/ws", "/models"};
    const std::string_view path = request.path;
    if (is_turn(path)) return Match::path;
    // Claude's, even where its header is missing.
    if (is_within(path, "/v1/messages")) return Match::fallback;
    const bool known = std::any_of(kFolders.begin(), kFolders.end(), [path](std::string_view f) {
        return is_within(path, f);
    });
    return known || stub_for(without_trailing_slash(path)) != Local::none ? Match::path
                                                                          : Match::fallback;
}

Route CodexProvider::route(const http::RequestHead& request) const
{
    const std::string_view path = request.path;
    if (is_turn(path)) return responses(request, "", true);
    if (has_dot_segment(path)) return {};
    const Local stub = stub_for(without_trailing_slash(path));
    if (stub != Local::none) return local(stub, Access::open);

    std::string_view rest = path;
    if (is_within(path, "/backend-api") && strip(rest, "/backend-api")) {
        if (rest.empty() || rest == "/") return {};
        return account_call(request, rest);
    }
    if (is_within(path, "/api/codex") && strip(rest, "/api/codex")) {
        if (rest.empty() || rest == "/") return {};
        return account_call(request, "/wham" + std::string(rest));
    }
    if (path == "/ws") return responses(request, "", true);
    if (is_within(path, "/v1")) strip(rest, "/v1");
    if (is_within(rest, "/responses") && strip(rest, "/responses"))
        return responses(request, rest, true);
    if (without_trailing_slash(rest) == "/models") return models(request);
    if (rest.size() < path.size() && rest.size() > 1) return platform_api(request, rest);
    return {};
}

} // namespace shared::providers::codex
