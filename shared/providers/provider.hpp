/// Everything the pool knows about one upstream vendor, as pure functions.
///
/// A provider opens no socket, reads no clock and keeps no state: facts and the time come in as
/// arguments, requests and facts go out as values. That is what lets one test file per vendor cover it with
/// recorded bytes, and lets worker, refresher and the fake providers share it. Callers never ask which
/// vendor they have.
#pragma once

#include "shared/base/fixed_string.hpp"
#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/units.hpp"
#include "shared/http/head.hpp"
#include "shared/http/json_picker.hpp"
#include "shared/http/sse_splitter.hpp"
#include "shared/providers/account_options.hpp"
#include "shared/providers/client_setup.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shared {

class CredentialKey;

enum class ProviderId : std::uint8_t {
    none = 0,
#define PROVIDER(number, name) name = (number),
#include "shared/providers/provider_list.hpp"
#undef PROVIDER
};

/// What a credential is; decides which routes its account may serve.
enum class CredentialKind : std::uint8_t { none = 0, oauth = 1, api_key = 2 };

/// One configurable upstream base of a provider: `[upstream] key` and its environment variable.
struct UpstreamSpec {
    std::string_view key;         ///< e.g. "codex"
    std::string_view environment; ///< e.g. "UPSTREAM_RESPONSES_BASE"
    std::string_view default_url; ///< scheme, host and optional path prefix
};

/// Names an UpstreamSpec: index into Provider::upstreams().
struct UpstreamRef {
    ProviderId provider = ProviderId::none;
    std::uint8_t index = 0;
};

// ---- routing -------------------------------------------------------------------------------------

/// Who may call a route when the pool is shared.
enum class Access : std::uint8_t { open, user, owner };

/// How strongly a provider claims a request; the strongest claim wins, ties by provider_list order.
enum class Match : std::uint8_t { none, fallback, path, marker };

/// One way of serving a route: with which kind of account, through which base, at which path.
struct Leg {
    CredentialKind kind = CredentialKind::none;
    UpstreamRef upstream;
    std::string path;       ///< below the base, without query, beginning with '/'
    bool websocket = false; ///< this leg can be upgraded
};

struct Route {
    enum class Target : std::uint8_t {
        upstream,  ///< by an account, over one of `legs`
        local,     ///< by Provider::answer_locally
        not_found, ///< 404 in the client's dialect
    };

    Target target = Target::not_found;
    Access access = Access::user;
    std::uint16_t local_id = 0; ///< provider-private, for target local (and local_if_unserved)
    bool local_if_unserved =
        false; ///< answer_locally when no account at all can serve (instead of an error)
    bool ordered_legs = false; ///< prefer the first leg's accounts; else all legs compete equally
    bool conversation = false; ///< carries a conversation: inspect the body, pin
    bool generates = false;    ///< spends tokens: scan the answer for usage, hold back until output
    std::vector<Leg> legs;
};

// ---- inspection ------------------------------------------------------------------------------------

/// What must be known of a request before an account can be picked.
struct RequestFacts {
    FixedString<96> model;       ///< as the client named it; empty if it could not be found
    bool stream = false;         ///< the client asked for a stream (by body, path or Accept)
    std::string conversation_id; ///< explicit id; empty if the request has none
    std::string
        fingerprint; ///< without an id: text that is equal for all turns of a conversation (model and
                     ///< first contents/messages element, capped); empty if there is nothing
    std::string previous_response_id; ///< refers to state kept by the account that made it
    bool body_malformed = false;      ///< the body should be JSON and is not
    /// Where in the (decoded) body an account-bound project stands, quotes included; length 0 = none.
    std::uint64_t project_offset = 0;
    std::uint64_t project_length = 0;
    std::string project;
};

// ---- accounts ----------------------------------------------------------------------------------------

/// The part of an account that requests carry upstream.
struct AccountCredential {
    CredentialKind kind = CredentialKind::none;
    std::string_view token;      ///< access token or API key
    std::string_view account_id; ///< the vendor's id, sent where the vendor wants it; may be empty
};

/// A credential file as loaded. Only the refresher (and `check`) ever has one.
struct Credential {
    CredentialKind kind = CredentialKind::none;
    Secret access_token;  ///< or the API key
    Secret refresh_token; ///< may be empty
    std::string account_id;
    std::string email;
    std::string plan;      ///< lower case, e.g. "pro", "max_20x"
    std::string project;   ///< account-bound project named in the file, if any
    UnixMillis expires_at; ///< of the access token; unset = unknown or never
    UnixMillis last_refresh;
    std::string scope;      ///< what it was granted, blank-separated; may be empty
    bool disabled = false;  ///< by the owner, in the file; `options.disabled` says so as well
    AccountOptions options; ///< of the file's "codex_pool"
    std::vector<std::string> warnings; ///< oddities worth telling the owner; no secrets
};

// ---- evidence ------------------------------------------------------------------------------------------

enum class Outcome : std::uint8_t {
    served,              ///< relay it (any answer that is the client's own business, 400 included)
    rate_limited,        ///< this account is used up until `until`, or for a while
    credential_rejected, ///< 401: the token is not accepted
    account_refused,     ///< 402, 403, disabled organisation …: the account may not do this
    upstream_failed,     ///< transient: 408, 5xx, 524, 529, Cloudflare challenge
};

/// What an upstream answer means for the account and for a retry.
struct Verdict {
    Outcome outcome = Outcome::served;
    UnixMillis until; ///< authoritative reset, if the answer names one
    FixedString<80>
        reason; ///< e.g. "usage_limit_reached"; from a fixed vocabulary or a status, never body text
    /// Only this request does not suit the account (a model it lacks): try another, hold nothing against this one.
    bool about_request = false;
    /// rate_limited: a quota window is used up, so that fresher evidence about windows can end it; not a limit of the
    /// moment, which windows say nothing about.
    bool used_up = false;
};

/// One quota window, identified by its length.
struct QuotaWindow {
    std::uint32_t seconds = 0; ///< 18000 = five hours, 604800 = a week; 0 = empty entry
    UsedShare used;
    UnixMillis resets_at;
};

/// What one message said about an account's quota. Absent is not zero.
struct QuotaUpdate {
    std::array<QuotaWindow, 4> windows{};
    std::uint8_t count = 0;
    std::optional<bool> has_credits;
    std::optional<bool> unlimited;
    std::optional<double> credits_balance;

    [[nodiscard]] bool empty() const noexcept
    {
        return count == 0 && !has_credits && !unlimited && !credits_balance;
    }

    void add(const QuotaWindow& window)
    {
        if (count < windows.size()) windows[count++] = window;
    }
};

/// Tokens one request cost. Uniform over vendors: `input` includes `cached_input` and `cache_creation`
/// (Anthropic reports them apart, they are added); `output` includes `reasoning` (Gemini's thoughts are added).
struct Usage {
    TokenCount input;
    TokenCount cached_input;   ///< read from a prompt cache
    TokenCount cache_creation; ///< written to a prompt cache
    TokenCount output;
    TokenCount reasoning;

    /// Not read from a cache, plus output. Never negative, whatever a vendor reports.
    [[nodiscard]] TokenCount billable() const noexcept
    {
        const std::int64_t fresh = input.value - cached_input.value;
        return {(fresh > 0 ? fresh : 0) + output.value};
    }

    friend bool operator==(const Usage&, const Usage&) = default;
};

/// What a response (so far) has told. Folded event by event by Provider::read_event.
struct ResponseFacts {
    Usage usage;
    bool has_usage = false;
    FixedString<96> model;
    FixedString<96> response_id;
    bool generated = false;         ///< output has begun: no other account can take over now
    bool terminal = false;          ///< the turn's last event was seen
    std::optional<Verdict> failure; ///< an in-band error, whenever it came
    QuotaUpdate quota;
};

// ---- answers of the pool itself ----------------------------------------------------------------------------

/// The pool's own view of one provider's accounts, for aggregated answers. Names no account.
struct PoolSummary {
    unsigned accounts = 0;     ///< enabled ones of this provider
    unsigned healthy = 0;      ///< of them, can serve now
    unsigned all_accounts = 0; ///< of every provider
    unsigned all_healthy = 0;

    struct Window {
        std::uint32_t seconds = 0;
        UsedShare
            used; ///< mean over accounts weighted by the share of the window still to run; unknown if no account knows
        UnixMillis resets_at; ///< earliest known reset
    };

    Window short_window{.seconds = 18000, .used = {}, .resets_at = {}};
    Window long_window{.seconds = 604800, .used = {}, .resets_at = {}};
};

struct LocalReply {
    unsigned status = 200;
    std::vector<http::Header> headers; ///< Content-Type included, Content-Length not
    std::string body;
};

/// Why the pool answers in an upstream's place.
struct PoolError {
    enum class Kind : std::uint8_t {
        bad_request,     ///< 400
        unauthorized,    ///< 401: no or wrong pool credential
        forbidden,       ///< 403
        not_found,       ///< 404
        body_too_large,  ///< 413
        exhausted,       ///< 429: accounts exist, none can serve before retry_at
        no_account,      ///< 503: there is no account of this kind at all
        upstream_failed, ///< 502: all attempts failed
        deadline,        ///< 504: no first byte in time
        overloaded,      ///< 503: the pool itself is at a limit or stopping
        user_limit, ///< 429: the calling pool user has reached one of its own limits; retry_at = when it ends,
                    ///< unset = only the owner can lift it
        user_disabled, ///< 403: the pool user is disabled, expired, or its credential was revoked
    };

    Kind kind = Kind::upstream_failed;
    /// One sentence for a person; no account names, no secrets, no times (retry_at is added where a client shows only
    /// the message). Codex goes on after user_limit's with ", or try again at …".
    std::string message;
    UnixMillis retry_at; ///< earliest authoritative reset; unset = unknown (never invented)
    UnixMillis now;

    [[nodiscard]] unsigned status() const noexcept;
};

// ---- refresher -------------------------------------------------------------------------------------------

/// A small request that the refresher makes in an account's name.
struct UpstreamCall {
    UpstreamRef upstream;
    std::string method = "POST";
    std::string path; ///< below the base, with query
    std::vector<http::Header> headers;
    std::string body;
};

struct CallReply {
    unsigned status = 0;
    std::vector<http::Header> headers;
    std::string body;
};

/// What an answer to a usage call says.
struct UsageReading {
    QuotaUpdate quota;
    std::string plan; ///< lower case; empty if it names none
};

/// Step of finding out what an account needs before it can serve (its project, for instance).
struct DiscoveryStep {
    enum class Next : std::uint8_t {
        done, ///< `project` is the answer (may be empty: none needed)
        call, ///< make `call`, then ask again with its reply
        wait, ///< ask again with the same reply's call repeated after `wait`
        failed
    };

    Next next = Next::done;
    UpstreamCall call;
    std::chrono::milliseconds wait{0};
    std::string project;
    std::string plan; ///< if the reply names one
    std::string problem;
};

// ---- token refresh ----------------------------------------------------------------------------------------

/// The OAuth client an owner has configured in place of the vendor CLI's own; empty = the CLI's own.
struct OAuthClient {
    std::string_view id;
    std::string_view secret;
};

/// What a token endpoint's answer brought.
struct RenewedTokens {
    Secret access_token;
    Secret refresh_token; ///< empty = the old one stays in use
    Secret id_token;      ///< empty = none came
    UnixMillis
        expires_at; ///< of the access token; unset = the answer names no time that can be believed
    std::string scope; ///< as answered; empty = none came

    [[nodiscard]] bool empty() const noexcept
    {
        return access_token.empty() && refresh_token.empty();
    }
};

/// What the answer to a refresh means.
struct RefreshOutcome {
    enum class Kind : std::uint8_t {
        renewed,     ///< `tokens` has an access token
        needs_login, ///< the refresh token is dead: only its owner can sign in again
        retry,       ///< nothing was decided; ask again later
    };

    Kind kind = Kind::retry;
    /// Whatever came is to be kept, also with `retry`: a new refresh token may have come alone.
    RenewedTokens tokens;
    FixedString<80> reason; ///< from a fixed vocabulary or a status, never text of the answer
    std::optional<std::chrono::milliseconds> retry_after; ///< if the answer names it
};

// ---- the interface ------------------------------------------------------------------------------------------

class Provider {
public:
    virtual ~Provider() = default;

    [[nodiscard]] virtual ProviderId id() const noexcept = 0;
    [[nodiscard]] virtual std::string_view
    name() const noexcept = 0; ///< "codex"; also its sub-folder
    [[nodiscard]] virtual std::string_view display_name() const noexcept = 0; ///< "Codex"
    [[nodiscard]] virtual std::span<const UpstreamSpec> upstreams() const noexcept = 0;

    // -- credential files (refresher, check) ------------------------------------------------------

    /// File-name prefix in a flat pool folder ("claude_"); empty = takes files no other prefix claims.
    [[nodiscard]] virtual std::string_view file_prefix() const noexcept = 0;
    /// Reads the text of a credential file. The Problem's `where` is left for the caller to fill in.
    [[nodiscard]] virtual Result<Credential> parse_credential(std::string_view json) const = 0;
    /// How much more one plan allows than the provider's smallest paid one (1): 20 for twenty times as much. From
    /// what the vendor publishes; only proportions within one provider matter.
    [[nodiscard]] virtual double plan_weight(std::string_view plan) const noexcept;
    /// The next step to learn the account's project. `previous` is the call made last, with `reply`; both
    /// null at first.
    [[nodiscard]] virtual DiscoveryStep discover(
        const Credential& credential, const UpstreamCall* previous, const CallReply* reply) const;

    // -- token refresh (refresher) ----------------------------------------------------------------

    /// The call that renews a credential's tokens; nothing where there is nothing to renew (API keys, no refresh
    /// token).
    [[nodiscard]] virtual std::optional<UpstreamCall>
    refresh_call(const Credential& credential, const OAuthClient& client) const = 0;
    /// What its answer means. `now` is when the answer came.
    [[nodiscard]] virtual RefreshOutcome
    parse_refresh(const CallReply& reply, const Credential& old, UnixMillis now) const = 0;
    /// The text of the credential file with these tokens in it: everything else stays, in its order. The
    /// Problem's `where` is left for the caller to fill in.
    [[nodiscard]] virtual Result<Secret>
    updated_file(std::string_view text, const RenewedTokens& tokens, UnixMillis now) const = 0;
    /// How the owner of a dead login mends it: "run 'codex login' and copy … to FILE".
    [[nodiscard]] virtual std::string login_remedy(std::string_view file) const = 0;

    // -- quota and trial (refresher) ---------------------------------------------------------------

    /// The call that asks for an account's quota; nothing if the vendor does not tell this kind of account.
    [[nodiscard]] virtual std::optional<UpstreamCall>
    usage_call(const Credential& credential) const;
    /// Reads a 200 answer to it. Problem: it is not what the vendor answers. Absent is not zero.
    [[nodiscard]] virtual Result<UsageReading>
    parse_usage(const CallReply& reply, UnixMillis now) const;
    /// The smallest request that shows whether an account serves. Its answer is read like any other.
    [[nodiscard]] virtual std::optional<UpstreamCall> test_call(const Credential& credential) const;

    // -- worker, in the order of a request's life -------------------------------------------------

    [[nodiscard]] virtual Match match(const http::RequestHead& request) const noexcept = 0;
    [[nodiscard]] virtual Route route(const http::RequestHead& request) const = 0;

    /// A reply the pool gives itself, for target local. `body` is the decoded request body.
    [[nodiscard]] virtual LocalReply answer_locally(
        const Route& route,
        const http::RequestHead& request,
        std::string_view body,
        const PoolSummary& pool,
        UnixMillis now) const = 0;

    /// `body` is the whole decoded body, or empty where it could not be held: then head only.
    [[nodiscard]] virtual RequestFacts
    inspect(const Route& route, const http::RequestHead& request, std::string_view body) const = 0;

    /// Path and query below the leg's base. Keeps the client's query byte for byte but for credentials in
    /// it and flags the credential needs.
    [[nodiscard]] virtual std::string upstream_target(
        const Leg& leg,
        const http::RequestHead& request,
        const AccountCredential& account) const = 0;

    /// True if append_credentials() writes this field itself for accounts of this kind, so that the client's must not
    /// be relayed; the answer is remembered. The pool drops all known credential fields (Authorization, Cookie,
    /// X-Api-Key …) before asking.
    [[nodiscard]] virtual bool
    replaces_header(std::string_view name, CredentialKind kind) const noexcept = 0;

    /// Appends "Name: value\r\n" lines that authenticate the request as `account`.
    virtual void append_credentials(
        const AccountCredential& account,
        const http::RequestHead& request,
        std::string& head) const = 0;

    /// What an answer means. `body` is the beginning (up to 64 KiB, decoded) of an error body, else empty.
    [[nodiscard]] virtual Verdict
    classify(const http::ResponseHead& response, std::string_view body, UnixMillis now) const = 0;

    [[nodiscard]] virtual QuotaUpdate
    quota_from_headers(const http::ResponseHead& response, UnixMillis now) const = 0;

    /// Response fields that tell an account's quota; the client gets the pool's instead.
    [[nodiscard]] virtual bool is_quota_header(std::string_view name) const noexcept = 0;
    /// Appends the pool's own quota fields in place of the dropped ones.
    virtual void
    append_pool_quota(const PoolSummary& pool, UnixMillis now, std::string& head) const = 0;

    /// The values read_event() wants from each event (or from the one document of a non-streamed answer).
    [[nodiscard]] virtual const http::JsonPaths& event_paths() const noexcept = 0;
    /// Folds one event into `facts`. `values` are in the order of event_paths().
    virtual void read_event(
        std::span<const http::PickedValue> values, UnixMillis now, ResponseFacts& facts) const = 0;

    /// The pool's own error, as this request's client understands it.
    [[nodiscard]] virtual LocalReply
    error_reply(const PoolError& error, const http::RequestHead& request) const = 0;

    // -- WebSocket --------------------------------------------------------------------------------

    /// Facts of a client's text message; empty facts if it starts no turn (conversation_id,
    /// previous_response_id, model; `stream` = it starts a turn).
    [[nodiscard]] virtual RequestFacts inspect_message(std::string_view json) const;
    /// The text message that makes the client open a new connection and send everything again.
    [[nodiscard]] virtual std::string start_over_message() const;
    /// The pool's own error as a text message.
    [[nodiscard]] virtual std::string error_message(const PoolError& error) const;

    // -- the client's side (admin child) ----------------------------------------------------------

    /// What this vendor's CLI needs to call the pool in a user's name. `key` signs the credentials.
    [[nodiscard]] virtual ClientSetup
    client_setup(const ClientSetupFacts& facts, const CredentialKey& key) const = 0;
    /// New tokens for a user's CLI that renews them at the pool; nothing where the CLI cannot be told to.
    [[nodiscard]] virtual std::optional<ClientTokens>
    client_tokens(const ClientSetupFacts& facts, const CredentialKey& key) const;
};

/// Follows one response body: undoes framing of events, picks values, folds facts. Fed with decoded payload.
/// Splits SSE if `content_type` says text/event-stream, else takes the body as one JSON document, whose facts
/// are known when it is complete. Without any Content-Type the first bytes decide.
/// Between two events it owns no memory beyond itself: thousands of idle streams must stay cheap.
class ResponseScanner {
public:
    ResponseScanner(const Provider& provider, std::string_view content_type);
    ~ResponseScanner();
    void feed(std::string_view bytes, UnixMillis now);
    /// The body is over (or cut): takes usage and quota from what an unfinished event or document already gave.
    void finish(UnixMillis now);

    [[nodiscard]] const ResponseFacts& facts() const noexcept { return facts_; }

    [[nodiscard]] bool is_event_stream() const noexcept { return framing_ == Framing::events; }

private:
    enum class Framing : std::uint8_t { unknown, events, document, done };

    [[nodiscard]] http::JsonPicker& picker();
    void feed_document(std::string_view bytes, UnixMillis now);
    void end_event(UnixMillis now);

    const Provider& provider_;
    Framing framing_;
    bool event_open_ = false; ///< some of the current event's data was fed to the picker
    http::SseSplitter splitter_;
    std::unique_ptr<http::JsonPicker> picker_; ///< only while an event or the document is open
    ResponseFacts facts_;
};

/// All providers, built by the role's run() and handed down by reference; no global registration.
class ProviderRegistry {
public:
    /// Every provider of provider_list.hpp.
    ProviderRegistry();
    ~ProviderRegistry();

    /// The provider with the strongest claim; never null (one provider takes what nobody claims).
    [[nodiscard]] const Provider& match(const http::RequestHead& request) const;
    /// Requires a valid id.
    [[nodiscard]] const Provider& get(ProviderId id) const;
    [[nodiscard]] const Provider* find(std::string_view name) const noexcept;

    [[nodiscard]] std::span<const std::unique_ptr<const Provider>> all() const noexcept
    {
        return providers_;
    }

private:
    std::vector<std::unique_ptr<const Provider>> providers_;
};

/// The request fields that carry somebody's credential for the pool or a vendor; never relayed.
[[nodiscard]] bool is_credential_header(std::string_view name) noexcept;
/// The request fields that tell the path a request took (X-Forwarded-*, Via, Cf-* …); never relayed.
[[nodiscard]] bool is_proxy_trace_header(std::string_view name) noexcept;

// Made by registry.cpp; each is defined in its own <name>.cpp.
#define PROVIDER(number, name)                                                                     \
    [[nodiscard]] std::unique_ptr<const Provider> make_##name##_provider();
#include "shared/providers/provider_list.hpp"
#undef PROVIDER

} // namespace shared
