/// What an owner wants an account's options to be: the text that goes with an account_action message, which has no
/// room for it. One wish at a time.
///
///   writer       before its message   reader                       if a holder dies inside
///   -----------  -------------------  ---------------------------  --------------------------------------------
///   admin child  yes                  refresher, on the message    wish is cleared: the message then finds none
#pragma once

#include "shared/base/fixed_string.hpp"

#include <cstdint>

namespace shared {

struct OwnerWish {
    std::uint64_t request = 0; ///< of the message it belongs to; 0 = none
    std::uint16_t account = 0; ///< slot
    FixedString<2000> options; ///< JSON object as of a credential file's "codex_pool"; null removes

    void repair() noexcept { *this = {}; }
};

} // namespace shared
