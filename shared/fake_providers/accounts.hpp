/// The accounts that the fake upstreams know, and the credential files that belong to them.
#pragma once

#include <filesystem>
#include <string>

namespace shared::fake_providers {

enum class Vendor { codex, claude, gemini };
enum class Kind { oauth, api_key };

struct Account {
    std::string name; ///< also the credential file's name, e.g. "codex_1" or "claude_key"
    Vendor vendor = Vendor::codex;
    Kind kind = Kind::oauth;
    std::string token;     ///< access token or API key
    std::string vendor_id; ///< ChatGPT account id
    std::string project;   ///< Code Assist project
    std::string plan = "pro";
    bool needs_onboarding = false; ///< Gemini: has no tier yet
    std::string refresh_token;     ///< empty for API keys
    long expires_in = 86400;       ///< seconds the access token has, when its file is written
};

/// An account whose token, id and project follow from its name. Claude's and Gemini's names begin with
/// "claude_" and "gemini_", as a flat pool folder wants it.
[[nodiscard]] Account make_account(Vendor vendor, Kind kind, const std::string& name);

/// The same account with other tokens, which follow from its name and `mark`; the access token lives `expires_in`
/// seconds from now.
[[nodiscard]] Account with_tokens(Account account, const std::string& mark, long expires_in);

/// The credential file as the vendor's CLI writes it.
[[nodiscard]] std::string credential_json(const Account& account);
/// Writes NAME.json (0600) into the folder, whole or not at all.
void write_credential(const Account& account, const std::filesystem::path& folder);

/// An unsigned JWT with these claims (JSON text).
[[nodiscard]] std::string unsigned_jwt(const std::string& claims);
/// The auth.json of a Codex *client*: a ChatGPT sign-in of an account that the pool does not have.
[[nodiscard]] std::string client_auth_json(const std::string& account_id);

} // namespace shared::fake_providers
