/// Operations on the accounts of the segment, used by every role.
#pragma once

#include "shared/segment/account_state.hpp"
#include "shared/segment/layout.hpp"

#include <optional>
#include <string>
#include <vector>

namespace shared {

/// Sum over all workers of requests now running on an account.
[[nodiscard]] std::uint32_t in_flight(const Segment& segment, AccountSlot account) noexcept;

/// Copies of everything about one account, taken under its lock.
struct AccountSnapshot {
    AccountSlot slot;
    AccountIdentity identity;
    AccountRouting routing;
    std::uint32_t in_flight = 0;
};

/// All accounts that are not empty, removed ones included.
[[nodiscard]] std::vector<AccountSnapshot> snapshot_accounts(Segment& segment);

/// The slot of the account with this id, removed ones included.
[[nodiscard]] std::optional<AccountSlot> find_account(Segment& segment, std::string_view id);

/// Replaces an identity crash-safely (shadow first). Refresher only.
void write_identity(AccountRecord& record, const AccountIdentity& identity) noexcept;

/// Stores a token into the idle half and flips. Refresher only; at most kTokenBytesMax bytes. Returns false if longer.
[[nodiscard]] bool store_token(Segment& segment, AccountSlot account, std::string_view token);

/// Copies the current token.
[[nodiscard]] std::string load_token(Segment& segment, AccountSlot account);

/// One window's fresh evidence, as everyone records it: absent is not zero, older never overwrites newer.
/// `seconds` decides which window (4-6 h short, 6-8 d long; others are ignored).
void record_window(
    AccountRouting& routing,
    std::uint32_t seconds,
    UsedShare used,
    UnixMillis resets_at,
    EvidenceSource source,
    UnixMillis seen_at) noexcept;

/// The window as it counts now: one whose reset has passed is unknown again.
[[nodiscard]] UsedShare used_now(const WindowRecord& window, UnixMillis now) noexcept;

/// Penalty at `now`: halves every five minutes. In thousandths of score.
[[nodiscard]] std::uint32_t penalty_now(const AccountRouting& routing, UnixMillis now) noexcept;
void add_penalty(AccountRouting& routing, std::uint32_t milli, UnixMillis now) noexcept;

[[nodiscard]] std::string_view to_string(RequestOutcome outcome) noexcept;

/// When the account can serve again: unset if it can now, or if nobody knows.
[[nodiscard]] UnixMillis available_at(const AccountRouting& routing, UnixMillis now) noexcept;

} // namespace shared
