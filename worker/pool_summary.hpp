/// The pool's own view of one provider's accounts, for the aggregated answers clients get.
#pragma once

#include "shared/providers/provider.hpp"
#include "shared/selection/score.hpp"

#include <span>

namespace worker {

/// Of the accounts of `provider` among `all` (every account). Windows are means weighted by the share
/// of each account's window that is still to run; an account that does not know its window does not count.
[[nodiscard]] shared::PoolSummary summarize_pool(
    std::span<const shared::Candidate> all, shared::ProviderId provider, shared::UnixMillis now);

} // namespace worker
