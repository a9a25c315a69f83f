/// SHA-256, for pin keys, change detection, constant-time comparison and signatures.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace shared {

using Sha256Digest = std::array<std::uint8_t, 32>;

[[nodiscard]] Sha256Digest sha256(std::string_view bytes) noexcept;

/// Of the parts one after the other.
[[nodiscard]] Sha256Digest sha256(std::initializer_list<std::string_view> parts) noexcept;

/// HMAC-SHA256.
[[nodiscard]] Sha256Digest hmac_sha256(std::string_view key, std::string_view bytes) noexcept;

/// Lower-case hexadecimal of any byte range.
[[nodiscard]] std::string to_hex(std::string_view bytes);

/// `bytes` cryptographically strong random bytes as lower-case hexadecimal.
[[nodiscard]] std::string random_hex(std::size_t bytes);

} // namespace shared
