/// Requests that wait for an account, over all workers, and what each user has cost lately: who goes next when
/// accounts are scarce (fair_order.hpp has the rules).
///
///   part           writers                       readers         guarded by    if the writer dies inside
///   -------------  ----------------------------  --------------  ------------  ----------------------------------
///   WaitQueue      workers; supervisor (drops a  workers, admin  queue.mutex   half-written tickets and users are
///                  dead worker's tickets)                                      free ones; the rest stands
///   FairRow[s]     worker in slot s; supervisor  workers         atomics       supervisor zeroes what was running
///   waiting        whoever changed the queue     workers, admin  atomic        set anew by the next who does
///
/// A ticket is the waiting request's: its worker shows every second that it still wants it (`seen_at`), so that those
/// of a dead or stopped process hold nobody up. Nothing here wakes anybody: workers with tickets look again by
/// themselves.
///
/// Time is the monotonic clock, in milliseconds: comparable between processes and blind to clock jumps.
#pragma once

#include "shared/base/fixed_string.hpp"
#include "shared/segment/account_set.hpp"
#include "shared/segment/robust_mutex.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace shared {

struct Segment;
class RunningRequest;

using MonotonicMillis = std::chrono::milliseconds;

inline constexpr std::size_t kTicketsMax = 1024; ///< requests waiting at a time, over all workers
inline constexpr std::size_t kTicketsPerUserMax = 256; ///< of them, of one user
inline constexpr std::size_t kFairUsersMax =
    256; ///< (user, provider) pairs remembered; the cheapest gives way
inline constexpr std::size_t kFairRows = 256; ///< worker slots
/// A ticket whose worker has not looked for so long holds nobody up.
inline constexpr std::chrono::milliseconds kTicketForgottenAfter = std::chrono::seconds(3);
/// Recent cost halves in this time.
inline constexpr std::chrono::milliseconds kCostHalfLife = std::chrono::minutes(5);
/// Every request counts for these tokens on top of its own.
inline constexpr double kRequestTokens = 1000;

/// One user's use of one provider. Number 0 is for whoever finds no place in the table.
struct FairUser {
    FixedString<40> name;
    double cost = 0;     ///< tokens and requests, as of `cost_at`
    double requests = 0; ///< halves like cost: what one of this user's requests costs
    MonotonicMillis cost_at{0};
    MonotonicMillis active_at{0}; ///< last took a place or ended a request
    double weight = 0;            ///< share of the pool compared with other users'; 1 until set
    std::uint8_t provider = 0;
    bool used = false; ///< written last
    /// Added to `cost` where turns are compared: what it was behind the others when it came. Halves like cost.
    float lift = 0;
};

struct Ticket {
    std::uint64_t sequence = 0; ///< order of arrival; 0 = free; written last
    AccountSet wants;           ///< accounts that would do
    MonotonicMillis seen_at{0};
    std::uint16_t slot = 0; ///< the waiting request's worker
    std::uint16_t user = 0;
};

struct WaitQueue {
    std::array<Ticket, kTicketsMax> tickets{};
    std::array<FairUser, kFairUsersMax> users{};
    std::uint64_t last_sequence = 0;
    std::uint32_t tickets_used = 0; ///< those not free stand in [0, this)
    std::uint32_t users_used = 0;   ///< the same of users; never less again

    /// Tickets and users are written so that a half-written one is free: only the bounds may be wrong.
    void repair() noexcept
    {
        tickets_used = kTicketsMax;
        users_used = kFairUsersMax;
    }

    [[nodiscard]] std::span<const FairUser> known_users() const noexcept
    {
        return std::span(users).first(std::min<std::size_t>(users_used, users.size()));
    }
};

/// What one worker has running and spent per user; index as in WaitQueue::users.
struct FairRow {
    std::array<std::atomic<std::uint16_t>, kFairUsersMax> in_flight{};
    /// Ended since the last fold_costs(); evaluated with it, so nothing is late.
    std::array<std::atomic<std::uint64_t>, kFairUsersMax> tokens{};
    std::array<std::atomic<std::uint32_t>, kFairUsersMax> requests{};
};

struct FairQueue {
    std::atomic<std::uint32_t> waiting{0}; ///< tickets; may be stale for an instant
    /// Changes when a user's number goes to another.
    std::array<std::atomic<std::uint32_t>, kFairUsersMax> user_version{};
    std::array<FairRow, kFairRows> rows{};
    Guarded<WaitQueue> queue;
};

/// A user's number, as long as `version` is that of FairQueue::user_version.
struct FairUserRef {
    std::uint16_t index = 0;
    std::uint32_t version = 0;
};

/// What one account offers: only accounts that could serve now, but for `cap`.
struct AccountPlace {
    AccountSlot account;
    std::uint32_t cap = 0;       ///< requests at a time; 0 = no limit
    std::uint32_t in_flight = 0; ///< over all workers
};

/// A request that wants a place.
struct Ask {
    std::uint16_t user = 0;
    std::uint16_t slot = 0; ///< its worker
    AccountSet wants;
    std::optional<std::uint16_t> ticket; ///< while it waits
};

/// The number of this user with this provider; makes one, in place of the one that cost least if all are taken.
[[nodiscard]] FairUserRef
fair_user(Segment& segment, std::string_view name, std::uint8_t provider, MonotonicMillis now);

/// Whether the number is still that user's.
[[nodiscard]] bool is_current(const Segment& segment, FairUserRef user) noexcept;

/// Those of `places` that this request must leave to requests before it, or to other users (see fair_order.hpp).
[[nodiscard]] AccountSet closed_places(
    Segment& segment, const Ask& ask, std::span<const AccountPlace> places, MonotonicMillis now);

/// Counts `running` on `account`, one of `places`, and gives the ticket back; false if the place is gone or somebody
/// else's by now. The count is in this worker's own row: it dies with it.
[[nodiscard]] bool take_place(
    Segment& segment,
    Ask& ask,
    AccountSlot account,
    std::span<const AccountPlace> places,
    RunningRequest& running,
    MonotonicMillis now);

/// Takes a ticket, or renews the wants of the one there is; false if the queue, or the user's part of it, is full.
[[nodiscard]] bool join_queue(Segment& segment, Ask& ask, MonotonicMillis now);

/// Gives the ticket back, if there is one.
void leave_queue(Segment& segment, Ask& ask) noexcept;

/// Tickets of this worker whose turn it is with these places, in their order; how many. Shows that the worker lives.
[[nodiscard]] std::size_t due_tickets(
    Segment& segment,
    std::uint16_t slot,
    std::span<const AccountPlace> places,
    MonotonicMillis now,
    std::span<std::uint16_t> out);

/// Adds what ended requests cost to their users. Worker, from its tick.
void fold_costs(Segment& segment, std::uint16_t slot, MonotonicMillis now);

/// Forgets what a dead worker had waiting and running; what its requests cost stays. Supervisor only.
void clear_fair_row(Segment& segment, std::uint16_t slot);

/// Requests waiting now, over all workers.
[[nodiscard]] std::uint32_t waiting_requests(const Segment& segment) noexcept;

} // namespace shared
