/// Google's token endpoint and Gemini CLI's oauth_creds.json. Google does not rotate refresh tokens.
#include "shared/providers/gemini_wire.hpp"
#include "shared/providers/reset_time.hpp"
#include "shared/providers/token_reply.hpp"

#include <utility>

namespace shared::providers::gemini {
namespace {

constexpr UpstreamRef kAuth{ProviderId::gemini, 2};

/// Gemini CLI's own client. Both are public: Google does not treat the secret of an installed application as one.
/// Source: google-gemini/gemini-cli packages/core/src/code_assist/oauth2.ts (Apache-2.0), with that very remark.
constexpr std::string_view kClientId =
    "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com";
constexpr std::string_view kClientSecret = "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";

void append_escaped(std::string& form, std::string_view value)
{
    constexpr std::string_view kHex = "0123456789ABCDEF";
    for (const char c : value) {
        const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            form += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        form += '%';
        form += kHex[byte >> 4U];
        form += kHex[byte & 15U];
    }
}

void append_field(std::string& form, std::string_view name, std::string_view value)
{
    if (!form.empty()) form += '&';
    form += name;
    form += '=';
    append_escaped(form, value);
}

} // namespace

std::optional<UpstreamCall> refresh_call(const Credential& credential, const OAuthClient& client)
{
    if (credential.kind != CredentialKind::oauth || credential.refresh_token.empty())
        return std::nullopt;
    UpstreamCall call;
    call.upstream = kAuth;
    call.path = "/token";
    call.headers.push_back({"Content-Type", "application/x-www-form-urlencoded"});
    call.headers.push_back({"Accept", "application/json"});
    append_field(call.body, "client_id", client.id.empty() ? kClientId : client.id);
    // A client of the owner's own may have no secret; Gemini CLI's fits only its own id.
    const std::string_view secret =
        client.id.empty() && client.secret.empty() ? kClientSecret : client.secret;
    if (!secret.empty()) append_field(call.body, "client_secret", secret);
    append_field(call.body, "grant_type", "refresh_token");
    append_field(call.body, "refresh_token", credential.refresh_token.reveal());
    return call;
}

Result<Secret> updated_file(std::string_view text, const RenewedTokens& tokens, UnixMillis now)
{
    auto loaded = CredentialFile::load(text);
    if (!loaded) return loaded.error();
    CredentialFile& file = *loaded;
    if (!file.has("refresh_token"))
        return Problem{
            "", "holds no sign-in any more", "copy ~/.gemini/oauth_creds.json once more"};
    if (!tokens.access_token.empty()) {
        file.set("access_token", tokens.access_token.reveal());
        file.set_time("expiry_date", tokens.expires_at);
        if (file.has("last_refresh")) file.set("last_refresh", format_rfc3339(now));
    }
    if (!tokens.refresh_token.empty()) file.set("refresh_token", tokens.refresh_token.reveal());
    if (!tokens.id_token.empty()) file.set("id_token", tokens.id_token.reveal());
    return file.text();
}

std::string login_remedy(std::string_view file)
{
    return "run 'gemini', sign in with Google and copy ~/.gemini/oauth_creds.json to " +
           std::string(file);
}

} // namespace shared::providers::gemini
