/// What an answer teaches about its account: the one place where evidence becomes state. Workers learn from traffic,
/// the refresher from its polls and tests.
#pragma once

#include "shared/providers/provider.hpp"
#include "shared/segment/account_table.hpp"

namespace shared {

/// Records quota windows and credits, and what they teach about pace and tokens (`tokens_spent` is the account's of
/// Segment). Absent is not zero; older never overwrites newer.
void learn_quota(
    AccountRecord& record,
    const QuotaUpdate& update,
    EvidenceSource source,
    std::uint64_t tokens_spent,
    UnixMillis now) noexcept;

/// The same under the account's lock; nothing happens for an empty update.
void learn_quota(
    Segment& segment,
    AccountSlot account,
    const QuotaUpdate& update,
    EvidenceSource source,
    UnixMillis now);

/// What a poll found. If it says that every window has room, a used-up verdict from before is over. (Answers to traffic
/// cannot say that: those on their way when a limit is hit still tell of room.)
void learn_poll(Segment& segment, AccountSlot account, const QuotaUpdate& update, UnixMillis now);

/// Owner's `clear`: forgets cool-down, refusal, penalty and what windows were last said to be. A dead login stays one.
void forget_evidence(AccountRecord& record, UnixMillis now) noexcept;

/// Records what a verdict means: a cool-down until the reset it names (at most eight days ahead) or a growing
/// back-off; a rejection; a penalty for a transient failure, which never excludes an account; or success.
void learn_verdict(AccountRouting& routing, const Verdict& verdict, UnixMillis now) noexcept;

/// A network fault is not an account's fault: it only costs a little score.
void learn_network_fault(AccountRouting& routing, UnixMillis now) noexcept;

} // namespace shared
