#include "shared/segment/wait_queue.hpp"

#include "shared/segment/account_table.hpp"
#include "shared/segment/fair_order.hpp"
#include "shared/segment/worker_slots.hpp"

#include <algorithm>

namespace shared {
namespace {

static_assert(kFairRows == kMaxSlots && AccountSet::kAccounts == kMaxAccounts);
static_assert(ShmRecord<WaitQueue>);

/// Takes over what requests of one worker cost since the last time. Killed in between it loses a little cost.
void fold_row(FairRow& row, WaitQueue& queue, MonotonicMillis now) noexcept
{
    for (std::size_t u = 0; u < queue.known_users().size(); ++u) {
        if (row.requests[u].load(std::memory_order_relaxed) == 0) continue;
        const std::uint32_t requests = row.requests[u].exchange(0, std::memory_order_relaxed);
        const std::uint64_t tokens = row.tokens[u].exchange(0, std::memory_order_relaxed);
        if (!queue.users[u].used) continue;
        add_cost(queue.users[u], static_cast<double>(tokens), requests, now);
    }
}

/// Under the lock: everything evaluated at `now`.
void load_all(Segment& segment, WaitQueue& queue, MonotonicMillis now, FairLoad& load) noexcept
{
    const std::size_t users = queue.known_users().size();
    const std::span<const WorkerSlot> workers = used_slots(segment);
    for (std::size_t s = 0; s < workers.size(); ++s) {
        if (workers[s].state.load(std::memory_order_relaxed) == SlotState::free) continue;
        FairRow& row = segment.fair.rows[s];
        fold_row(row, queue, now);
        for (std::size_t u = 0; u < users; ++u)
            load.users[u].in_flight += row.in_flight[u].load(std::memory_order_relaxed);
    }
    load_users(queue, now, load);
}

void free_ticket(WaitQueue& queue, std::size_t index) noexcept
{
    std::atomic_ref(queue.tickets[index].sequence).store(0, std::memory_order_release);
    while (queue.tickets_used > 0 && queue.tickets[queue.tickets_used - 1].sequence == 0)
        --queue.tickets_used;
}

void count_tickets(Segment& segment, const WaitQueue& queue) noexcept
{
    std::uint32_t count = 0;
    for (std::size_t i = 0; i < queue.tickets_used; ++i)
        count += queue.tickets[i].sequence != 0 ? 1 : 0;
    segment.fair.waiting.store(count, std::memory_order_relaxed);
}

/// Gives places to everybody before this request; what is open to it then is what is left.
PlacesLeft left_for(
    const WaitQueue& queue,
    const FairLoad& load,
    const Ask& ask,
    std::span<const AccountPlace> places,
    MonotonicMillis now) noexcept
{
    PlacesLeft left(load, places);
    if (queue.tickets_used == 0) return left;
    Turns turns;
    const std::size_t count = order_of_service(queue, load, now, turns);
    Turn own = newcomers_turn(queue, load, now, ask.user);
    for (std::size_t i = 0; ask.ticket && i < count; ++i)
        if (turns[i].ticket == *ask.ticket) own = turns[i];
    for (std::size_t i = 0; i < count && turns[i] < own; ++i) {
        const Ticket& ticket = queue.tickets[turns[i].ticket];
        left.grant(ticket.wants, ticket.user);
    }
    return left;
}

void make_user(
    FairUser& user, std::string_view name, std::uint8_t provider, MonotonicMillis now) noexcept
{
    std::atomic_ref(user.used).store(false, std::memory_order_release);
    user.name.assign(name);
    user.provider = provider;
    user.cost = 0;
    user.requests = 0;
    user.lift = 0;
    user.cost_at = now;
    user.active_at = MonotonicMillis(0);
    user.weight = 1;
    std::atomic_ref(user.used).store(true, std::memory_order_release);
}

/// Who gives way to a new user: nobody who runs, waits or was here a minute ago. 0 = nobody.
std::size_t cheapest_user(Segment& segment, WaitQueue& queue, MonotonicMillis now) noexcept
{
    FairLoad load;
    load_all(segment, queue, now, load);
    std::size_t place = 0;
    for (std::size_t u = 1; u < load.count; ++u) {
        const FairLoad::User& user = load.users[u];
        if (user.active) continue;
        if (place == 0 || user.cost < load.users[place].cost) place = u;
    }
    return place;
}

} // namespace

FairUserRef
fair_user(Segment& segment, std::string_view name, std::uint8_t provider, MonotonicMillis now)
{
    const FixedString<40> wanted(name);
    return segment.fair.queue.with_lock([&](WaitQueue& queue) {
        const auto ref = [&segment](std::size_t index) {
            return FairUserRef{
                static_cast<std::uint16_t>(index),
                segment.fair.user_version[index].load(std::memory_order_relaxed)};
        };
        if (queue.users_used == 0) queue.users_used = 1; // number 0 is nobody's
        const std::size_t used = queue.known_users().size();
        for (std::size_t u = 1; u < used; ++u) {
            const FairUser& user = queue.users[u];
            if (user.used && user.provider == provider && user.name == wanted.view()) return ref(u);
        }
        const std::size_t place = used < kFairUsersMax ? used : cheapest_user(segment, queue, now);
        if (place == 0) {
            // More users at a time than are told apart: the rest shares one number.
            if (!queue.users[0].used) make_user(queue.users[0], {}, provider, now);
            return ref(0);
        }
        queue.users_used = std::max(queue.users_used, static_cast<std::uint32_t>(place + 1));
        segment.fair.user_version[place].fetch_add(1, std::memory_order_relaxed);
        make_user(queue.users[place], wanted.view(), provider, now);
        return ref(place);
    });
}

bool is_current(const Segment& segment, FairUserRef user) noexcept
{
    return segment.fair.user_version[user.index].load(std::memory_order_relaxed) == user.version;
}

AccountSet closed_places(
    Segment& segment, const Ask& ask, std::span<const AccountPlace> places, MonotonicMillis now)
{
    return segment.fair.queue.with_lock([&](WaitQueue& queue) {
        FairLoad load;
        load.users[ask.user].active = true;
        load_all(segment, queue, now, load);
        const PlacesLeft left = left_for(queue, load, ask, places, now);
        AccountSet closed;
        for (std::size_t i = 0; i < places.size(); ++i)
            if (!left.open(i, ask.user)) closed.add(places[i].account);
        return closed;
    });
}

bool take_place(
    Segment& segment,
    Ask& ask,
    AccountSlot account,
    std::span<const AccountPlace> places,
    RunningRequest& running,
    MonotonicMillis now)
{
    const bool taken = segment.fair.queue.with_lock([&](WaitQueue& queue) {
        FairLoad load;
        load.users[ask.user].active = true;
        load_all(segment, queue, now, load);
        // Exact for the account that is wanted; the others only tell where those before it may go.
        std::array<AccountPlace, kMaxAccounts> fresh{};
        const std::size_t count = std::min(places.size(), fresh.size());
        std::copy_n(places.begin(), count, fresh.begin());
        std::size_t wanted = count;
        for (std::size_t i = 0; i < count; ++i)
            if (fresh[i].account == account) wanted = i;
        if (wanted == count) return false;
        fresh[wanted].in_flight = in_flight(segment, account);
        const PlacesLeft left = left_for(queue, load, ask, std::span(fresh).first(count), now);
        if (!left.open(wanted, ask.user)) return false;
        running.assign(account);
        queue.users[ask.user].active_at = now;
        keep_lift(queue.users[ask.user], load.users[ask.user], now);
        if (ask.ticket) {
            free_ticket(queue, *ask.ticket);
            count_tickets(segment, queue);
        }
        return true;
    });
    if (taken) ask.ticket.reset();
    return taken;
}

bool join_queue(Segment& segment, Ask& ask, MonotonicMillis now)
{
    const std::size_t place = segment.fair.queue.with_lock([&](WaitQueue& queue) {
        const bool own = ask.ticket && queue.tickets[*ask.ticket].sequence != 0 &&
                         queue.tickets[*ask.ticket].slot == ask.slot;
        if (own) {
            Ticket& ticket = queue.tickets[*ask.ticket];
            ticket.wants = ask.wants;
            ticket.seen_at = now;
            return std::size_t{*ask.ticket};
        }
        std::size_t of_user = 0;
        std::size_t free = kTicketsMax;
        for (std::size_t i = 0; i < queue.tickets_used; ++i) {
            const Ticket& ticket = queue.tickets[i];
            if (ticket.sequence == 0 && free == kTicketsMax) free = i;
            if (ticket.sequence != 0 && ticket.user == ask.user) ++of_user;
        }
        if (free == kTicketsMax) free = queue.tickets_used;
        if (free == kTicketsMax || of_user >= kTicketsPerUserMax) return kTicketsMax;
        Ticket& ticket = queue.tickets[free];
        ticket.wants = ask.wants;
        ticket.seen_at = now;
        ticket.slot = ask.slot;
        ticket.user = ask.user;
        queue.tickets_used = std::max(queue.tickets_used, static_cast<std::uint32_t>(free + 1));
        std::atomic_ref(ticket.sequence).store(++queue.last_sequence, std::memory_order_release);
        count_tickets(segment, queue);
        return free;
    });
    if (place == kTicketsMax) return false;
    ask.ticket = static_cast<std::uint16_t>(place);
    return true;
}

void leave_queue(Segment& segment, Ask& ask) noexcept
{
    if (!ask.ticket) return;
    segment.fair.queue.with_lock([&](WaitQueue& queue) {
        free_ticket(queue, *ask.ticket);
        count_tickets(segment, queue);
    });
    ask.ticket.reset();
}

std::size_t due_tickets(
    Segment& segment,
    std::uint16_t slot,
    std::span<const AccountPlace> places,
    MonotonicMillis now,
    std::span<std::uint16_t> out)
{
    return segment.fair.queue.with_lock([&](WaitQueue& queue) {
        for (std::size_t i = 0; i < queue.tickets_used; ++i) {
            Ticket& ticket = queue.tickets[i];
            if (ticket.sequence != 0 && ticket.slot == slot) ticket.seen_at = now;
        }
        FairLoad load;
        load_all(segment, queue, now, load);
        PlacesLeft left(load, places);
        Turns turns;
        const std::size_t count = order_of_service(queue, load, now, turns);
        std::size_t due = 0;
        for (std::size_t i = 0; i < count && due < out.size(); ++i) {
            const Ticket& ticket = queue.tickets[turns[i].ticket];
            if (left.grant(ticket.wants, ticket.user) && ticket.slot == slot)
                out[due++] = turns[i].ticket;
        }
        return due;
    });
}

void fold_costs(Segment& segment, std::uint16_t slot, MonotonicMillis now)
{
    FairRow& row = segment.fair.rows[slot];
    const bool any = std::any_of(row.requests.begin(), row.requests.end(), [](const auto& count) {
        return count.load(std::memory_order_relaxed) != 0;
    });
    if (!any) return;
    segment.fair.queue.with_lock([&](WaitQueue& queue) { fold_row(row, queue, now); });
}

void clear_fair_row(Segment& segment, std::uint16_t slot)
{
    FairRow& row = segment.fair.rows[slot];
    segment.fair.queue.with_lock([&](WaitQueue& queue) {
        for (std::size_t i = queue.tickets_used; i > 0; --i) {
            const Ticket& ticket = queue.tickets[i - 1];
            if (ticket.sequence != 0 && ticket.slot == slot) free_ticket(queue, i - 1);
        }
        count_tickets(segment, queue);
    });
    for (auto& count : row.in_flight)
        count.store(0, std::memory_order_relaxed);
}

std::uint32_t waiting_requests(const Segment& segment) noexcept
{
    return segment.fair.waiting.load(std::memory_order_relaxed);
}

} // namespace shared
