#include "shared/providers/codex.hpp"

#include "shared/providers/credential_json.hpp"
#include "shared/providers/jwt.hpp"
#include "shared/providers/reset_time.hpp"

#include <utility>

namespace shared::providers::codex {
namespace {

/// In the order of enum Upstream. `openai_api` ends in the version, as OPENAI_BASE_URL does.
constexpr std::array<UpstreamSpec, 4> kUpstreams{{
    {"codex", "UPSTREAM_RESPONSES_BASE", "https://chatgpt.com/backend-api/codex"},
    {"chatgpt", "UPSTREAM_WHAM_BASE", "https://chatgpt.com/backend-api"},
    {"openai_api", "UPSTREAM_OPENAI_API_BASE", "https://api.openai.com/v1"},
    {"codex_auth", "UPSTREAM_REFRESH_BASE", "https://auth.openai.com"},
}};

/// What OpenAI's JWTs are taken to mean where they name no plan.
constexpr std::string_view kPlanUnstated = "pro";

std::string account_id_claim(const JwtClaims& claims)
{
    std::string id = claims.text({kAuthClaims, "chatgpt_account_id"});
    return id.empty() ? claims.text({"chatgpt_account_id"}) : id;
}

std::string email_claim(const JwtClaims& claims)
{
    std::string email = claims.text({"email"});
    return email.empty() ? claims.text({"https://api.openai.com/profile", "email"}) : email;
}

/// Takes what a token tells about its account, where nothing better is known yet.
void learn_from(const JwtClaims& claims, Credential& credential)
{
    if (credential.account_id.empty()) credential.account_id = account_id_claim(claims);
    if (credential.email.empty()) credential.email = email_claim(claims);
    if (credential.plan.empty())
        credential.plan = to_lower(claims.text({kAuthClaims, "chatgpt_plan_type"}));
}

Result<Credential> parse_sign_in(CredentialReader& reader)
{
    Credential credential;
    credential.kind = CredentialKind::oauth;
    credential.access_token = reader.token("tokens.access_token");
    credential.refresh_token = reader.token("tokens.refresh_token");
    credential.account_id = std::string(reader.token("tokens.account_id").reveal());
    const Secret id_token = reader.token("tokens.id_token");
    const std::string last_refresh = reader.text("last_refresh");
    credential.disabled = reader.flag("disabled");
    credential.options = reader.options();
    if (reader.problem()) return *reader.problem();
    if (credential.access_token.empty())
        return Problem{
            "", "'tokens.access_token' is missing", "run 'codex login' and copy auth.json again"};

    std::vector<std::string>& warnings = reader.warnings();
    if (!id_token.empty()) {
        if (const auto claims = JwtClaims::read(id_token.reveal()))
            learn_from(*claims, credential);
        else
            warnings.push_back("'tokens.id_token' " + claims.error().what);
    }
    if (const auto claims = JwtClaims::read(credential.access_token.reveal())) {
        learn_from(*claims, credential);
        credential.expires_at = claims->expires_at();
    } else {
        warnings.push_back(
            "'tokens.access_token' " + claims.error().what + "; when it expires is unknown");
    }
    if (credential.account_id.empty())
        warnings.emplace_back(
            "no account id in the file or its tokens: ChatGPT may refuse requests");
    if (credential.refresh_token.empty())
        warnings.emplace_back("no 'tokens.refresh_token': the account ends with its access token");
    if (credential.plan.empty()) credential.plan = kPlanUnstated;
    if (const auto time = parse_rfc3339(last_refresh))
        credential.last_refresh = *time;
    else if (!last_refresh.empty())
        warnings.emplace_back("'last_refresh' is no time; ignored");
    credential.warnings = std::move(warnings);
    return credential;
}

Result<Credential> parse_api_key(CredentialReader& reader)
{
    Credential credential;
    credential.kind = CredentialKind::api_key;
    credential.access_token = reader.token("OPENAI_API_KEY");
    credential.plan = "api";
    credential.disabled = reader.flag("disabled");
    credential.options = reader.options();
    if (reader.problem()) return *reader.problem();
    credential.warnings = std::move(reader.warnings());
    return credential;
}

} // namespace

CodexProvider::CodexProvider()
    : short_paths_(short_path_list()),
      body_paths_(body_path_list()),
      message_paths_(message_path_list()),
      error_paths_(error_path_list()),
      event_paths_(event_path_list()),
      usage_paths_(usage_path_list())
{}

std::span<const UpstreamSpec> CodexProvider::upstreams() const noexcept
{
    return kUpstreams;
}

// OpenAI states allowances as ranges of messages per five hours: Plus 45-225, Pro 300-1500; business, education and
// enterprise seats as Plus.
double CodexProvider::plan_weight(std::string_view plan) const noexcept
{
    if (plan == "pro") return 6.7;
    if (plan == "prolite") return 3.0;
    if (plan == "free" || plan == "go") return 0.2;
    return 1.0;
}

// Source: the auth.json of Codex 0.169.0, measured 2026-11-22; only the members used here matter.
Result<Credential> CodexProvider::parse_credential(std::string_view json) const
{
    auto loaded = CredentialReader::load(json);
    if (!loaded) return loaded.error();
    CredentialReader& reader = *loaded;
    reader.expect_object("tokens");
    if (reader.problem()) return *reader.problem();

    const bool signed_in = reader.has("tokens.access_token") || reader.has("tokens.refresh_token");
    const Secret api_key = reader.token("OPENAI_API_KEY");
    if (reader.problem()) return *reader.problem();
    if (signed_in) return parse_sign_in(reader);
    if (!api_key.empty()) return parse_api_key(reader);
    return Problem{
        "",
        "holds neither 'tokens' nor 'OPENAI_API_KEY'",
        "run 'codex login' and copy auth.json again; Claude and Gemini files need their prefix or "
        "sub-folder"};
}

BearerClaims bearer_claims(std::string_view token)
{
    const auto claims = JwtClaims::read(token);
    if (!claims) return {};
    BearerClaims out;
    out.plan = to_lower(claims->text({kAuthClaims, "chatgpt_plan_type"}));
    out.account_id = account_id_claim(*claims);
    return out;
}

std::string_view bearer_token(const http::RequestHead& request) noexcept
{
    constexpr std::string_view kScheme = "bearer ";
    std::string_view value = request.fields.find("authorization");
    if (!http::iequals(value.substr(0, kScheme.size()), kScheme)) return {};
    value.remove_prefix(kScheme.size());
    const std::size_t start = value.find_first_not_of(' ');
    return start == std::string_view::npos ? std::string_view{} : value.substr(start);
}

std::string CodexProvider::upstream_target(
    const Leg& leg, const http::RequestHead& request, const AccountCredential& /*account*/) const
{
    std::string target = leg.path;
    // With its '?', even before an empty query: the client's bytes are kept.
    if (request.target.size() > request.path.size())
        target += request.target.substr(request.path.size());
    return target;
}

bool CodexProvider::replaces_header(std::string_view name, CredentialKind /*kind*/) const noexcept
{
    // They name the client's own organisation, which the pool's account does not belong to: the
    // upstream would answer 401 and a good account would be blamed.
    return http::iequals(name, "openai-organization") || http::iequals(name, "openai-project");
}

void CodexProvider::append_credentials(
    const AccountCredential& account, const http::RequestHead& /*request*/, std::string& head) const
{
    head += "Authorization: Bearer ";
    head += account.token;
    head += "\r\n";
    if (account.kind == CredentialKind::oauth && !account.account_id.empty()) {
        head += "ChatGPT-Account-ID: ";
        head += account.account_id;
        head += "\r\n";
    }
}

} // namespace shared::providers::codex

namespace shared {

std::unique_ptr<const Provider> make_codex_provider()
{
    return std::make_unique<providers::codex::CodexProvider>();
}

} // namespace shared
