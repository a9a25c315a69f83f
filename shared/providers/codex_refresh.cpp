/// OpenAI's token endpoint and auth.json. When to refresh follows the access token's own `exp`.
#include "shared/providers/codex.hpp"
#include "shared/providers/jwt.hpp"
#include "shared/providers/reset_time.hpp"
#include "shared/providers/token_reply.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace shared::providers::codex {
// Source: reference/clients.md 1.6 (Codex 0.169.0: JSON, no scope).
std::optional<UpstreamCall>
CodexProvider::refresh_call(const Credential& credential, const OAuthClient& /*client*/) const
{
    if (credential.kind != CredentialKind::oauth || credential.refresh_token.empty())
        return std::nullopt;
    const nlohmann::json body = {
        {"client_id", kClientId},
        {"grant_type", "refresh_token"},
        {"refresh_token", credential.refresh_token.reveal()}};
    UpstreamCall call;
    call.upstream = upstream(Upstream::codex_auth);
    call.path = "/oauth/token";
    call.headers.push_back({"Content-Type", "application/json"});
    call.headers.push_back({"Accept", "application/json"});
    call.body = body.dump();
    return call;
}

RefreshOutcome CodexProvider::parse_refresh(
    const CallReply& reply, const Credential& /*old*/, UnixMillis now) const
{
    RefreshOutcome outcome = read_token_reply(reply, now);
    if (outcome.tokens.access_token.empty()) return outcome;
    if (const auto claims = JwtClaims::read(outcome.tokens.access_token.reveal())) {
        // It says itself when it ends; `expires_in` is for tokens that do not.
        if (claims->expires_at().is_set()) outcome.tokens.expires_at = claims->expires_at();
    }
    return outcome;
}

Result<Secret> CodexProvider::updated_file(
    std::string_view text, const RenewedTokens& tokens, UnixMillis now) const
{
    auto loaded = CredentialFile::load(text);
    if (!loaded) return loaded.error();
    CredentialFile& file = *loaded;
    if (!file.has("tokens.refresh_token"))
        return Problem{
            "", "holds no sign-in any more", "run 'codex login' and copy auth.json again"};
    if (!tokens.access_token.empty()) file.set("tokens.access_token", tokens.access_token.reveal());
    if (!tokens.refresh_token.empty())
        file.set("tokens.refresh_token", tokens.refresh_token.reveal());
    if (!tokens.id_token.empty()) file.set("tokens.id_token", tokens.id_token.reveal());
    if (!file.has("tokens.account_id")) {
        const std::string id = bearer_claims(tokens.access_token.reveal()).account_id;
        if (!id.empty()) file.set("tokens.account_id", id);
    }
    if (!tokens.access_token.empty()) file.set("last_refresh", format_rfc3339(now));
    return file.text();
}

std::string CodexProvider::login_remedy(std::string_view file) const
{
    return "run 'codex login' and copy ~/.codex/auth.json to " + std::string(file);
}

} // namespace shared::providers::codex
