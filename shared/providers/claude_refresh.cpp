/// Anthropic's token endpoint and .credentials.json.
#include "shared/providers/claude_wire.hpp"
#include "shared/providers/reset_time.hpp"
#include "shared/providers/token_reply.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace shared::providers::claude {
namespace {

/// Claude Code's own, public client, and what it asks for. Source: reference/wire.md 4.1.
constexpr std::string_view kClientId = "9d1c250a-e61b-44d9-88ed-5944d1962f5e";
constexpr std::string_view kScope =
    "user:profile user:inference user:sessions:claude_code user:mcp_servers user:file_upload";
constexpr UpstreamRef kAuth{ProviderId::claude, 1};

} // namespace

std::optional<UpstreamCall>
refresh_call(const Credential& credential, const OAuthClient& /*client*/)
{
    if (credential.kind != CredentialKind::oauth || credential.refresh_token.empty())
        return std::nullopt;
    // What the file says was granted can be asked for again; anything wider might be refused.
    const std::string scope = credential.scope.empty() ? std::string(kScope) : credential.scope;
    const nlohmann::json body = {
        {"grant_type", "refresh_token"},
        {"refresh_token", credential.refresh_token.reveal()},
        {"client_id", kClientId},
        {"scope", scope}};
    UpstreamCall call;
    call.upstream = kAuth;
    call.path = "/v1/oauth/token";
    call.headers.push_back({"Content-Type", "application/json"});
    call.headers.push_back({"Accept", "application/json"});
    call.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return call;
}

Result<Secret> updated_file(std::string_view text, const RenewedTokens& tokens, UnixMillis now)
{
    auto loaded = CredentialFile::load(text);
    if (!loaded) return loaded.error();
    CredentialFile& file = *loaded;
    if (!file.has("claudeAiOauth.refreshToken"))
        return Problem{
            "", "holds no sign-in any more", "copy ~/.claude/.credentials.json once more"};
    if (!tokens.access_token.empty()) {
        file.set("claudeAiOauth.accessToken", tokens.access_token.reveal());
        file.set_time("claudeAiOauth.expiresAt", tokens.expires_at);
        if (!tokens.scope.empty()) file.set_words("claudeAiOauth.scopes", tokens.scope);
        if (file.has("last_refresh")) file.set("last_refresh", format_rfc3339(now));
    }
    if (!tokens.refresh_token.empty())
        file.set("claudeAiOauth.refreshToken", tokens.refresh_token.reveal());
    return file.text();
}

std::string login_remedy(std::string_view file)
{
    return "run 'claude', sign in with /login and copy ~/.claude/.credentials.json to " +
           std::string(file);
}

} // namespace shared::providers::claude
