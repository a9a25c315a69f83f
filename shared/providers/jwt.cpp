#include "shared/providers/jwt.hpp"

#include "shared/base/base64.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

namespace shared::providers {
namespace {

Problem no_jwt(std::string what)
{
    return {"", "is not a JWT: " + std::move(what), "sign in again with the CLI and copy its file"};
}

} // namespace

JwtClaims::JwtClaims() : claims_(std::make_unique<nlohmann::json>()) {}

JwtClaims::JwtClaims(JwtClaims&& other) noexcept = default;
JwtClaims& JwtClaims::operator=(JwtClaims&& other) noexcept = default;
JwtClaims::~JwtClaims() = default;

Result<JwtClaims> JwtClaims::read(std::string_view token)
{
    if (token.empty()) return no_jwt("it is empty");
    if (token.size() > kJwtBytesMax)
        return no_jwt("it is longer than " + std::to_string(kJwtBytesMax) + " bytes");
    const auto parts = std::count(token.begin(), token.end(), '.') + 1;
    if (parts != 3)
        return no_jwt(
            "it has " + std::to_string(parts) + (parts == 1 ? " part" : " parts") + ", not three");

    const std::size_t start = token.find('.') + 1;
    const std::string_view payload = token.substr(start, token.find('.', start) - start);
    std::string text;
    if (payload.empty()) return no_jwt("its second part is empty");
    if (!decode_base64url(payload, text)) return no_jwt("its second part is not base64url");

    JwtClaims claims;
    *claims.claims_ = nlohmann::json::parse(text, nullptr, false); // iterative: depth is harmless
    if (claims.claims_->is_discarded()) return no_jwt("its second part holds no JSON");
    if (!claims.claims_->is_object()) return no_jwt("its second part holds no JSON object");
    return claims;
}

std::string JwtClaims::text(std::initializer_list<std::string_view> path) const
{
    const nlohmann::json* value = claims_.get();
    for (const std::string_view name : path) {
        if (!value->is_object()) return {};
        const auto found = value->find(name);
        if (found == value->end()) return {};
        value = &*found;
    }
    const auto* text = value->get_ptr<const std::string*>();
    if (text == nullptr) return {};
    const bool control = std::any_of(text->begin(), text->end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    });
    return control ? std::string() : *text;
}

UnixMillis JwtClaims::expires_at() const
{
    constexpr double kYear9999 = 253402300800.0;
    const auto found = claims_->find("exp");
    if (found == claims_->end() || !found->is_number()) return {};
    const double seconds = found->get<double>();
    if (!std::isfinite(seconds) || seconds <= 0 || seconds >= kYear9999) return {};
    return {static_cast<std::int64_t>(seconds * 1000)};
}

} // namespace shared::providers
