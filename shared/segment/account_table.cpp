#include "shared/segment/account_table.hpp"

#include "shared/segment/worker_slots.hpp"

#include <algorithm>
#include <cmath>

namespace shared {
namespace {

constexpr std::int64_t kPenaltyHalfLifeMs = 5 * 60 * 1000;
constexpr std::uint32_t kPenaltyMaxMilli = 5000;
/// Evidence from further in the future than this was seen with another clock.
constexpr std::chrono::milliseconds kClockJump = std::chrono::minutes(10);
/// Clocks differ.
constexpr std::chrono::milliseconds kResetSlack = std::chrono::minutes(10);

/// Which of the two windows a length belongs to; nullptr if neither.
WindowRecord* window_of_length(AccountRouting& routing, std::uint32_t seconds) noexcept
{
    constexpr std::uint32_t kHour = 3600;
    constexpr std::uint32_t kDay = 24 * kHour;
    if (seconds >= 4 * kHour && seconds <= 6 * kHour) return &routing.short_window;
    if (seconds >= 6 * kDay && seconds <= 8 * kDay) return &routing.long_window;
    return nullptr;
}

} // namespace

std::uint32_t in_flight(const Segment& segment, AccountSlot account) noexcept
{
    std::uint32_t sum = 0;
    for (const WorkerSlot& worker : used_slots(segment)) {
        if (worker.state.load(std::memory_order_relaxed) == SlotState::free) continue;
        sum += worker.in_flight[account.value].load(std::memory_order_relaxed);
    }
    return sum;
}

std::vector<AccountSnapshot> snapshot_accounts(Segment& segment)
{
    std::vector<AccountSnapshot> all;
    const std::uint32_t used = segment.account_slots.load(std::memory_order_acquire);
    for (std::uint16_t i = 0; i < used && i < kMaxAccounts; ++i) {
        AccountSnapshot snapshot;
        snapshot.slot = {i};
        segment.accounts[i].with_lock([&](AccountRecord& record) {
            snapshot.identity = record.identity;
            snapshot.routing = record.routing;
        });
        if (snapshot.routing.state == AccountState::empty) continue;
        snapshot.in_flight = in_flight(segment, snapshot.slot);
        all.push_back(snapshot);
    }
    return all;
}

std::optional<AccountSlot> find_account(Segment& segment, std::string_view id)
{
    const std::uint32_t used = segment.account_slots.load(std::memory_order_acquire);
    for (std::uint16_t i = 0; i < used && i < kMaxAccounts; ++i) {
        const bool found = segment.accounts[i].with_lock([&](AccountRecord& record) {
            return record.routing.state != AccountState::empty && record.identity.id == id;
        });
        if (found) return AccountSlot{i};
    }
    return std::nullopt;
}

void write_identity(AccountRecord& record, const AccountIdentity& identity) noexcept
{
    record.shadow = record.identity;
    std::atomic_ref(record.identity_writing).store(1, std::memory_order_release);
    record.identity = identity;
    std::atomic_ref(record.identity_writing).store(0, std::memory_order_release);
}

bool store_token(Segment& segment, AccountSlot account, std::string_view token)
{
    if (token.size() > kTokenBytesMax) return false;
    segment.tokens[account.value].with_lock([&](TokenRecord& record) {
        const auto idle = static_cast<std::uint8_t>(record.active == 0 ? 1 : 0);
        TokenRecord::Half& half = record.halves[idle];
        std::copy(token.begin(), token.end(), half.bytes.begin());
        half.size = static_cast<std::uint16_t>(token.size());
        // A plain store could be moved before the copy by the compiler.
        std::atomic_ref(record.active).store(idle, std::memory_order_release);
    });
    segment.token_version[account.value].fetch_add(1, std::memory_order_release);
    return true;
}

std::string load_token(Segment& segment, AccountSlot account)
{
    FixedString<kTokenBytesMax> copy; // under the lock nothing may allocate
    segment.tokens[account.value].with_lock([&](TokenRecord& record) {
        const TokenRecord::Half& half = record.halves[record.active & 1U];
        copy.assign({half.bytes.data(), std::min<std::size_t>(half.size, kTokenBytesMax)});
    });
    return std::string(copy.view());
}

void record_window(
    AccountRouting& routing,
    std::uint32_t seconds,
    UsedShare used,
    UnixMillis resets_at,
    EvidenceSource source,
    UnixMillis seen_at) noexcept
{
    WindowRecord* window = window_of_length(routing, seconds);
    if (window == nullptr || !used.is_known()) return;
    // Older, unless the clock was set back: evidence is recorded within seconds of being seen.
    const auto age = window->seen_at.since(seen_at);
    if (age.count() > 0 && age < kClockJump) return;
    if (!used.is_full()) {
        window->full_since = {};
    } else if (!used_now(*window, seen_at).is_full() || !window->full_since.is_set()) {
        window->full_since = seen_at;
    }
    // A window cannot end later than it is long: such a hint is none. (One that lies in the past stays: it says that
    // the numbers are of a window that is over.)
    const auto longest = std::chrono::seconds(seconds + seconds / 5) + kResetSlack;
    if (resets_at.since(seen_at) > longest) resets_at = {};
    window->seconds = seconds;
    window->used = used;
    window->source = source;
    window->seen_at = seen_at;
    if (resets_at.is_set()) {
        window->resets_at = resets_at;
    } else if (window->resets_at <= seen_at) {
        window->resets_at = {}; // the old reset has passed and the new one is not known
    }
}

UsedShare used_now(const WindowRecord& window, UnixMillis now) noexcept
{
    if (window.seconds == 0) return {};
    if (window.resets_at.is_set() && window.resets_at <= now) return {};
    // Without a reset time the evidence cannot outlive the window it speaks of.
    const bool too_old = now.since(window.seen_at) > std::chrono::seconds(window.seconds);
    if (!window.resets_at.is_set() && too_old) return {};
    return window.used;
}

std::uint32_t penalty_now(const AccountRouting& routing, UnixMillis now) noexcept
{
    if (routing.penalty_milli == 0) return 0;
    const double elapsed =
        static_cast<double>(std::max<std::int64_t>(0, now.value - routing.penalty_at.value));
    const double left =
        routing.penalty_milli * std::exp2(-elapsed / static_cast<double>(kPenaltyHalfLifeMs));
    return left < 1.0 ? 0 : static_cast<std::uint32_t>(left);
}

void add_penalty(AccountRouting& routing, std::uint32_t milli, UnixMillis now) noexcept
{
    routing.penalty_milli = std::min(penalty_now(routing, now) + milli, kPenaltyMaxMilli);
    routing.penalty_at = now;
}

std::string_view to_string(RequestOutcome outcome) noexcept
{
    switch (outcome) {
    case RequestOutcome::running:
        return "running";
    case RequestOutcome::completed:
        return "completed";
    case RequestOutcome::client_gone:
        return "client_gone";
    case RequestOutcome::upstream_cut:
        return "upstream_cut";
    case RequestOutcome::refused:
        return "refused";
    case RequestOutcome::worker_killed:
        return "worker_killed";
    }
    return "unknown";
}

UnixMillis available_at(const AccountRouting& routing, UnixMillis now) noexcept
{
    if (routing.state != AccountState::ready) return {};
    UnixMillis at;
    if (routing.cooling_until > now) at = routing.cooling_until;
    const bool has_credits = routing.has_credits == 1 || routing.unlimited_credits == 1;
    if (has_credits) return at; // credits go on where the windows end
    for (const WindowRecord* window : {&routing.short_window, &routing.long_window}) {
        if (!used_now(*window, now).is_full()) continue;
        if (!window->resets_at.is_set()) return {};
        at = std::max(at, window->resets_at);
    }
    return at;
}

} // namespace shared
