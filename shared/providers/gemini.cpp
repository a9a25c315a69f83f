/// Google: Gemini CLI through Code Assist (`/v1internal:…`, OAuth) and the public Gemini API (`/v1beta/…`, API keys
/// first). Paths are never rewritten.
///
/// Facts are from reference/wire.md and reference/clients.md (Gemini CLI 0.61.0) unless a line says otherwise.

#include "shared/http/spare_pickers.hpp"
#include "shared/providers/credential_json.hpp"
#include "shared/providers/fingerprint.hpp"
#include "shared/providers/gemini_wire.hpp"
#include "shared/providers/token_reply.hpp"
#include "shared/providers/verdicts.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace shared {
namespace {

using namespace providers;

constexpr std::array<UpstreamSpec, 3> kUpstreams{
    {{"gemini", "UPSTREAM_GEMINI_BASE", "https://cloudcode-pa.googleapis.com"},
     {"gemini_api", "UPSTREAM_GEMINI_API_BASE", "https://generativelanguage.googleapis.com"},
     {"gemini_auth", "UPSTREAM_GEMINI_REFRESH_BASE", "https://oauth2.googleapis.com"}}};

// ---- what is picked from request bodies; the enums are in the order of the lists ---------------------

enum CodeAssistPath : std::size_t {
    ca_model,
    ca_project,
    ca_session_id,
    ca_first_content,
    ca_companion_project,
    ca_duet_project
};

constexpr std::array<std::string_view, 4> kTurnPaths{
    "model", "project", "request.session_id", "request.contents[]"};
/// For the calls around a turn: where they name the project.
constexpr std::array<std::string_view, 6> kAccountPaths{
    "model",
    "project",
    "request.session_id",
    "request.contents[]",
    "cloudaicompanionProject",
    "metadata.duetProject"};
constexpr std::array<std::string_view, 1> kPublicPaths{"contents[]"};

// ---- paths ---------------------------------------------------------------------------------------------

/// "/v1internal:VERB" and what lies below "/v1internal/" (running operations).
bool is_code_assist(std::string_view path)
{
    return path.substr(0, 12) == "/v1internal:" || path.substr(0, 12) == "/v1internal/";
}

/// What follows the last ':' of a path: "generateContent".
std::string_view verb_of(std::string_view path)
{
    const std::size_t colon = path.rfind(':');
    return colon == std::string_view::npos ? std::string_view() : path.substr(colon + 1);
}

/// "/v1beta/models/gemini-2.5-pro:generateContent" -> "gemini-2.5-pro".
std::string_view model_of(std::string_view path)
{
    constexpr std::string_view kModels = "/models/";
    const std::size_t models = path.find(kModels);
    if (models == std::string_view::npos) return {};
    const std::string_view rest = path.substr(models + kModels.size());
    return rest.substr(0, rest.find_first_of(":/"));
}

/// The public API under its older version, which OpenAI's paths share: only with a Google key.
bool is_keyed_model_call(const http::RequestHead& request)
{
    return is_at_or_below(request.path, "/v1/models") && !verb_of(request.path).empty() &&
           request.fields.has("x-goog-api-key");
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Whether a query parameter carries a credential, however its name is escaped.
bool is_credential_parameter(std::string_view parameter)
{
    const std::string_view raw = parameter.substr(0, parameter.find('='));
    std::string name;
    for (std::size_t at = 0; at < raw.size(); ++at) {
        const bool escaped = raw[at] == '%' && at + 2 < raw.size() && hex_digit(raw[at + 1]) >= 0 &&
                             hex_digit(raw[at + 2]) >= 0;
        if (!escaped) {
            name += raw[at];
            continue;
        }
        name += static_cast<char>(hex_digit(raw[at + 1]) * 16 + hex_digit(raw[at + 2]));
        at += 2;
    }
    return http::iequals(name, "key") || http::iequals(name, "access_token") ||
           http::iequals(name, "oauth_token");
}

/// The query without credentials, the rest byte for byte.
std::string without_credentials(std::string_view query)
{
    std::string kept;
    bool first = true;
    while (true) {
        const std::size_t end = query.find('&');
        const std::string_view parameter = query.substr(0, end);
        if (!is_credential_parameter(parameter)) {
            if (!first) kept += '&';
            kept += parameter;
            first = false;
        }
        if (end == std::string_view::npos) return kept;
        query.remove_prefix(end + 1);
    }
}

// ---- the provider ---------------------------------------------------------------------------------------

class GeminiProvider final : public Provider {
public:
    [[nodiscard]] ProviderId id() const noexcept override { return ProviderId::gemini; }

    [[nodiscard]] std::string_view name() const noexcept override { return "gemini"; }

    [[nodiscard]] std::string_view display_name() const noexcept override { return "Gemini"; }

    [[nodiscard]] std::span<const UpstreamSpec> upstreams() const noexcept override
    {
        return kUpstreams;
    }

    [[nodiscard]] std::string_view file_prefix() const noexcept override { return "gemini_"; }

    [[nodiscard]] Result<Credential> parse_credential(std::string_view json) const override;

    /// Google counts requests a day: 1000 without a plan, 1500 with Pro or a standard licence, 2000 with the largest.
    [[nodiscard]] double plan_weight(std::string_view plan) const noexcept override
    {
        if (plan == "ultra" || plan == "enterprise") return 1.33;
        return plan == "free" ? 0.67 : 1.0;
    }

    [[nodiscard]] std::optional<UpstreamCall> test_call(const Credential& credential) const override
    {
        return providers::gemini::test_call(credential);
    }

    [[nodiscard]] DiscoveryStep discover(
        const Credential& credential,
        const UpstreamCall* previous,
        const CallReply* reply) const override
    {
        return providers::gemini::discover(credential, previous, reply);
    }

    [[nodiscard]] std::optional<UpstreamCall>
    refresh_call(const Credential& credential, const OAuthClient& client) const override
    {
        return providers::gemini::refresh_call(credential, client);
    }

    [[nodiscard]] RefreshOutcome
    parse_refresh(const CallReply& reply, const Credential& /*old*/, UnixMillis now) const override
    {
        return providers::read_token_reply(reply, now);
    }

    [[nodiscard]] Result<Secret>
    updated_file(std::string_view text, const RenewedTokens& tokens, UnixMillis now) const override
    {
        return providers::gemini::updated_file(text, tokens, now);
    }

    [[nodiscard]] std::string login_remedy(std::string_view file) const override
    {
        return providers::gemini::login_remedy(file);
    }

    [[nodiscard]] Match match(const http::RequestHead& request) const noexcept override;
    [[nodiscard]] Route route(const http::RequestHead& request) const override;

    /// There are no local answers: never asked.
    [[nodiscard]] LocalReply answer_locally(
        const Route& /*route*/,
        const http::RequestHead& request,
        std::string_view /*body*/,
        const PoolSummary& /*pool*/,
        UnixMillis now) const override
    {
        return error_reply({PoolError::Kind::not_found, "Not found.", {}, now}, request);
    }

    [[nodiscard]] RequestFacts inspect(
        const Route& route, const http::RequestHead& request, std::string_view body) const override;
    [[nodiscard]] std::string upstream_target(
        const Leg& leg,
        const http::RequestHead& request,
        const AccountCredential& account) const override;

    [[nodiscard]] bool
    replaces_header(std::string_view /*name*/, CredentialKind /*kind*/) const noexcept override
    {
        return false;
    }

    void append_credentials(
        const AccountCredential& account,
        const http::RequestHead& request,
        std::string& head) const override;
    [[nodiscard]] Verdict classify(
        const http::ResponseHead& response, std::string_view body, UnixMillis now) const override;

    [[nodiscard]] QuotaUpdate
    quota_from_headers(const http::ResponseHead& /*response*/, UnixMillis /*now*/) const override
    {
        return {}; // Google tells none
    }

    [[nodiscard]] bool is_quota_header(std::string_view /*name*/) const noexcept override
    {
        return false;
    }

    void append_pool_quota(
        const PoolSummary& /*pool*/, UnixMillis /*now*/, std::string& /*head*/) const override
    {}

    [[nodiscard]] const http::JsonPaths& event_paths() const noexcept override
    {
        return event_paths_;
    }

    void read_event(std::span<const http::PickedValue> values, UnixMillis now, ResponseFacts& facts)
        const override
    {
        providers::gemini::read_event(values, now, facts);
    }

    [[nodiscard]] LocalReply
    error_reply(const PoolError& error, const http::RequestHead& /*request*/) const override
    {
        return providers::gemini::error_reply(error);
    }

    [[nodiscard]] ClientSetup
    client_setup(const ClientSetupFacts& facts, const CredentialKey& key) const override
    {
        return providers::gemini::client_setup(facts, key);
    }

private:
    void inspect_code_assist(
        const http::RequestHead& request, std::string_view body, RequestFacts& facts) const;
    void inspect_public(std::string_view body, RequestFacts& facts) const;

    http::JsonPaths turn_paths_{kTurnPaths};
    http::JsonPaths account_paths_{kAccountPaths};
    http::JsonPaths public_paths_{kPublicPaths};
    http::JsonPaths event_paths_{providers::gemini::event_path_list()};
    http::JsonPaths error_paths_{providers::gemini::error_path_list()};
};

Result<Credential> GeminiProvider::parse_credential(std::string_view json) const
{
    auto loaded = CredentialReader::load(json);
    if (!loaded) return loaded.error();
    CredentialReader& file = *loaded;

    Credential credential;
    credential.access_token = file.token("access_token");
    credential.refresh_token = file.token("refresh_token");
    credential.expires_at = file.time_ms("expiry_date");
    Secret api_key = file.token("api_key");
    credential.email = file.text("email");
    credential.plan = to_lower(file.text("plan_type"));
    if (credential.plan.empty()) credential.plan = "gemini";
    for (const char* key : {"project_id", "project", "quota_project_id"}) {
        std::string project = file.text(key);
        if (credential.project.empty()) credential.project = std::move(project);
    }
    credential.last_refresh = file.time_ms("last_refresh");
    credential.disabled = file.flag("disabled");
    credential.options = file.options();
    if (file.flag("dead")) {
        credential.disabled = true;
        file.warnings().emplace_back(
            "marked dead by the program that wrote it; remove \"dead\" once it works again");
    }
    if (file.problem()) return *file.problem();

    if (!credential.access_token.empty()) {
        credential.kind = CredentialKind::oauth;
        if (!api_key.empty()) file.warnings().emplace_back("'api_key' beside a sign-in is ignored");
    } else if (!api_key.empty()) {
        credential.kind = CredentialKind::api_key;
        credential.access_token = std::move(api_key);
        credential.refresh_token = {};
        credential.expires_at = {};
    } else {
        return Problem{
            "",
            "has neither 'access_token' (Gemini CLI's oauth_creds.json) nor 'api_key'",
            "copy ~/.gemini/oauth_creds.json, or write {\"api_key\": \"...\"}"};
    }
    credential.warnings = std::move(file.warnings());
    return credential;
}

Match GeminiProvider::match(const http::RequestHead& request) const noexcept
{
    // Nobody else has these paths, whatever fields come with them.
    if (is_code_assist(request.path)) return Match::marker;
    if (is_keyed_model_call(request)) return Match::marker;
    if (!is_at_or_below(request.path, "/v1beta")) return Match::none;
    return request.fields.has("x-goog-api-key") ? Match::marker : Match::path;
}

Route GeminiProvider::route(const http::RequestHead& request) const
{
    Route route;
    const bool code_assist = is_code_assist(request.path);
    const std::string same_path(request.path);
    if (code_assist) {
        route.legs.push_back({CredentialKind::oauth, providers::gemini::kCodeAssist, same_path});
    } else if (is_at_or_below(request.path, "/v1beta") || is_keyed_model_call(request)) {
        route.legs.push_back({CredentialKind::api_key, providers::gemini::kPublicApi, same_path});
        route.legs.push_back({CredentialKind::oauth, providers::gemini::kPublicApi, same_path});
        route.ordered_legs = true;
    } else {
        return route;
    }
    route.target = Route::Target::upstream;
    const std::string_view verb = verb_of(request.path);
    const bool posts = request.method == "POST";
    route.generates = posts && (verb == "generateContent" || verb == "streamGenerateContent");
    // Code Assist's other calls are no turns and get no pin, but their bodies name a project, which must be found.
    route.conversation = route.generates || (posts && (code_assist || verb == "countTokens"));
    return route;
}

void GeminiProvider::inspect_code_assist(
    const http::RequestHead& request, std::string_view body, RequestFacts& facts) const
{
    const std::string_view verb = verb_of(request.path);
    const bool names_companion = verb == "loadCodeAssist" || verb == "onboardUser";
    const http::BorrowedPicker borrowed(
        names_companion ? account_paths_ : turn_paths_, http::JsonMatch::first);
    http::JsonPicker& picker = *borrowed;
    picker.feed(body);
    facts.body_malformed = is_no_object(picker, body);
    if (picker[ca_model].is_string()) facts.model.assign(picker[ca_model].text);

    const http::PickedValue* project = &picker[ca_project];
    if (names_companion && !project->is_string()) project = &picker[ca_companion_project];
    if (names_companion && !project->is_string()) project = &picker[ca_duet_project];
    if (project->is_string() && !project->truncated && project->length > 0) {
        facts.project_offset = project->offset;
        facts.project_length = project->length;
        facts.project = project->text;
    }
    const http::PickedValue& session = picker[ca_session_id];
    if (session.is_string() && !session.truncated) facts.conversation_id = session.text;
    if (facts.conversation_id.empty())
        facts.fingerprint = fingerprint_of(facts.model, picker[ca_first_content], body);
}

void GeminiProvider::inspect_public(std::string_view body, RequestFacts& facts) const
{
    const http::BorrowedPicker borrowed(public_paths_, http::JsonMatch::first);
    http::JsonPicker& picker = *borrowed;
    picker.feed(body);
    facts.body_malformed = is_no_object(picker, body);
    facts.fingerprint = fingerprint_of(facts.model, picker[0], body);
}

RequestFacts GeminiProvider::inspect(
    const Route& /*route*/, const http::RequestHead& request, std::string_view body) const
{
    RequestFacts facts;
    facts.stream = verb_of(request.path) == "streamGenerateContent";
    const bool code_assist = is_code_assist(request.path);
    if (!code_assist) facts.model.assign(model_of(request.path));
    if (body.empty()) return facts;
    if (code_assist)
        inspect_code_assist(request, body, facts);
    else
        inspect_public(body, facts);
    return facts;
}

std::string GeminiProvider::upstream_target(
    const Leg& leg, const http::RequestHead& request, const AccountCredential& /*account*/) const
{
    std::string target = leg.path;
    const std::string query = without_credentials(request.query);
    if (!query.empty()) target += "?" + query;
    return target;
}

void GeminiProvider::append_credentials(
    const AccountCredential& account, const http::RequestHead& /*request*/, std::string& head) const
{
    head += account.kind == CredentialKind::api_key ? "x-goog-api-key: " : "Authorization: Bearer ";
    head += account.token;
    head += "\r\n";
}

Verdict GeminiProvider::classify(
    const http::ResponseHead& response, std::string_view body, UnixMillis now) const
{
    if (response.status < 400) return {};
    if (is_cloudflare_challenge(response))
        return verdict(Outcome::upstream_failed, "cloudflare_challenge");
    http::JsonPicker picker(error_paths_);
    picker.feed(body);
    Verdict result = providers::gemini::read_error(response.status, picker.values(), now);
    if (result.outcome == Outcome::rate_limited && !result.until.is_set())
        result.until = retry_after_of(response, now);
    return result;
}

} // namespace

std::unique_ptr<const Provider> make_gemini_provider()
{
    return std::make_unique<GeminiProvider>();
}

} // namespace shared
