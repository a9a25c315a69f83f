/// What a user is told who has reached a limit.
#pragma once

#include "shared/segment/user_table.hpp"

#include <string>

namespace worker {

/// One sentence: the limit, what is used of it, when it ends. No quotes, no control characters.
[[nodiscard]] std::string limit_sentence(const shared::LimitHit& met);

} // namespace worker
