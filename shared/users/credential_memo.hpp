/// Remembers the credentials verified last, so that a busy client's is not hashed for every request. One per worker.
#pragma once

#include "shared/users/credential.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace shared {

class CredentialMemo {
public:
    static constexpr std::size_t kPlaces = 256; ///< a newer credential takes an older one's place

    /// `key` outlives the memo.
    explicit CredentialMemo(const CredentialKey& key) : key_(key) {}

    /// As CredentialKey::verify(); `now` decides for a remembered one too.
    [[nodiscard]] std::optional<UserCredential> verify(std::string_view text, UnixMillis now);

private:
    struct Place {
        Secret text;
        UserCredential credential;
    };

    const CredentialKey& key_;
    std::array<Place, kPlaces> places_;
};

} // namespace shared
