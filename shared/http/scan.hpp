/// Byte searches 16 and 64 bytes at a time, for the parsers of this folder. Baseline x86-64 (SSE2) and
/// arm64 (NEON) get vector code, everything else a plain loop with the same results.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__) && !defined(CODEX_POOL_SCAN_PORTABLE)
#include <emmintrin.h>
#define CODEX_POOL_SCAN_SSE2
#elif defined(__aarch64__) && !defined(CODEX_POOL_SCAN_PORTABLE)
#include <arm_neon.h>
#define CODEX_POOL_SCAN_NEON
#endif

namespace shared::http::scan {

/// 16 bytes; == gives 0xFF or 0x00 per byte, |, & and ~ work bytewise.
using Bytes16 = std::uint8_t __attribute__((vector_size(16)));

[[nodiscard]] inline Bytes16 load16(const char* p) noexcept
{
    Bytes16 bytes;
    std::memcpy(&bytes, p, sizeof bytes);
    return bytes;
}

[[nodiscard]] inline Bytes16 all16(char c) noexcept
{
    const auto b = static_cast<std::uint8_t>(c);
    return Bytes16{b, b, b, b, b, b, b, b, b, b, b, b, b, b, b, b};
}

[[nodiscard]] inline Bytes16 equal16(Bytes16 bytes, char c) noexcept
{
    return reinterpret_cast<Bytes16>(bytes == all16(c));
}

/// Bytes 0x00 to 0x1F and 0x7F.
[[nodiscard]] inline Bytes16 control16(Bytes16 bytes) noexcept
{
    return reinterpret_cast<Bytes16>(bytes < all16(0x20)) | equal16(bytes, 0x7F);
}

/// What nearly all header names are made of alone.
[[nodiscard]] inline Bytes16 letters_digits_dashes16(Bytes16 bytes) noexcept
{
    const Bytes16 letters = (bytes | all16(0x20)) - all16('a');
    const Bytes16 digits = bytes - all16('0');
    return reinterpret_cast<Bytes16>(letters < all16(26)) |
           reinterpret_cast<Bytes16>(digits < all16(10)) | equal16(bytes, '-');
}

/// Bit i is set if byte i of the comparison result is.
[[nodiscard]] inline std::uint32_t mask16(Bytes16 result) noexcept
{
#if defined(CODEX_POOL_SCAN_SSE2)
    return static_cast<std::uint32_t>(_mm_movemask_epi8(reinterpret_cast<__m128i>(result)));
#elif defined(CODEX_POOL_SCAN_NEON)
    const Bytes16 weights{1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const auto bits = reinterpret_cast<uint8x16_t>(result & weights);
    return static_cast<std::uint32_t>(vaddv_u8(vget_low_u8(bits))) |
           static_cast<std::uint32_t>(vaddv_u8(vget_high_u8(bits))) << 8U;
#else
    std::uint32_t mask = 0;
    for (unsigned i = 0; i < 16; ++i)
        mask |= static_cast<std::uint32_t>(result[i] & 1U) << i;
    return mask;
#endif
}

/// 64 bytes and the questions the JSON scanner asks of them; bit i answers for byte i.
class Block64 {
public:
    explicit Block64(const char* p) noexcept
        : parts_{load16(p), load16(p + 16), load16(p + 32), load16(p + 48)}
    {}

    [[nodiscard]] std::uint64_t equal(char c) const noexcept
    {
        return mask64(
            equal16(parts_[0], c),
            equal16(parts_[1], c),
            equal16(parts_[2], c),
            equal16(parts_[3], c));
    }

    /// Either of two bytes that differ only in bit 0x20; `c` is the one that has it: '{' finds '[' too.
    [[nodiscard]] std::uint64_t equal_folded(char c) const noexcept
    {
        const Bytes16 bit = all16(0x20);
        return mask64(
            equal16(parts_[0] | bit, c),
            equal16(parts_[1] | bit, c),
            equal16(parts_[2] | bit, c),
            equal16(parts_[3] | bit, c));
    }

    [[nodiscard]] std::uint64_t either(char a, char b) const noexcept
    {
        return mask64(
            equal16(parts_[0], a) | equal16(parts_[0], b),
            equal16(parts_[1], a) | equal16(parts_[1], b),
            equal16(parts_[2], a) | equal16(parts_[2], b),
            equal16(parts_[3], a) | equal16(parts_[3], b));
    }

private:
    [[nodiscard]] static std::uint64_t mask64(Bytes16 a, Bytes16 b, Bytes16 c, Bytes16 d) noexcept
    {
#if defined(CODEX_POOL_SCAN_NEON)
        const Bytes16 weights{1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
        const auto bits = [&](Bytes16 v) { return reinterpret_cast<uint8x16_t>(v & weights); };
        const uint8x16_t low = vpaddq_u8(bits(a), bits(b));
        const uint8x16_t high = vpaddq_u8(bits(c), bits(d));
        const uint8x16_t sums = vpaddq_u8(low, high);
        return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)), 0);
#else
        return std::uint64_t{mask16(a)} | std::uint64_t{mask16(b)} << 16U |
               std::uint64_t{mask16(c)} << 32U | std::uint64_t{mask16(d)} << 48U;
#endif
    }

    Bytes16 parts_[4];
};

/// First `a` or `b` in [p, end), or end.
[[nodiscard]] inline const char*
find_either(const char* p, const char* end, char a, char b) noexcept
{
    // One short step first: most strings and lines of our inputs end within it.
    if (end - p >= 16) {
        const Bytes16 first = load16(p);
        const std::uint32_t mask = mask16(equal16(first, a) | equal16(first, b));
        if (mask != 0) return p + std::countr_zero(mask);
        p += 16;
    }
    for (; end - p >= 64; p += 64) {
        const std::uint64_t mask = Block64(p).either(a, b);
        if (mask != 0) return p + std::countr_zero(mask);
    }
    for (; end - p >= 16; p += 16) {
        const Bytes16 next = load16(p);
        const std::uint32_t mask = mask16(equal16(next, a) | equal16(next, b));
        if (mask != 0) return p + std::countr_zero(mask);
    }
    while (p < end && *p != a && *p != b)
        ++p;
    return p;
}

/// First "\r\n\r\n" in [p, end), or end.
[[nodiscard]] inline const char* find_blank_line(const char* p, const char* end) noexcept
{
    const auto here = [](const char* at) {
        return at[0] == '\r' && at[1] == '\n' && at[2] == '\r' && at[3] == '\n';
    };
    for (; end - p >= 19; p += 16) {
        // Two CRs so near to each other are hardly anything else.
        std::uint32_t mask = mask16(equal16(load16(p), '\r') & equal16(load16(p + 2), '\r'));
        for (; mask != 0; mask &= mask - 1) {
            const char* const at = p + std::countr_zero(mask);
            if (here(at)) return at;
        }
    }
    for (; end - p >= 4; ++p)
        if (here(p)) return p;
    return end;
}

/// First control character (0x00 to 0x1F, 0x7F) in [p, end), or end.
[[nodiscard]] inline const char* find_control(const char* p, const char* end) noexcept
{
    for (; end - p >= 16; p += 16) {
        const std::uint32_t mask = mask16(control16(load16(p)));
        if (mask != 0) return p + std::countr_zero(mask);
    }
    while (p < end && static_cast<unsigned char>(*p) >= 0x20 && *p != 0x7F)
        ++p;
    return p;
}

} // namespace shared::http::scan
