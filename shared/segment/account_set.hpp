/// A set of accounts, as bits: fixed size, so that it may live in the segment.
#pragma once

#include "shared/base/units.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace shared {

struct AccountSet {
    static constexpr std::size_t kAccounts =
        256; ///< as many as the segment holds; others are never members
    static constexpr std::size_t kBits = 64;

    std::array<std::uint64_t, kAccounts / kBits> words{};

    constexpr void add(AccountSlot account) noexcept
    {
        if (account.value < kAccounts) words[account.value / kBits] |= bit(account);
    }

    constexpr void remove(AccountSlot account) noexcept
    {
        if (account.value < kAccounts) words[account.value / kBits] &= ~bit(account);
    }

    [[nodiscard]] constexpr bool contains(AccountSlot account) const noexcept
    {
        return account.value < kAccounts && (words[account.value / kBits] & bit(account)) != 0;
    }

    [[nodiscard]] constexpr bool empty() const noexcept { return words == decltype(words){}; }

    friend constexpr bool operator==(const AccountSet&, const AccountSet&) = default;

private:
    [[nodiscard]] static constexpr std::uint64_t bit(AccountSlot account) noexcept
    {
        return std::uint64_t{1} << (account.value % kBits);
    }
};

} // namespace shared
