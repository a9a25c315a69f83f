/// What an answer teaches about its account: the one place where evidence becomes state.
#pragma once

#include "shared/providers/provider.hpp"
#include "shared/segment/account_table.hpp"

namespace worker {

/// Records quota windows and credits. Absent is not zero; older never overwrites newer.
void learn_quota(
    shared::AccountRouting& routing,
    const shared::QuotaUpdate& update,
    shared::EvidenceSource source,
    shared::UnixMillis now) noexcept;

/// Records what a verdict means: a cool-down until the reset it names (at most eight days ahead) or a growing
/// back-off; a rejection; a penalty for a transient failure, which never excludes an account; or success.
void learn_verdict(
    shared::AccountRouting& routing,
    const shared::Verdict& verdict,
    shared::UnixMillis now) noexcept;

/// A network fault is not an account's fault: it only costs a little score.
void learn_network_fault(shared::AccountRouting& routing, shared::UnixMillis now) noexcept;

} // namespace worker
