/// What the pool hands to its users so that their CLIs can call it: signed texts that name the user and the generation
/// of its keys. Pure: whether that user may still call is the user table's word (shared/segment/user_table.hpp).
///
///   compact   <prefix><user>.<generation>.<issued>.<signature>   the prefix gives it the shape a CLI wants
///   JWT       header.claims.signature (HS256)                    where a CLI reads claims
///
/// A signature covers everything before it, the prefix too: a refresh token or a session is no access credential, and
/// none can be made out of another.
#pragma once

#include "shared/base/fixed_string.hpp"
#include "shared/base/secret.hpp"
#include "shared/base/units.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace shared {

/// Longer ones are refused unseen.
inline constexpr std::size_t kUserCredentialBytesMax = 4096;
inline constexpr std::size_t kUserIdBytesMax = 40;

/// What a credential is good for.
enum class CredentialUse : std::uint8_t {
    access,  ///< calls
    refresh, ///< new credentials
    session, ///< the pages, in a cookie
};

struct UserCredential {
    FixedString<kUserIdBytesMax> user;
    std::uint32_t generation = 0; ///< of the user's keys
    CredentialUse use = CredentialUse::access;
    UnixMillis issued_at;
    UnixMillis expires_at; ///< unset = only revoking ends it
};

/// The prefixes of compact credentials that are the pool's own; an access credential's is a provider's and ends with
/// kAccessPrefixEnd.
inline constexpr std::string_view kRefreshPrefix = "poolrt_";
inline constexpr std::string_view kSessionPrefix = "poolsession_";
inline constexpr std::string_view kAccessPrefixEnd = "pool-";
/// The cookie that carries a session, and the user id of the owner's.
inline constexpr std::string_view kSessionCookie = "codex_pool_session";
inline constexpr std::string_view kOwnerUser = "owner";
/// A session ends so long after it was issued.
inline constexpr std::chrono::hours kSessionLasts{24 * 30};

/// Whether a user id can stand in a credential: 1 to 40 letters and digits.
[[nodiscard]] bool is_user_id(std::string_view text) noexcept;

class CredentialKey {
public:
    /// An empty secret signs nothing and accepts nothing.
    explicit CredentialKey(Secret secret) : secret_(std::move(secret)) {}

    /// `user` must be a user id.
    [[nodiscard]] std::string issue(
        std::string_view prefix,
        std::string_view user,
        std::uint32_t generation,
        UnixMillis issued_at) const;

    /// Signs claims, a JSON object that has "pool_user", "pool_generation", "iat" and "exp" (seconds). With
    /// "pool_use": "id" it is shown to the CLI only and accepted nowhere.
    [[nodiscard]] std::string issue_jwt(std::string_view claims) const;

    /// What a text says if it is a credential of this key that has not expired; nothing for anything else.
    [[nodiscard]] std::optional<UserCredential> verify(std::string_view text, UnixMillis now) const;

    /// Equal for equal names and keys, and tells nothing of the key: lower-case hexadecimal, 64 characters.
    [[nodiscard]] std::string derive(std::string_view name) const;

    /// The generation of the owner's sessions: another password ends them.
    [[nodiscard]] std::uint32_t owner_generation(const Secret& admin_password) const;

private:
    [[nodiscard]] std::string signature(std::string_view text) const;

    Secret secret_;
};

} // namespace shared
