/// Percent escapes of URLs (RFC 3986).
#pragma once

#include <string>
#include <string_view>

namespace shared {

/// The value of a hexadecimal digit of either case; -1 for anything else.
[[nodiscard]] int hex_digit(char c) noexcept;

/// Every byte but ASCII letters, digits and those of `kept` as %XX.
[[nodiscard]] std::string percent_encoded(std::string_view text, std::string_view kept = "-._~:@");

/// `text` with %XX undone; what is no escape stays as it is, '+' too.
[[nodiscard]] std::string percent_decoded(std::string_view text);

} // namespace shared
