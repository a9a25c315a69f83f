/// What a user is told who has reached a limit.
#pragma once

#include "shared/segment/user_table.hpp"

#include <string>

namespace worker {

/// One sentence: the limit and what is used of it. No quotes, no control characters. When it ends is told by the
/// client's dialect (PoolError::retry_at).
[[nodiscard]] std::string limit_sentence(const shared::LimitHit& met);

/// When to ask again: the limit's end, or in a few seconds where one of the user's own requests has to end first.
/// Unset = only the owner can lift it.
[[nodiscard]] shared::UnixMillis
ask_again_at(const shared::LimitHit& met, shared::UnixMillis now) noexcept;

} // namespace worker
