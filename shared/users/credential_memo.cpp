#include "shared/users/credential_memo.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <string>

namespace shared {
namespace {

/// From the signature, which is as good as random.
std::size_t place_of(std::string_view text) noexcept
{
    constexpr std::size_t kTail = 8;
    std::size_t hash = 0;
    for (const char c : text.substr(text.size() - std::min(text.size(), kTail)))
        hash = hash * 131 + static_cast<unsigned char>(c);
    return hash % CredentialMemo::kPlaces;
}

} // namespace

std::optional<UserCredential> CredentialMemo::verify(std::string_view text, UnixMillis now)
{
    Place& place = places_[place_of(text)];
    const std::string_view known = place.text.reveal();
    const bool hit = !known.empty() && known.size() == text.size() &&
                     CRYPTO_memcmp(known.data(), text.data(), text.size()) == 0;
    if (hit) {
        const UnixMillis end = place.credential.expires_at;
        if (end.is_set() && end <= now) return std::nullopt;
        return place.credential;
    }
    const std::optional<UserCredential> verified = key_.verify(text, now);
    if (verified) place = {Secret(std::string(text)), *verified};
    return verified;
}

} // namespace shared
