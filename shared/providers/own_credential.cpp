#include "shared/providers/own_credential.hpp"

#include "shared/users/credential.hpp"

#include <algorithm>
#include <array>

namespace shared {
namespace {

struct Shape {
    ProviderId provider;
    std::string_view prefix;
    CredentialKind kind;
};

// The first that fits counts. Source: reference/wire.md 2.4, clients.md.
constexpr std::array kShapes{
    Shape{ProviderId::claude, "sk-ant-oat", CredentialKind::oauth},
    Shape{ProviderId::claude, "sk-ant-", CredentialKind::api_key},
    Shape{ProviderId::codex, "sk-", CredentialKind::api_key},
    Shape{ProviderId::gemini, "ya29.", CredentialKind::oauth},
    Shape{ProviderId::gemini, "AIza", CredentialKind::api_key}};

std::string_view bearer(const http::RequestHead& request)
{
    constexpr std::string_view kScheme = "bearer ";
    std::string_view value = request.fields.find("authorization");
    if (!http::iequals(value.substr(0, kScheme.size()), kScheme)) return {};
    value.remove_prefix(kScheme.size());
    return value.substr(std::min(value.find_first_not_of(' '), value.size()));
}

/// Of any user, of whatever generation, forged ones too: they are never sent anywhere.
bool is_shaped_like_ours(std::string_view token) noexcept
{
    constexpr std::size_t kBeginning = 24;
    return token.substr(0, kBeginning).find(kAccessPrefixEnd) != std::string_view::npos;
}

} // namespace

std::optional<OwnCredential>
own_credential(const Provider& provider, const http::RequestHead& request)
{
    const std::array shown{
        bearer(request),
        request.fields.find("x-api-key"),
        request.fields.find("x-goog-api-key"),
        request.query_parameter("key")};
    for (const std::string_view token : shown) {
        if (token.empty() || is_shaped_like_ours(token)) continue;
        const auto* const shape =
            std::find_if(kShapes.begin(), kShapes.end(), [token](const Shape& each) {
                return token.starts_with(each.prefix);
            });
        if (shape != kShapes.end() && shape->provider == provider.id())
            return OwnCredential{shape->kind, token};
    }
    return std::nullopt;
}

} // namespace shared
