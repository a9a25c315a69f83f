/// What the fuzz targets share: a check that stops the fuzzer, and input cut into a head of choices and a body.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

/// Like assert(), in every build.
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);         \
            std::abort();                                                                          \
        }                                                                                          \
    } while (false)

namespace fuzz {

/// The bytes of one run. Choices are taken from the front, so that seeds stay readable: printable
/// choices ('0', '1' …) followed by the text under test.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size)
        : rest_(reinterpret_cast<const char*>(data), size)
    {}

    /// One byte off the front, 0 when there is none.
    [[nodiscard]] std::uint8_t choice()
    {
        if (rest_.empty()) return 0;
        const auto byte = static_cast<std::uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        return byte;
    }

    [[nodiscard]] std::string_view rest() const { return rest_; }

private:
    std::string_view rest_;
};

/// Calls f(piece) for `text` cut into pieces whose sizes come from `seed`; 0 = single bytes.
template <class F>
void in_pieces(std::string_view text, std::uint8_t seed, F&& f)
{
    std::uint32_t state = seed;
    while (!text.empty()) {
        state = state * 1664525U + 1013904223U; // Numerical Recipes: good enough to vary the sizes
        const std::size_t size = seed == 0 ? 1 : 1 + (state >> 24U) % (1U + seed);
        f(text.substr(0, size));
        text.remove_prefix(text.size() < size ? text.size() : size);
    }
}

} // namespace fuzz
