/// Anthropic: Claude Code with a subscription token, and API keys. Both kinds of account serve the same paths, which
/// are never rewritten.
///
/// Facts are from reference/wire.md and reference/clients.md (Claude Code 2.1.330) unless a line says otherwise.

#include "shared/http/spare_pickers.hpp"
#include "shared/providers/claude_wire.hpp"
#include "shared/providers/credential_json.hpp"
#include "shared/providers/fingerprint.hpp"
#include "shared/providers/reset_time.hpp"
#include "shared/providers/token_reply.hpp"
#include "shared/providers/verdicts.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace shared {
namespace {

using namespace providers;

constexpr std::array<UpstreamSpec, 2> kUpstreams{
    {{"claude", "UPSTREAM_CLAUDE_BASE", "https://api.anthropic.com"},
     {"claude_auth", "UPSTREAM_CLAUDE_REFRESH_BASE", "https://platform.claude.com"}}};
constexpr UpstreamRef kApi{ProviderId::claude, 0};

enum LocalId : std::uint16_t { hello = 1, usage = 2, profile = 3, client_data = 4 };

struct LocalPath {
    std::string_view path;
    LocalId id;
    Access access;
};

constexpr std::array<LocalPath, 5> kLocalPaths{
    {{"/api/hello", LocalId::hello, Access::open},
     {"/api/oauth/usage", LocalId::usage, Access::user},
     {"/api/oauth/profile", LocalId::profile, Access::user},
     {"/api/claude_cli_profile", LocalId::profile, Access::user},
     {"/api/oauth/claude_cli/client_data", LocalId::client_data, Access::user}}};

// ---- what is picked from bodies; the enums are in the order of the lists --------------------------

enum RequestPath : std::size_t { req_model, req_stream, req_user_id, req_first_message };

constexpr std::array<std::string_view, 4> kRequestPaths{
    "model", "stream", "metadata.user_id", "messages[]"};

constexpr std::array<std::string_view, 2> kErrorPaths{"error.type", "error.message"};
constexpr std::array<std::string_view, 1> kUserIdPaths{"session_id"};

// ---- small pieces ------------------------------------------------------------------------------------

std::string_view without_final_slash(std::string_view path)
{
    if (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
    return path;
}

bool has_anthropic_header(const http::RequestHead& request) noexcept
{
    return std::any_of(
        request.fields.list.begin(), request.fields.list.end(), [](const http::Field& field) {
            return http::iequals(field.name, "x-api-key") ||
                   starts_with_any_case(field.name, "anthropic-");
        });
}

/// "user_<hash>_account_<uuid>_session_<uuid>", as older Claude Code wrote metadata.user_id.
std::string_view session_of_older_user_id(std::string_view user_id)
{
    constexpr std::string_view kSession = "_session_";
    const std::size_t at = user_id.rfind(kSession);
    if (user_id.substr(0, 5) != "user_" || at == std::string_view::npos) return {};
    return user_id.substr(at + kSession.size());
}

/// "default_claude_max_20x" -> "max_20x"; else the subscription's own word.
std::string plan_of(std::string_view subscription, std::string_view rate_limit_tier)
{
    constexpr std::string_view kTierPrefix = "default_claude_";
    std::string plan = to_lower(subscription);
    const std::string tier = to_lower(rate_limit_tier);
    if ((plan.empty() || plan == "max") && tier.rfind(kTierPrefix, 0) == 0)
        return tier.substr(kTierPrefix.size());
    return plan.empty() ? "claude" : plan;
}

// ---- the provider ---------------------------------------------------------------------------------------

class ClaudeProvider final : public Provider {
public:
    [[nodiscard]] ProviderId id() const noexcept override { return ProviderId::claude; }

    [[nodiscard]] std::string_view name() const noexcept override { return "claude"; }

    [[nodiscard]] std::string_view display_name() const noexcept override { return "Claude"; }

    [[nodiscard]] std::span<const UpstreamSpec> upstreams() const noexcept override
    {
        return kUpstreams;
    }

    [[nodiscard]] std::string_view file_prefix() const noexcept override { return "claude_"; }

    [[nodiscard]] Result<Credential> parse_credential(std::string_view json) const override;

    /// Anthropic names Max by how often it is Pro.
    [[nodiscard]] double plan_weight(std::string_view plan) const noexcept override
    {
        if (plan == "max_20x") return 20.0;
        if (plan == "max_5x" || plan == "max") return 5.0;
        return plan == "free" ? 0.2 : 1.0;
    }

    [[nodiscard]] std::optional<UpstreamCall>
    refresh_call(const Credential& credential, const OAuthClient& client) const override
    {
        return providers::claude::refresh_call(credential, client);
    }

    [[nodiscard]] RefreshOutcome
    parse_refresh(const CallReply& reply, const Credential& /*old*/, UnixMillis now) const override
    {
        return providers::read_token_reply(reply, now);
    }

    [[nodiscard]] Result<Secret>
    updated_file(std::string_view text, const RenewedTokens& tokens, UnixMillis now) const override
    {
        return providers::claude::updated_file(text, tokens, now);
    }

    [[nodiscard]] std::string login_remedy(std::string_view file) const override
    {
        return providers::claude::login_remedy(file);
    }

    [[nodiscard]] std::optional<UpstreamCall>
    usage_call(const Credential& credential) const override
    {
        if (credential.kind != CredentialKind::oauth) return std::nullopt; // keys have no windows
        return providers::claude::usage_call(credential);
    }

    [[nodiscard]] Result<UsageReading>
    parse_usage(const CallReply& reply, UnixMillis /*now*/) const override
    {
        http::JsonPicker picker(usage_paths_);
        picker.feed(reply.body);
        return providers::claude::parse_usage(picker.values(), picker.complete());
    }

    [[nodiscard]] std::optional<UpstreamCall> test_call(const Credential& credential) const override
    {
        return providers::claude::test_call(credential);
    }

    [[nodiscard]] Match match(const http::RequestHead& request) const noexcept override;
    [[nodiscard]] Route route(const http::RequestHead& request) const override;
    [[nodiscard]] LocalReply answer_locally(
        const Route& route,
        const http::RequestHead& request,
        std::string_view body,
        const PoolSummary& pool,
        UnixMillis now) const override;
    [[nodiscard]] RequestFacts inspect(
        const Route& route, const http::RequestHead& request, std::string_view body) const override;
    [[nodiscard]] std::string upstream_target(
        const Leg& leg,
        const http::RequestHead& request,
        const AccountCredential& account) const override;
    [[nodiscard]] bool
    replaces_header(std::string_view name, CredentialKind kind) const noexcept override;
    void append_credentials(
        const AccountCredential& account,
        const http::RequestHead& request,
        std::string& head) const override;
    [[nodiscard]] Verdict classify(
        const http::ResponseHead& response, std::string_view body, UnixMillis now) const override;

    [[nodiscard]] QuotaUpdate
    quota_from_headers(const http::ResponseHead& response, UnixMillis /*now*/) const override
    {
        return providers::claude::read_quota(response);
    }

    [[nodiscard]] bool is_quota_header(std::string_view name) const noexcept override
    {
        return providers::claude::is_quota_field(name);
    }

    void
    append_pool_quota(const PoolSummary& pool, UnixMillis now, std::string& head) const override
    {
        providers::claude::append_quota(pool, now, head);
    }

    [[nodiscard]] const http::JsonPaths& event_paths() const noexcept override
    {
        return event_paths_;
    }

    void read_event(std::span<const http::PickedValue> values, UnixMillis now, ResponseFacts& facts)
        const override
    {
        providers::claude::read_event(values, now, facts);
    }

    [[nodiscard]] LocalReply
    error_reply(const PoolError& error, const http::RequestHead& /*request*/) const override
    {
        return providers::claude::error_reply(error);
    }

    [[nodiscard]] ClientSetup
    client_setup(const ClientSetupFacts& facts, const CredentialKey& key) const override
    {
        return providers::claude::client_setup(facts, key);
    }

private:
    [[nodiscard]] std::string session_of_user_id(const std::string& user_id) const;

    http::JsonPaths request_paths_{kRequestPaths};
    http::JsonPaths model_paths_{std::span(kRequestPaths).first(2)}; ///< the head told the session
    http::JsonPaths user_id_paths_{kUserIdPaths};
    http::JsonPaths event_paths_{providers::claude::event_path_list()};
    http::JsonPaths error_paths_{kErrorPaths};
    http::JsonPaths usage_paths_{providers::claude::usage_path_list()};
};

Result<Credential> ClaudeProvider::parse_credential(std::string_view json) const
{
    auto loaded = CredentialReader::load(json);
    if (!loaded) return loaded.error();
    CredentialReader& file = *loaded;
    file.expect_object("claudeAiOauth");

    Credential credential;
    if (file.has("claudeAiOauth")) {
        credential.kind = CredentialKind::oauth;
        credential.access_token = file.token("claudeAiOauth.accessToken");
        credential.refresh_token = file.token("claudeAiOauth.refreshToken");
        credential.expires_at = file.time_ms("claudeAiOauth.expiresAt");
        credential.scope = file.words("claudeAiOauth.scopes");
        credential.plan = plan_of(
            file.text("claudeAiOauth.subscriptionType"), file.text("claudeAiOauth.rateLimitTier"));
    } else {
        credential.access_token = file.token("api_key");
        // A token of `claude setup-token` may stand where a key does.
        const bool oauth = starts_with_any_case(
            credential.access_token.reveal(), providers::claude::kOauthTokenPrefix);
        credential.kind = oauth ? CredentialKind::oauth : CredentialKind::api_key;
        credential.plan = plan_of(file.text("plan_type"), {});
    }
    credential.account_id = file.text("account_uuid");
    credential.email = file.text("email");
    credential.last_refresh = file.time_ms("last_refresh");
    credential.disabled = file.flag("disabled");
    credential.options = file.options();
    if (file.flag("dead")) {
        credential.disabled = true;
        file.warnings().emplace_back(
            "marked dead by the program that wrote it; remove \"dead\" once it works again");
    }
    if (file.problem()) return *file.problem();
    if (credential.access_token.empty()) {
        const bool nested = file.has("claudeAiOauth");
        return Problem{
            "",
            nested ? "'claudeAiOauth' has no 'accessToken'"
                   : "holds neither 'claudeAiOauth' (Claude Code's credentials) nor 'api_key'",
            "copy ~/.claude/.credentials.json, or write {\"api_key\": \"sk-ant-...\"}"};
    }
    credential.warnings = std::move(file.warnings());
    return credential;
}

Match ClaudeProvider::match(const http::RequestHead& request) const noexcept
{
    if (has_anthropic_header(request)) return Match::marker;
    const std::string_view path = request.path;
    const bool ours = is_at_or_below(path, "/v1/messages") || path == "/v1/complete" ||
                      is_at_or_below(path, "/api/oauth") ||
                      path.substr(0, 15) == "/api/claude_cli" ||
                      without_final_slash(path) == "/api/hello";
    return ours ? Match::path : Match::none;
}

Route ClaudeProvider::route(const http::RequestHead& request) const
{
    Route route;
    const std::string_view path = without_final_slash(request.path);
    const bool reads = request.method == "GET" || request.method == "HEAD";
    for (const LocalPath& local : kLocalPaths) {
        if (path != local.path || !reads) continue;
        route.target = Route::Target::local;
        route.access = local.access;
        route.local_id = local.id;
        return route;
    }
    // What else lies below /api is about an account of Anthropic's own site: nothing the pool may answer for.
    if (!is_at_or_below(request.path, "/v1")) return route;

    route.target = Route::Target::upstream;
    const std::string same_path(request.path);
    route.legs.push_back({CredentialKind::oauth, kApi, same_path});
    route.legs.push_back({CredentialKind::api_key, kApi, same_path});
    const bool posts = request.method == "POST";
    route.generates = posts && path == "/v1/messages";
    route.conversation = route.generates || (posts && path == "/v1/messages/count_tokens");
    return route;
}

LocalReply ClaudeProvider::answer_locally(
    const Route& route,
    const http::RequestHead& /*request*/,
    std::string_view /*body*/,
    const PoolSummary& pool,
    UnixMillis /*now*/) const
{
    switch (route.local_id) {
    case LocalId::usage:
        return providers::claude::usage_reply(pool);
    case LocalId::profile:
        return providers::claude::profile_reply(pool);
    case LocalId::client_data:
        return providers::claude::client_data_reply();
    default:
        return providers::claude::hello_reply();
    }
}

std::string ClaudeProvider::session_of_user_id(const std::string& user_id) const
{
    if (!user_id.empty() && user_id.front() == '{') {
        const http::BorrowedPicker borrowed(user_id_paths_, http::JsonMatch::first);
        http::JsonPicker& picker = *borrowed;
        picker.feed(user_id);
        if (picker[0].is_string() && !picker[0].truncated) return picker[0].text;
        return {};
    }
    // Any other id names a user, not a conversation: pinning on it would pin all that user does.
    return std::string(session_of_older_user_id(user_id));
}

RequestFacts ClaudeProvider::inspect(
    const Route& /*route*/, const http::RequestHead& request, std::string_view body) const
{
    RequestFacts facts;
    facts.conversation_id = std::string(request.fields.find("x-claude-code-session-id"));
    const bool session_known = !facts.conversation_id.empty();
    if (body.empty()) return facts;

    const http::BorrowedPicker borrowed(
        session_known ? model_paths_ : request_paths_, http::JsonMatch::first);
    http::JsonPicker& picker = *borrowed;
    picker.feed(body);
    facts.body_malformed = is_no_object(picker, body);
    if (picker[req_model].is_string()) facts.model.assign(picker[req_model].text);
    facts.stream = picker[req_stream].is_true();
    if (session_known) return facts;
    if (picker[req_user_id].is_string())
        facts.conversation_id = session_of_user_id(picker[req_user_id].text);
    if (facts.conversation_id.empty())
        facts.fingerprint = fingerprint_of(facts.model, picker[req_first_message], body);
    return facts;
}

std::string ClaudeProvider::upstream_target(
    const Leg& leg, const http::RequestHead& request, const AccountCredential& account) const
{
    std::string target = leg.path;
    if (!request.query.empty()) {
        target += '?';
        target += request.query;
    }
    const bool flag_needed =
        account.kind == CredentialKind::oauth && request.query_parameter("beta").data() == nullptr;
    if (flag_needed) target += request.query.empty() ? "?beta=true" : "&beta=true";
    return target;
}

bool ClaudeProvider::replaces_header(std::string_view name, CredentialKind kind) const noexcept
{
    return kind == CredentialKind::oauth && http::iequals(name, "anthropic-beta");
}

void ClaudeProvider::append_credentials(
    const AccountCredential& account, const http::RequestHead& request, std::string& head) const
{
    if (account.kind != CredentialKind::oauth) {
        head += "X-Api-Key: ";
        head += account.token;
        head += "\r\n";
        return;
    }
    head += "Authorization: Bearer ";
    head += account.token;
    head += "\r\nanthropic-beta: ";
    for (const http::Field& field : request.fields.list) {
        if (!http::iequals(field.name, "anthropic-beta") || field.value.empty()) continue;
        head += field.value;
        head += ',';
    }
    if (request.fields.lists("anthropic-beta", providers::claude::kOauthBeta))
        head.pop_back(); // the last comma: the client's own list has it all
    else
        head += providers::claude::kOauthBeta;
    head += "\r\n";
}

Verdict ClaudeProvider::classify(
    const http::ResponseHead& response, std::string_view body, UnixMillis now) const
{
    const unsigned status = response.status;
    if (status < 400) return {};
    if (is_cloudflare_challenge(response))
        return verdict(Outcome::upstream_failed, "cloudflare_challenge");
    if (status == 400 || status == 401 || status == 403) {
        http::JsonPicker picker(error_paths_, http::JsonMatch::first);
        picker.feed(body);
        if (const auto refusal = providers::claude::verdict_of_message(picker[1].text, now))
            return *refusal;
    }
    if (status == 429) return providers::claude::read_rate_limit(response, now);
    return verdict_of_status(status);
}

} // namespace

std::unique_ptr<const Provider> make_claude_provider()
{
    return std::make_unique<ClaudeProvider>();
}

} // namespace shared
