/// Remembers for each header name what a rule said about it. The names that clients and vendors send are few
/// and always the same, and asking a dozen rules about each field of each message costs more than anything else
/// done to a head.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace worker {

/// The rule must depend on nothing but the name. Bounded: a name that finds its places taken is asked about
/// each time.
class HeaderMemo {
public:
    static constexpr std::size_t kNameBytesMax = 39;
    static constexpr std::size_t kPlaces = 256;

    template <class Rule>
    [[nodiscard]] bool ask(std::string_view name, Rule&& rule)
    {
        if (name.empty() || name.size() > kNameBytesMax) return rule(name);
        std::size_t at = hash(name);
        for (int i = 0; i < 2; ++i, at ^= 1U) {
            Entry& entry = entries_[at];
            if (entry.size == name.size() &&
                std::memcmp(entry.name.data(), name.data(), name.size()) == 0)
                return entry.answer;
            if (entry.size != 0) continue;
            entry.answer = rule(name);
            std::memcpy(entry.name.data(), name.data(), name.size());
            entry.size = static_cast<std::uint8_t>(name.size());
            return entry.answer;
        }
        return rule(name);
    }

private:
    struct Entry {
        std::array<char, kNameBytesMax> name{};
        std::uint8_t size = 0; ///< 0 = free
        bool answer = false;
    };

    [[nodiscard]] static std::size_t hash(std::string_view name) noexcept
    {
        std::uint64_t first = 0;
        std::uint64_t last = 0;
        const std::size_t take = name.size() < sizeof first ? name.size() : sizeof first;
        std::memcpy(&first, name.data(), take);
        std::memcpy(&last, name.data() + name.size() - take, take);
        const std::uint64_t mixed = (first ^ (last << 1U) ^ name.size()) * 0x9E3779B97F4A7C15U;
        return mixed >> 56U;
    }

    std::array<Entry, kPlaces> entries_{};
};

} // namespace worker
