/// What the pool itself writes into a credential file that it was given: the object "codex_pool"; all else stays.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/secret.hpp"

#include <string_view>

namespace shared {

/// `text` with the "codex_pool" that `before`, the file it takes the place of, has; its own one counts where it has
/// one. Both are credential files that were read without a problem.
[[nodiscard]] Secret with_options_of(std::string_view text, std::string_view before);

/// `text` with nothing in its "codex_pool" but the pool user it belongs to: what else a contributor says is not taken.
[[nodiscard]] Secret with_owner(std::string_view text, std::string_view owner);

} // namespace shared
