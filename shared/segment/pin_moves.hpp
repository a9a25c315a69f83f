/// Conversations that changed their account, per account.
///
///   part          writers         readers  guarded by  if the writer dies inside
///   ------------  --------------  -------  ----------  -----------------------------------
///   PinMoves      workers         admin    atomics     one side may count one more than the other
#pragma once

#include "shared/base/units.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace shared {

struct PinMoves {
    static constexpr std::size_t kAccounts = 256;

    /// Since the segment was made; they only go up.
    std::array<std::atomic<std::uint64_t>, kAccounts> away{}; ///< left this account
    std::array<std::atomic<std::uint64_t>, kAccounts> here{}; ///< came to it

    void count(AccountSlot from, AccountSlot to) noexcept
    {
        if (from.value < kAccounts) away[from.value].fetch_add(1, std::memory_order_relaxed);
        if (to.value < kAccounts) here[to.value].fetch_add(1, std::memory_order_relaxed);
    }
};

} // namespace shared
