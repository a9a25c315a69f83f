#include "shared/providers/gemini_wire.hpp"
#include "shared/users/credential.hpp"

#include <nlohmann/json.hpp>

#include <chrono>

namespace shared::providers::gemini {
namespace {

constexpr std::string_view kTokenPrefix = "ya29.pool-";
constexpr std::string_view kKeyPrefix = "AIzaSy-pool-";
constexpr const char* kTokenVariable = "GOOGLE_CLOUD_ACCESS_TOKEN";
constexpr std::chrono::hours kTokenLasts{24 * 365};

/// What may be chosen here wins over the environment. Source: reference/clients.md 3.
ClientFile settings_file()
{
    ClientFile file;
    file.kind = ClientFile::Kind::json;
    file.folder = ".gemini";
    file.name = "settings.json";
    file.settings = {{"security.auth.selectedType", "\"oauth-personal\"", ""}};
    return file;
}

} // namespace

ClientSetup client_setup(const ClientSetupFacts& facts, const CredentialKey& key)
{
    const auto issue = [&](std::string_view prefix) {
        return key.issue(prefix, facts.user, facts.generation, facts.now);
    };
    const std::string token = issue(kTokenPrefix);
    const std::string api_key = issue(kKeyPrefix);
    const nlohmann::ordered_json document{
        {"access_token", token},
        {"refresh_token", issue(kRefreshPrefix)},
        {"scope", "https://www.googleapis.com/auth/cloud-platform"},
        {"token_type", "Bearer"},
        {"expiry_date", facts.now.plus(kTokenLasts).value}};
    ClientSetup setup;
    setup.document = document.dump(2) + '\n';
    setup.variables = {
        {"CODE_ASSIST_ENDPOINT", facts.base_url, false},
        {"GOOGLE_GENAI_USE_GCA", "true", false},
        {kTokenVariable, token, true}};
    setup.files = {settings_file()};
    setup.notes = {
        "In a folder that you have not trusted, Gemini CLI asks first; without a terminal it ends "
        "with exit code 55 unless GEMINI_CLI_TRUST_WORKSPACE=true is set for that run. That is "
        "yours to decide: it is not set here."};
    setup.install = "npm install -g @google/gemini-cli";
    setup.try_it = "GEMINI_CLI_TRUST_WORKSPACE=true gemini -p \"say hi\" </dev/null";
    setup.api = {
        "Any Gemini API client",
        facts.base_url,
        api_key,
        {{"GOOGLE_GEMINI_BASE_URL", facts.base_url, false}, {"GEMINI_API_KEY", api_key, true}}};
    setup.claim_fields = {{"gemini_auth_json", setup.document}, {"gemini_api_key", api_key}};
    return setup;
}

} // namespace shared::providers::gemini
