/// Base64 and base64url (RFC 4648).
#pragma once

#include <string>
#include <string_view>

namespace shared {

/// With padding.
[[nodiscard]] std::string base64(std::string_view bytes);
/// Without.
[[nodiscard]] std::string base64url(std::string_view bytes);

/// Decode, padded or not. False on any other character or an impossible length; then `out` is worthless.
[[nodiscard]] bool decode_base64(std::string_view text, std::string& out);
[[nodiscard]] bool decode_base64url(std::string_view text, std::string& out);

} // namespace shared
