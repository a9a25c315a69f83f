#include "shared/base/time_text.hpp"
#include "shared/providers/codex.hpp"
#include "shared/users/credential.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <utility>

namespace shared::providers::codex {
namespace {

using Json = nlohmann::ordered_json;

/// Only the pool's own word ends a credential; the CLI must not believe that it is over.
constexpr std::chrono::hours kTokensLast{24 * 3650};
constexpr const char* kProviderName = "codex-pool";

std::int64_t seconds(UnixMillis at)
{
    return at.value / 1000;
}

Json auth_claims(const ClientSetupFacts& facts, const std::string& account)
{
    return {
        {"chatgpt_account_id", account},
        {"chatgpt_account_user_id", facts.user + "__" + account},
        {"chatgpt_compute_residency", "no_constraint"},
        {"chatgpt_plan_type", facts.plan},
        {"chatgpt_user_id", "user-" + facts.user},
        {"user_id", "user-" + facts.user}};
}

/// The claims that both tokens have; the shape is the vendor's, the last two are the pool's.
Json claims(const ClientSetupFacts& facts, const CredentialKey& key, const char* use)
{
    const std::string account = client_account(facts.user, key);
    const std::string email = facts.email.empty() ? facts.user + "@pool.invalid" : facts.email;
    const std::string once = key.derive(
        std::string(use) + ':' + facts.user + ':' + std::to_string(facts.generation) + ':' +
        std::to_string(facts.now.value));
    Json made{
        {"iss", "https://auth.openai.com"},
        {"sub", "pool|" + facts.user},
        {"iat", seconds(facts.now)},
        {"nbf", seconds(facts.now)},
        {"exp", seconds(facts.now.plus(kTokensLast))},
        {"jti", once.substr(0, 32)},
        {"client_id", kClientId},
        {"session_id", "authsess_pool" + once.substr(32, 24)},
        {"email", email},
        {"email_verified", true},
        {"scp", Json::array({"openid", "profile", "email", "offline_access"})},
        {"pwd_auth_time", facts.now.value},
        {"https://api.openai.com/auth", auth_claims(facts, account)},
        {"https://api.openai.com/mfa", {{"required", "no"}}},
        {"https://api.openai.com/profile", {{"email", email}, {"email_verified", true}}}};
    made["pool_user"] = facts.user;
    made["pool_generation"] = facts.generation;
    return made;
}

ClientFile auth_file(const ClientSetupFacts& facts, const CredentialKey& key)
{
    ClientFile file;
    file.kind = ClientFile::Kind::document;
    file.folder_variable = "CODEX_HOME";
    file.folder = ".codex";
    file.name = "auth.json";
    file.keep_existing = facts.local;
    file.mark = client_account(facts.user, key);
    return file;
}

ClientFile config_file(const ClientSetupFacts& facts)
{
    const std::string table = std::string("model_providers.") + kProviderName + '.';
    ClientFile file;
    file.kind = ClientFile::Kind::toml;
    file.folder_variable = "CODEX_HOME";
    file.folder = ".codex";
    file.name = "config.toml";
    file.settings = {
        {"model_provider", std::string("\"") + kProviderName + '"', ""},
        {"chatgpt_base_url", '"' + facts.base_url + "/backend-api\"", ""},
        {table + "name", "\"OpenAI via codex-pool\"", ""},
        {table + "base_url", '"' + facts.base_url + "/v1\"", ""},
        {table + "wire_api", "\"responses\"", ""},
        {table + "requires_openai_auth", "true", ""}};
    return file;
}

} // namespace

std::string client_account(std::string_view user, const CredentialKey& key)
{
    std::string id = key.derive(std::string("codex account:").append(user)).substr(0, 32);
    id[12] = '4'; // a random UUID, as real ones are
    id[16] = '8';
    for (const std::size_t dash : {20U, 16U, 12U, 8U})
        id.insert(dash, 1, '-');
    return id;
}

std::optional<ClientTokens>
CodexProvider::client_tokens(const ClientSetupFacts& facts, const CredentialKey& key) const
{
    Json access = claims(facts, key, "access");
    access["aud"] = Json::array({"https://api.openai.com/v1"});
    Json id = claims(facts, key, "id");
    id["aud"] = Json::array({kClientId});
    id["pool_use"] = "id";
    ClientTokens tokens;
    tokens.access = key.issue_jwt(access.dump());
    tokens.id = key.issue_jwt(id.dump());
    tokens.refresh = key.issue(kRefreshPrefix, facts.user, facts.generation, facts.now);
    tokens.last = kTokensLast;
    return tokens;
}

ClientSetup
CodexProvider::client_setup(const ClientSetupFacts& facts, const CredentialKey& key) const
{
    const ClientTokens tokens = *client_tokens(facts, key);
    const Json document{
        {"OPENAI_API_KEY", nullptr},
        {"tokens",
         {{"id_token", tokens.id},
          {"access_token", tokens.access},
          {"refresh_token", tokens.refresh},
          {"account_id", client_account(facts.user, key)}}},
        {"last_refresh", iso_time(facts.now)}};
    ClientSetup setup;
    setup.document = document.dump(2) + '\n';
    if (!facts.local) {
        // Otherwise the CLI would show the pool's refresh token to the vendor.
        setup.variables = {
            {"CODEX_REFRESH_TOKEN_URL_OVERRIDE", facts.base_url + "/oauth/token", false}};
    }
    setup.files = {auth_file(facts, key), config_file(facts)};
    setup.install = "npm install -g @openai/codex";
    setup.try_it = "codex exec --skip-git-repo-check \"say hi\" </dev/null";
    const std::string api_key = key.issue("sk-pool-", facts.user, facts.generation, facts.now);
    setup.api = {
        "Any OpenAI client",
        facts.base_url + "/v1",
        api_key,
        {{"OPENAI_BASE_URL", facts.base_url + "/v1", false}, {"OPENAI_API_KEY", api_key, true}}};
    setup.claim_fields = {{"auth_json", setup.document}};
    return setup;
}

} // namespace shared::providers::codex
