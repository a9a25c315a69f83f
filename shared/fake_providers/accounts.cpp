#include "shared/fake_providers/accounts.hpp"

#include "shared/fake_providers/coding.hpp"

#include <nlohmann/json.hpp>

#include <ctime>
#include <fstream>

#include <sys/stat.h>

namespace shared::fake_providers {

namespace {

using Json = nlohmann::json;
constexpr long kDay = 86400;

std::string uuid_of(const std::string& name)
{
    const std::string hex = sha256_hex("fake account " + name);
    return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-4" + hex.substr(13, 3) + "-8" +
           hex.substr(17, 3) + "-" + hex.substr(20, 12);
}

/// A ChatGPT token of `account_id`, valid for ten days.
std::string chatgpt_jwt(
    const std::string& account_id,
    const std::string& plan,
    const std::string& what,
    long expires_in = 10 * kDay)
{
    const Json claims = {
        {"exp", std::time(nullptr) + expires_in},
        {"email", "fake@example.com"},
        {"jti", what},
        {"https://api.openai.com/auth",
         {{"chatgpt_account_id", account_id},
          {"chatgpt_plan_type", plan},
          {"chatgpt_user_id", "user-" + account_id}}},
    };
    return unsigned_jwt(claims.dump());
}

std::string iso_now()
{
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    (void)::gmtime_r(&now, &utc);
    char text[32];
    (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return text;
}

} // namespace

std::string unsigned_jwt(const std::string& claims)
{
    return base64url(R"({"alg":"none","typ":"JWT"})") + "." + base64url(claims) + ".fake";
}

Account make_account(Vendor vendor, Kind kind, const std::string& name)
{
    Account account;
    account.name = name;
    account.vendor = vendor;
    account.kind = kind;
    account.vendor_id = uuid_of(name);
    if (kind == Kind::oauth)
        account.refresh_token = "refresh-" + sha256_hex("refresh " + name).substr(0, 24);
    switch (vendor) {
    case Vendor::codex:
        account.token = kind == Kind::oauth ? chatgpt_jwt(account.vendor_id, account.plan, "access")
                                            : "sk-proj-fake-" + sha256_hex(name).substr(0, 24);
        break;
    case Vendor::claude:
        account.plan = "max";
        account.token = (kind == Kind::oauth ? "sk-ant-oat01-fake-" : "sk-ant-api03-fake-") +
                        sha256_hex(name).substr(0, 24);
        break;
    case Vendor::gemini:
        account.token =
            (kind == Kind::oauth ? "ya29.fake-" : "AIzaSyFake") + sha256_hex(name).substr(0, 24);
        if (kind == Kind::oauth) account.project = "fake-project-" + sha256_hex(name).substr(0, 8);
        break;
    }
    return account;
}

Account with_tokens(Account account, const std::string& mark, long expires_in)
{
    const std::string hash = sha256_hex(account.name + " " + mark).substr(0, 24);
    account.expires_in = expires_in;
    account.refresh_token = "refresh-" + hash;
    if (account.vendor == Vendor::codex)
        account.token = chatgpt_jwt(account.vendor_id, account.plan, "access " + hash, expires_in);
    else
        account.token =
            (account.vendor == Vendor::claude ? "sk-ant-oat01-fake-" : "ya29.fake-") + hash;
    return account;
}

std::string credential_json(const Account& account)
{
    Json out;
    const long expires = std::time(nullptr) + account.expires_in;
    const std::string& refresh = account.refresh_token;
    if (account.vendor == Vendor::codex) {
        if (account.kind == Kind::api_key) return Json{{"OPENAI_API_KEY", account.token}}.dump(2);
        out["OPENAI_API_KEY"] = nullptr;
        out["tokens"] = {
            {"id_token", chatgpt_jwt(account.vendor_id, account.plan, "id")},
            {"access_token", account.token},
            {"refresh_token", refresh},
            {"account_id", account.vendor_id}};
        out["last_refresh"] = iso_now();
    } else if (account.kind == Kind::api_key) {
        out["api_key"] = account.token;
        out["plan_type"] = account.plan;
    } else if (account.vendor == Vendor::claude) {
        out["claudeAiOauth"] = {
            {"accessToken", account.token},
            {"refreshToken", refresh},
            {"expiresAt", expires * 1000},
            {"scopes", {"user:inference", "user:profile"}},
            {"subscriptionType", account.plan}};
    } else {
        out = {
            {"access_token", account.token},
            {"refresh_token", refresh},
            {"token_type", "Bearer"},
            {"scope", "https://www.googleapis.com/auth/cloud-platform"},
            {"expiry_date", expires * 1000}};
    }
    return out.dump(2);
}

void write_credential(const Account& account, const std::filesystem::path& folder)
{
    const std::filesystem::path path = folder / (account.name + ".json");
    const std::filesystem::path temporary = folder / (account.name + ".new");
    std::ofstream(temporary) << credential_json(account) << '\n';
    (void)::chmod(temporary.c_str(), 0600);
    std::filesystem::rename(temporary, path);
}

std::string client_auth_json(const std::string& account_id)
{
    const Json out = {
        {"OPENAI_API_KEY", nullptr},
        {"tokens",
         {{"id_token", chatgpt_jwt(account_id, "pro", "client-id")},
          {"access_token", chatgpt_jwt(account_id, "pro", "client-access")},
          {"refresh_token", "client-refresh"},
          {"account_id", account_id}}},
        {"last_refresh", iso_now()}};
    return out.dump(2);
}

} // namespace shared::fake_providers
