#include "shared/providers/token_reply.hpp"

#include "shared/providers/credential_json.hpp"
#include "shared/providers/reset_time.hpp"
#include "shared/providers/verdicts.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace shared::providers {
namespace {

using nlohmann::json;

/// The words with which an endpoint says that a refresh token is dead.
/// Source: RFC 6749 5.2; openai/codex codex-rs/login (classify_refresh_token_failure); reference/wire.md 4.3.
constexpr std::array<std::string_view, 8> kDeadWords{
    "invalid_grant",
    "refresh_token_reused",
    "refresh_token_expired",
    "refresh_token_invalidated",
    "refresh_token_revoked",
    "invalid_refresh_token",
    "token_revoked",
    "account_deactivated"};

/// Words that blame the OAuth client or the request, not the account.
constexpr std::array<std::string_view, 5> kClientWords{
    "invalid_client",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_request"};

constexpr std::array<std::string_view, 4> kBusyWords{
    "rate_limit", "rate_limited", "slow_down", "temporarily_unavailable"};

const json* member(const json& object, const char* name)
{
    if (!object.is_object()) return nullptr;
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string_view text_of(const json* value)
{
    const auto* text = value ? value->get_ptr<const std::string*>() : nullptr;
    return text ? std::string_view(*text) : std::string_view();
}

/// A token as it may stand in a header and in the segment; empty for everything else.
Secret token_of(const json& reply, const char* name)
{
    const std::string_view text = text_of(member(reply, name));
    const bool usable =
        !text.empty() && text.size() <= kCredentialTokenBytesMax &&
        std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
    return usable ? Secret(std::string(text)) : Secret();
}

UnixMillis expiry_of(const json& reply, UnixMillis now)
{
    const json* value = member(reply, "expires_in");
    double seconds = 0;
    if (value && value->is_number()) {
        seconds = value->get<double>();
    } else {
        const std::string_view text = text_of(value);
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
        if (error != std::errc() || end != text.data() + text.size()) return {};
    }
    const bool plausible = std::isfinite(seconds) && seconds >= 1 &&
                           seconds <= static_cast<double>(kTokenLifetimeSecondsMax);
    if (!plausible) return {};
    return {now.value + static_cast<std::int64_t>(seconds * 1000)};
}

/// The first of `words` that one of the answer's error members is, or that its description names.
template <std::size_t N>
std::string_view word_of(const json& reply, const std::array<std::string_view, N>& words)
{
    const json* error = member(reply, "error");
    const std::array<std::string_view, 4> said{
        text_of(error),
        error ? text_of(member(*error, "code")) : std::string_view(),
        error ? text_of(member(*error, "type")) : std::string_view(),
        text_of(member(reply, "code"))};
    for (const std::string_view word : words) {
        if (std::find(said.begin(), said.end(), word) != said.end()) return word;
    }
    const std::array<std::string_view, 2> described{
        text_of(member(reply, "error_description")),
        error ? text_of(member(*error, "message")) : std::string_view()};
    for (const std::string_view word : words) {
        for (const std::string_view text : described) {
            if (contains_any_case(text, word)) return word;
        }
    }
    return {};
}

RefreshOutcome outcome(RefreshOutcome::Kind kind, std::string_view reason)
{
    RefreshOutcome out;
    out.kind = kind;
    out.reason.assign(reason);
    return out;
}

RefreshOutcome read_error(const CallReply& reply, const json& body)
{
    using Kind = RefreshOutcome::Kind;
    if (const auto word = word_of(body, kDeadWords); !word.empty())
        return outcome(Kind::needs_login, word);
    if (const auto word = word_of(body, kClientWords); !word.empty())
        return outcome(Kind::retry, word);
    if (reply.status == 429 || !word_of(body, kBusyWords).empty())
        return outcome(Kind::retry, "rate_limited");
    const bool is_error = member(body, "error") != nullptr || member(body, "code") != nullptr;
    // An edge in front of the endpoint answers 401 and 403 too, with a page. The endpoint itself speaks JSON.
    if (reply.status == 401 && is_error) return outcome(Kind::needs_login, "unauthorized");
    if (reply.status / 100 == 2)
        return outcome(Kind::retry, is_error ? "error_in_answer" : "answer_not_usable");
    return outcome(Kind::retry, "status_" + std::to_string(reply.status));
}

} // namespace

RefreshOutcome read_token_reply(const CallReply& reply, UnixMillis now)
{
    const json body = json::parse(reply.body, nullptr, false);
    RefreshOutcome result;
    if (reply.status / 100 == 2 && body.is_object()) {
        result.tokens.access_token = token_of(body, "access_token");
        result.tokens.refresh_token = token_of(body, "refresh_token");
        result.tokens.id_token = token_of(body, "id_token");
        result.tokens.scope = std::string(text_of(member(body, "scope")));
        result.tokens.expires_at = expiry_of(body, now);
        if (!result.tokens.access_token.empty()) {
            result.kind = RefreshOutcome::Kind::renewed;
            return result;
        }
        if (!result.tokens.refresh_token.empty()) {
            result.reason.assign("no_access_token");
            return result;
        }
    }
    result = read_error(reply, body);
    result.retry_after = retry_after_of(reply, now);
    return result;
}

// ---- CredentialFile ------------------------------------------------------------------------------------

CredentialFile::CredentialFile() : document_(std::make_unique<nlohmann::ordered_json>()) {}

CredentialFile::CredentialFile(CredentialFile&& other) noexcept = default;
CredentialFile& CredentialFile::operator=(CredentialFile&& other) noexcept = default;
CredentialFile::~CredentialFile() = default;

Result<CredentialFile> CredentialFile::load(std::string_view text)
{
    const auto checked = CredentialReader::load(text);
    if (!checked) return checked.error();
    CredentialFile file;
    *file.document_ = nlohmann::ordered_json::parse(text, nullptr, false);
    return file;
}

nlohmann::ordered_json& CredentialFile::member(std::string_view path)
{
    nlohmann::ordered_json* at = document_.get();
    while (true) {
        const std::size_t dot = path.find('.');
        if (!at->is_object()) *at = nlohmann::ordered_json::object();
        at = &(*at)[std::string(path.substr(0, dot))];
        if (dot == std::string_view::npos) return *at;
        path.remove_prefix(dot + 1);
    }
}

bool CredentialFile::has(std::string_view path) const
{
    const nlohmann::ordered_json* at = document_.get();
    while (true) {
        const std::size_t dot = path.find('.');
        if (!at->is_object()) return false;
        const auto found = at->find(std::string(path.substr(0, dot)));
        if (found == at->end() || found->is_null()) return false;
        at = &*found;
        if (dot == std::string_view::npos) return true;
        path.remove_prefix(dot + 1);
    }
}

void CredentialFile::set(std::string_view path, std::string_view value)
{
    member(path) = std::string(value);
}

void CredentialFile::set_time(std::string_view path, UnixMillis time)
{
    nlohmann::ordered_json& at = member(path);
    if (time.is_set())
        at = time.value;
    else
        at = nullptr;
}

void CredentialFile::set_words(std::string_view path, std::string_view words)
{
    auto list = nlohmann::ordered_json::array();
    while (!words.empty()) {
        const std::size_t blank = words.find(' ');
        if (blank != 0) list.push_back(std::string(words.substr(0, blank)));
        if (blank == std::string_view::npos) break;
        words.remove_prefix(blank + 1);
    }
    member(path) = std::move(list);
}

Secret CredentialFile::text() const
{
    using Handler = nlohmann::ordered_json::error_handler_t;
    return Secret(document_->dump(2, ' ', false, Handler::replace) + "\n");
}

} // namespace shared::providers
