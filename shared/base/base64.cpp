#include "shared/base/base64.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace shared {
namespace {

using Alphabet = std::array<char, 64>;

constexpr Alphabet alphabet(char second_last, char last)
{
    Alphabet made{};
    std::size_t at = 0;
    for (char c = 'A'; c <= 'Z'; ++c)
        made[at++] = c;
    for (char c = 'a'; c <= 'z'; ++c)
        made[at++] = c;
    for (char c = '0'; c <= '9'; ++c)
        made[at++] = c;
    made[at++] = second_last;
    made[at] = last;
    return made;
}

constexpr Alphabet kPlain = alphabet('+', '/');
constexpr Alphabet kUrl = alphabet('-', '_');
constexpr std::uint8_t kNoValue = 0xFF;

constexpr std::array<std::uint8_t, 256> values(const Alphabet& letters)
{
    std::array<std::uint8_t, 256> made{};
    made.fill(kNoValue);
    for (std::size_t i = 0; i < letters.size(); ++i)
        made[static_cast<unsigned char>(letters[i])] = static_cast<std::uint8_t>(i);
    return made;
}

constexpr auto kPlainValues = values(kPlain);
constexpr auto kUrlValues = values(kUrl);

std::string encode(const Alphabet& letters, std::string_view bytes)
{
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            group <<= 8U;
            if (k < count) group |= static_cast<unsigned char>(bytes[i + k]);
        }
        for (std::size_t k = 0; k <= count; ++k)
            out += letters[(group >> (18 - 6 * k)) & 0x3FU];
    }
    return out;
}

bool decode(const std::array<std::uint8_t, 256>& value_of, std::string_view text, std::string& out)
{
    out.clear();
    while (text.ends_with('=')) // RFC 7515 forbids padding, some issuers send it
        text.remove_suffix(1);
    if (text.size() % 4 == 1) return false;
    out.reserve(text.size() * 3 / 4);
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const char c : text) {
        const std::uint8_t value = value_of[static_cast<unsigned char>(c)];
        if (value == kNoValue) return false;
        bits = (bits << 6U) | value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out += static_cast<char>((bits >> count) & 0xFFU);
        }
    }
    return true;
}

} // namespace

std::string base64(std::string_view bytes)
{
    std::string out = encode(kPlain, bytes);
    out.append((4 - out.size() % 4) % 4, '=');
    return out;
}

std::string base64url(std::string_view bytes)
{
    return encode(kUrl, bytes);
}

bool decode_base64(std::string_view text, std::string& out)
{
    return decode(kPlainValues, text, out);
}

bool decode_base64url(std::string_view text, std::string& out)
{
    return decode(kUrlValues, text, out);
}

} // namespace shared
