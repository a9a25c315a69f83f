#include "shared/http/json_skipper.hpp"

#include "shared/http/scan.hpp"

#include <bit>
#include <cstring>

namespace shared::http {
namespace {

constexpr std::uint32_t kBlock = 64;

/// std::popcount is a library call on baseline x86-64.
std::uint32_t count_bits(std::uint64_t x) noexcept
{
    x -= (x >> 1U) & 0x5555555555555555U;
    x = (x & 0x3333333333333333U) + ((x >> 2U) & 0x3333333333333333U);
    x = (x + (x >> 4U)) & 0x0F0F0F0F0F0F0F0FU;
    return static_cast<std::uint32_t>((x * 0x0101010101010101U) >> 56U);
}

/// Bit i of the result is the parity of bits 0 to i: from quotes to "inside a string".
std::uint64_t prefix_xor(std::uint64_t x) noexcept
{
    x ^= x << 1U;
    x ^= x << 2U;
    x ^= x << 4U;
    x ^= x << 8U;
    x ^= x << 16U;
    x ^= x << 32U;
    return x;
}

struct Escapes {
    std::uint64_t escaped;  ///< bytes that follow an escaping backslash
    std::uint64_t escaping; ///< backslashes that escape
};

/// Which backslashes of a run escape and which are escaped, without a loop. The carry of the subtraction
/// tells runs of odd length from even ones. Source: simdjson, json_escape_scanner.h (Apache-2.0), the idea.
Escapes find_escapes(std::uint64_t backslashes, bool first_is_escaped) noexcept
{
    constexpr std::uint64_t kOddBits = 0xAAAAAAAAAAAAAAAAU;
    const std::uint64_t carry = first_is_escaped ? 1U : 0U;
    if (backslashes == 0) return {carry, 0};
    const std::uint64_t starts = backslashes & ~carry;
    const std::uint64_t codes = (((starts << 1U) | kOddBits) - starts) ^ kOddBits;
    return {codes ^ (backslashes | carry), codes & backslashes};
}

} // namespace

void JsonSkipper::start(std::uint32_t levels) noexcept
{
    open_ = 1;
    levels_ = levels;
    in_string_ = false;
    escaped_ = false;
}

JsonSkipper::Outcome JsonSkipper::skip(const char*& p, const char* end) noexcept
{
    while (p < end) {
        // Inside a long string nothing but its end and escapes matters.
        if (in_string_ && !escaped_) {
            p = scan::find_either(p, end, '"', '\\');
            if (p == end) break;
        }
        Outcome outcome = Outcome::inside;
        if (end - p >= kBlock) {
            outcome = block(p, kBlock, p);
        } else {
            char padded[kBlock];
            const auto size = static_cast<std::uint32_t>(end - p);
            std::memset(padded, ' ', sizeof padded);
            std::memcpy(padded, p, size);
            outcome = block(p, size, padded);
        }
        if (outcome != Outcome::inside) return outcome;
    }
    return Outcome::inside;
}

/// `bytes` are 64 bytes of which the first `size` are those at `p`, the others spaces.
JsonSkipper::Outcome
JsonSkipper::block(const char*& p, std::uint32_t size, const char* bytes) noexcept
{
    const scan::Block64 block(bytes);
    const Escapes escapes = find_escapes(block.equal('\\'), escaped_);
    const std::uint64_t quotes = block.equal('"') & ~escapes.escaped;
    const std::uint64_t strings = prefix_xor(quotes) ^ (in_string_ ? ~std::uint64_t{0} : 0U);
    escaped_ = ((escapes.escaping >> (size - 1)) & 1U) != 0;
    in_string_ = ((strings >> (size - 1)) & 1U) != 0;

    const std::uint64_t opening = block.equal_folded('{') & ~strings;
    const std::uint64_t closing = block.equal_folded('}') & ~strings;
    std::uint64_t brackets = opening | closing;
    if (brackets == 0) {
        p += size;
        return Outcome::inside;
    }
    const std::uint32_t opened = count_bits(opening);
    const std::uint32_t closed = count_bits(closing);
    if (closed < open_ && open_ + opened <= levels_) {
        open_ += opened - closed;
        p += size;
        return Outcome::inside;
    }
    // The end, or a level too many, may be in this block: one bracket after the other.
    for (; brackets != 0; brackets &= brackets - 1) {
        const auto at = static_cast<std::uint32_t>(std::countr_zero(brackets));
        if (((opening >> at) & 1U) != 0) {
            if (++open_ > levels_) return Outcome::too_deep;
        } else if (--open_ == 0) {
            p += at + 1;
            return Outcome::end;
        }
    }
    p += size;
    return Outcome::inside;
}

} // namespace shared::http
