/// Reads what a JSON Web Token says about its bearer. The signature is NOT checked: the pool never trusts a
/// claim, it only shows plan and e-mail, learns the account id and knows when a token expires.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/units.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace shared::providers {

/// Longer tokens are refused; real ones have two kilobytes.
inline constexpr std::size_t kJwtBytesMax = 16 * 1024;

/// The claims of one token.
class JwtClaims {
public:
    /// The Problem says what is wrong with the token and quotes nothing of it.
    [[nodiscard]] static Result<JwtClaims> read(std::string_view token);

    JwtClaims(JwtClaims&& other) noexcept;
    JwtClaims& operator=(JwtClaims&& other) noexcept;
    JwtClaims(const JwtClaims&) = delete;
    JwtClaims& operator=(const JwtClaims&) = delete;
    ~JwtClaims();

    /// A claim that is a string, found through nested objects; empty if it is absent, no string, or has
    /// control characters. (Names are not split: OpenAI's contain dots and slashes.)
    [[nodiscard]] std::string text(std::initializer_list<std::string_view> path) const;
    /// The claim "exp"; unset if it is missing or implausible.
    [[nodiscard]] UnixMillis expires_at() const;

private:
    JwtClaims();

    std::unique_ptr<nlohmann::json> claims_;
};

} // namespace shared::providers
