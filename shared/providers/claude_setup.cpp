#include "shared/providers/claude_wire.hpp"
#include "shared/users/credential.hpp"

#include <nlohmann/json.hpp>

namespace shared::providers::claude {
namespace {

/// With this shape Claude Code asks nothing, and sends it as a bearer. Source: reference/clients.md 2.
constexpr std::string_view kTokenPrefix = "sk-ant-oat01-pool-";
constexpr const char* kTokenVariable = "CLAUDE_CODE_OAUTH_TOKEN";
constexpr const char* kFolderVariable = "CLAUDE_CONFIG_DIR";

ClientFile settings_file(const std::string& base_url)
{
    ClientFile file;
    file.kind = ClientFile::Kind::json;
    file.folder_variable = kFolderVariable;
    file.folder = ".claude";
    file.name = "settings.json";
    file.settings = {
        {"env.ANTHROPIC_BASE_URL", '"' + base_url + '"', ""},
        {std::string("env.") + kTokenVariable, "", kTokenVariable},
        {"env.CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "\"1\"", ""}};
    return file;
}

/// Without this the first interactive start asks for a sign-in although there is a token.
ClientFile onboarding_file()
{
    ClientFile file;
    file.kind = ClientFile::Kind::json;
    file.folder_variable = kFolderVariable;
    file.folder = ".";
    file.name = ".claude.json";
    file.settings = {{"hasCompletedOnboarding", "true", ""}};
    return file;
}

} // namespace

ClientSetup client_setup(const ClientSetupFacts& facts, const CredentialKey& key)
{
    const std::string token = key.issue(kTokenPrefix, facts.user, facts.generation, facts.now);
    const nlohmann::ordered_json document{
        {"env",
         {{"ANTHROPIC_BASE_URL", facts.base_url},
          {kTokenVariable, token},
          {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"}}}};
    ClientSetup setup;
    setup.document = document.dump(2) + '\n';
    setup.variables = {
        {"ANTHROPIC_BASE_URL", facts.base_url, false},
        {kTokenVariable, token, true},
        {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1", false}};
    setup.unset = {
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
        "CLAUDE_CODE_USE_FOUNDRY"};
    setup.files = {settings_file(facts.base_url), onboarding_file()};
    setup.notes = {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 keeps the credential from being sent to other "
        "hosts."};
    setup.install = "npm install -g @anthropic-ai/claude-code";
    setup.try_it = "claude -p \"say hi\" </dev/null";
    setup.api = {
        "Any Anthropic client",
        facts.base_url,
        token,
        {{"ANTHROPIC_BASE_URL", facts.base_url, false}, {"ANTHROPIC_AUTH_TOKEN", token, true}}};
    setup.claim_fields = {{"claude_api_key", token}};
    return setup;
}

} // namespace shared::providers::claude
