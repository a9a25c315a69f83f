#include "shared/users/credential.hpp"

#include "shared/base/base64.hpp"
#include "shared/base/hash.hpp"
#include "shared/http/json_picker.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace shared {
namespace {

/// The header of every JWT made here; another one, "alg":"none" for instance, is not ours.
constexpr std::string_view kJwtHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// Half a digest is more than enough against forgery, and keeps keys short.
constexpr std::size_t kSignatureBytes = 16;

template <class Number>
bool read_number(std::string_view text, Number& out)
{
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

/// Cuts the part behind the last dot off; nothing if there is no dot.
std::optional<std::string_view> take_last(std::string_view& text)
{
    const std::size_t dot = text.rfind('.');
    if (dot == std::string_view::npos) return std::nullopt;
    const std::string_view last = text.substr(dot + 1);
    text = text.substr(0, dot);
    return last;
}

std::optional<CredentialUse> use_of_prefix(std::string_view prefix)
{
    if (prefix == kRefreshPrefix) return CredentialUse::refresh;
    if (prefix == kSessionPrefix) return CredentialUse::session;
    if (prefix.ends_with(kAccessPrefixEnd)) return CredentialUse::access;
    return std::nullopt;
}

/// The fields of a compact credential whose signature is right.
std::optional<UserCredential> read_compact(std::string_view text, UnixMillis now)
{
    const auto issued = take_last(text);
    const auto generation = issued ? take_last(text) : std::nullopt;
    if (!generation) return std::nullopt;
    const std::size_t mark = text.find_last_of("-_");
    const std::size_t prefix = mark == std::string_view::npos ? 0 : mark + 1;
    const auto use = use_of_prefix(text.substr(0, prefix));
    const std::string_view user = text.substr(prefix);
    UserCredential credential;
    std::int64_t seconds = 0;
    const bool whole = use && is_user_id(user) && read_number(*generation, credential.generation) &&
                       read_number(*issued, seconds);
    if (!whole) return std::nullopt;
    credential.user.assign(user);
    credential.use = *use;
    credential.issued_at = {seconds * 1000};
    if (*use == CredentialUse::session) {
        credential.expires_at = credential.issued_at.plus(kSessionLasts);
        if (credential.expires_at <= now) return std::nullopt;
    }
    return credential;
}

/// The claims of a JWT whose signature is right.
std::optional<UserCredential> read_claims(std::string_view claims, UnixMillis now)
{
    static constexpr std::array<std::string_view, 5> kNames{
        "pool_user", "pool_generation", "iat", "exp", "pool_use"};
    static const http::JsonPaths kPaths(kNames);
    std::string text;
    if (!decode_base64url(claims, text)) return std::nullopt;
    http::JsonPicker picker(kPaths);
    picker.feed(text);
    if (!picker.complete()) return std::nullopt;
    const auto values = picker.values();
    const auto generation = values[1].integer();
    const auto issued = values[2].integer();
    const auto expires = values[3].integer();
    if (!is_user_id(values[0].text) || !generation || !issued || !expires) return std::nullopt;
    if (values[4].kind != http::JsonKind::absent) return std::nullopt;
    if (*generation < 0 || *generation > UINT32_MAX) return std::nullopt;
    UserCredential credential;
    credential.user.assign(values[0].text);
    credential.generation = static_cast<std::uint32_t>(*generation);
    credential.issued_at = {*issued * 1000};
    credential.expires_at = {*expires * 1000};
    if (credential.expires_at <= now) return std::nullopt;
    return credential;
}

} // namespace

bool is_user_id(std::string_view text) noexcept
{
    return !text.empty() && text.size() <= kUserIdBytesMax &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
           });
}

std::string CredentialKey::issue(
    std::string_view prefix,
    std::string_view user,
    std::uint32_t generation,
    UnixMillis issued_at) const
{
    std::string text(prefix);
    text.append(user).append(".").append(std::to_string(generation));
    text.append(".").append(std::to_string(issued_at.value / 1000));
    const std::string signed_by = signature(text).substr(0, kSignatureBytes);
    return text.append(".").append(base64url(signed_by));
}

std::string CredentialKey::issue_jwt(std::string_view claims) const
{
    std::string text(kJwtHeader);
    text.append(".").append(base64url(claims));
    const std::string signed_by = base64url(signature(text));
    return text.append(".").append(signed_by);
}

std::optional<UserCredential> CredentialKey::verify(std::string_view text, UnixMillis now) const
{
    if (text.size() > kUserCredentialBytesMax || secret_.empty()) return std::nullopt;
    std::string_view rest = text;
    const auto signed_by = take_last(rest);
    if (!signed_by) return std::nullopt;
    const bool is_jwt = rest.size() > kJwtHeader.size() && rest.starts_with(kJwtHeader) &&
                        rest[kJwtHeader.size()] == '.';
    // Compared as text: an encoding has spare bits, and a changed credential is none.
    const std::string digest = signature(rest);
    const std::string right = base64url(
        is_jwt ? std::string_view(digest) : std::string_view(digest).substr(0, kSignatureBytes));
    const bool same = right.size() == signed_by->size() &&
                      CRYPTO_memcmp(right.data(), signed_by->data(), right.size()) == 0;
    if (!same) return std::nullopt;
    return is_jwt ? read_claims(rest.substr(kJwtHeader.size() + 1), now) : read_compact(rest, now);
}

std::string CredentialKey::derive(std::string_view name) const
{
    return to_hex(signature(std::string("derived\n").append(name)));
}

std::uint32_t CredentialKey::owner_generation(const Secret& admin_password) const
{
    const std::string digest = signature(std::string("owner\n").append(admin_password.reveal()));
    std::uint32_t generation = 0;
    for (const char c : digest.substr(0, sizeof generation))
        generation = (generation << 8U) | static_cast<unsigned char>(c);
    return generation;
}

std::string CredentialKey::signature(std::string_view text) const
{
    const Sha256Digest digest = hmac_sha256(secret_.reveal(), text);
    return {digest.begin(), digest.end()};
}

} // namespace shared
