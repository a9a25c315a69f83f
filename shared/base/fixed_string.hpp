/// A short string of fixed capacity that may live in the shared segment.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace shared {

/// Holds up to N bytes; a longer text is cut, never inside a UTF-8 sequence. All zeroes = empty.
template <std::size_t N>
struct FixedString {
    static_assert(N > 0 && N <= 0xFFFF);
    std::uint16_t size = 0;
    std::array<char, N> bytes{};

    constexpr FixedString() = default;

    constexpr FixedString(std::string_view text) { assign(text); }

    constexpr FixedString(const char* text) { assign(text); }

    constexpr void assign(std::string_view text)
    {
        std::size_t length = std::min(text.size(), N);
        if (length < text.size()) {
            while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U)
                --length;
        }
        std::copy_n(text.data(), length, bytes.data());
        size = static_cast<std::uint16_t>(length);
    }

    /// The text; cut at the capacity even if `size` was torn by a killed writer.
    [[nodiscard]] constexpr std::string_view view() const noexcept
    {
        return {bytes.data(), std::min<std::size_t>(size, N)};
    }

    [[nodiscard]] constexpr bool empty() const noexcept { return size == 0; }

    constexpr operator std::string_view() const noexcept { return view(); }

    friend constexpr bool operator==(const FixedString& a, std::string_view b) noexcept
    {
        return a.view() == b;
    }
};

} // namespace shared
