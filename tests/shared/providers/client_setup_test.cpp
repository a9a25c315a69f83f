#include "shared/base/base64.hpp"
#include "shared/providers/provider.hpp"
#include "shared/users/credential.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <set>
#include <string>

namespace {

using namespace shared;
using nlohmann::json;

const CredentialKey kKey{Secret("a secret of more than thirty-two characters")};
constexpr UnixMillis kNow{1'763'800'000'000};

ClientSetupFacts facts()
{
    ClientSetupFacts made;
    made.base_url = "https://pool.example:8443";
    made.user = "00ff00ff00ff00ff";
    made.generation = 3;
    made.email = "ann@example.com";
    made.now = kNow;
    return made;
}

ClientSetup setup_of(std::string_view name, const ClientSetupFacts& who = facts())
{
    const ProviderRegistry registry;
    return registry.find(name)->client_setup(who, kKey);
}

json claims_of(const std::string& token)
{
    const std::size_t first = token.find('.');
    const std::size_t second = token.find('.', first + 1);
    std::string text;
    EXPECT_TRUE(decode_base64url(token.substr(first + 1, second - first - 1), text));
    return json::parse(text);
}

void expect_access(const std::string& credential)
{
    const auto read = kKey.verify(credential, kNow);
    ASSERT_TRUE(read.has_value()) << credential.substr(0, 12);
    EXPECT_EQ(read->user, "00ff00ff00ff00ff");
    EXPECT_EQ(read->generation, 3U);
    EXPECT_EQ(read->use, CredentialUse::access);
}

TEST(ClientSetup, EveryProviderHasOneWhoseKeyIsAccepted)
{
    const ProviderRegistry registry;
    std::set<std::string> fields;
    for (const auto& provider : registry.all()) {
        const ClientSetup setup = provider->client_setup(facts(), kKey);
        EXPECT_TRUE(json::accept(setup.document));
        EXPECT_FALSE(setup.files.empty());
        EXPECT_FALSE(setup.install.empty());
        EXPECT_FALSE(setup.try_it.empty());
        expect_access(setup.api.key);
        EXPECT_TRUE(setup.api.base_url.starts_with("https://pool.example:8443"));
        for (const ClientVariable& variable : setup.variables)
            if (variable.secret) expect_access(variable.value);
        for (const auto& field : setup.claim_fields)
            fields.insert(field.first);
    }
    EXPECT_EQ(
        fields,
        (std::set<std::string>{
            "auth_json", "claude_api_key", "gemini_auth_json", "gemini_api_key"}));
}

TEST(ClientSetup, NoScriptPartHoldsASecret)
{
    const ProviderRegistry registry;
    for (const auto& provider : registry.all()) {
        const ClientSetup setup = provider->client_setup(facts(), kKey);
        for (const ClientFile& file : setup.files)
            for (const ClientSetting& setting : file.settings)
                EXPECT_EQ(setting.value.find("pool-00ff"), std::string::npos) << setting.path;
        for (const ClientVariable& variable : setup.variables)
            EXPECT_EQ(variable.secret, variable.value.find("pool-00ff") != std::string::npos);
    }
}

TEST(ClientSetup, CodexGetsTokensOfTheShapeItReads)
{
    const ClientSetup setup = setup_of("codex");
    const json document = json::parse(setup.document);
    EXPECT_TRUE(document.at("OPENAI_API_KEY").is_null()); // a key would switch the account off
    EXPECT_EQ(document.at("last_refresh"), "2025-11-22T08:26:40Z");
    const json& tokens = document.at("tokens");
    expect_access(tokens.at("access_token"));
    EXPECT_FALSE(kKey.verify(tokens.at("id_token").get<std::string>(), kNow).has_value());
    const auto refresh = kKey.verify(tokens.at("refresh_token").get<std::string>(), kNow);
    ASSERT_TRUE(refresh.has_value());
    EXPECT_EQ(refresh->use, CredentialUse::refresh);

    const std::string account = tokens.at("account_id");
    EXPECT_EQ(account.size(), 36U);
    for (const char* name : {"access_token", "id_token"}) {
        const json claims = claims_of(tokens.at(name));
        EXPECT_EQ(claims.at("https://api.openai.com/auth").at("chatgpt_account_id"), account);
        EXPECT_EQ(claims.at("https://api.openai.com/auth").at("chatgpt_plan_type"), "pro");
        EXPECT_EQ(claims.at("email"), "ann@example.com");
        EXPECT_EQ(claims.at("iss"), "https://auth.openai.com");
        EXPECT_EQ(claims.at("sub"), "pool|00ff00ff00ff00ff");
    }
    EXPECT_EQ(setup.files.at(0).mark, account);
}

TEST(ClientSetup, CodexAccountIsStablePerUser)
{
    ClientSetupFacts later = facts();
    later.now = kNow.plus(std::chrono::hours(1000));
    later.generation = 4;
    ClientSetupFacts other = facts();
    other.user = "00ff00ff00ff00fe";
    const auto account = [](const ClientSetupFacts& who) {
        return json::parse(setup_of("codex", who).document)
            .at("tokens")
            .at("account_id")
            .get<std::string>();
    };
    EXPECT_EQ(account(facts()), account(later));
    EXPECT_NE(account(facts()), account(other));
}

TEST(ClientSetup, CodexRenewsAtThePool)
{
    const ProviderRegistry registry;
    const auto tokens = registry.find("codex")->client_tokens(facts(), kKey);
    ASSERT_TRUE(tokens.has_value());
    expect_access(tokens->access);
    EXPECT_EQ(
        claims_of(tokens->access).at("exp"),
        kNow.value / 1000 + static_cast<std::int64_t>(tokens->last.count()));
    EXPECT_FALSE(registry.find("claude")->client_tokens(facts(), kKey).has_value());
    const ClientSetup setup = setup_of("codex");
    ASSERT_EQ(setup.variables.size(), 1U);
    EXPECT_EQ(setup.variables[0].value, "https://pool.example:8443/oauth/token");
}

TEST(ClientSetup, LocalModeKeepsASignIn)
{
    ClientSetupFacts local = facts();
    local.local = true;
    EXPECT_TRUE(setup_of("codex", local).files.at(0).keep_existing);
    EXPECT_FALSE(setup_of("codex").files.at(0).keep_existing);
}

TEST(ClientSetup, GeminiIsNotToldToTrustAnything)
{
    const ClientSetup setup = setup_of("gemini");
    bool gca = false;
    for (const ClientVariable& variable : setup.variables) {
        EXPECT_NE(variable.name, "GEMINI_CLI_TRUST_WORKSPACE");
        gca = gca || (variable.name == "GOOGLE_GENAI_USE_GCA" && variable.value == "true");
    }
    EXPECT_TRUE(gca);
    ASSERT_FALSE(setup.notes.empty());
    EXPECT_NE(setup.notes[0].find("GEMINI_CLI_TRUST_WORKSPACE"), std::string::npos);
}

} // namespace
