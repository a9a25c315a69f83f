/// Ids of requests: 16 hexadecimal digits, unlike those of other workers and earlier runs, cheap to make.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string_view>

namespace worker {

using RequestId = std::array<char, 16>;

[[nodiscard]] inline std::string_view view(const RequestId& id) noexcept
{
    return {id.data(), id.size()};
}

/// Counts from a random start and scrambles (SplitMix64): no two are equal within 2^64. Not secret, not unguessable.
class RequestIds {
public:
    RequestIds()
    {
        std::random_device device;
        state_ = (std::uint64_t{device()} << 32U) | device();
    }

    [[nodiscard]] RequestId next() noexcept
    {
        state_ += 0x9E3779B97F4A7C15U;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9U;
        mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBU;
        mixed ^= mixed >> 31U;
        RequestId id{};
        for (char& digit : id) {
            digit = "0123456789abcdef"[mixed & 15U];
            mixed >>= 4U;
        }
        return id;
    }

private:
    std::uint64_t state_ = 0;
};

} // namespace worker
