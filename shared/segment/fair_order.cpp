#include "shared/segment/fair_order.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace shared {
namespace {

constexpr std::uint32_t kNoLimit = std::numeric_limits<std::uint32_t>::max();
/// Below this many (decayed) requests a user's own average says little.
constexpr double kRequestsKnownFrom = 0.5;
/// Of the average cost; from there on a user leaves last places to others.
constexpr double kHeavyFrom = 1.5;
/// Requests that a user may stand below the average of the others.
constexpr double kCreditRequests = 4;

double decay(MonotonicMillis since, MonotonicMillis now) noexcept
{
    if (now <= since) return 1;
    return std::exp2(
        -static_cast<double>((now - since).count()) / static_cast<double>(kCostHalfLife.count()));
}

bool is_alive(const Ticket& ticket, MonotonicMillis now) noexcept
{
    return ticket.sequence != 0 && ticket.user < kFairUsersMax &&
           now - ticket.seen_at <= kTicketForgottenAfter;
}

double tag(const FairLoad& load, std::uint16_t number, std::size_t in_front) noexcept
{
    const FairLoad::User& user = load.users[number];
    return std::max(0.0, user.stands_at(in_front) - load.about(user).stands_at);
}

using Users = std::span<FairLoad::User>;

/// Over those who are active.
void sum_up(Users users, FairLoad& load) noexcept
{
    load.providers = {};
    for (const FairLoad::User& user : users) {
        if (!user.active) continue;
        FairLoad::Sum& sum = load.providers[user.provider % FairLoad::kProviders];
        sum.weight += user.weight;
        sum.average += user.cost_with(0) * user.weight;
        sum.stands_at += user.stands_at(0) * user.weight;
    }
    for (FairLoad::Sum& sum : load.providers) {
        if (sum.weight <= 0) continue;
        sum.average /= sum.weight;
        sum.stands_at /= sum.weight;
    }
}

/// Nobody active stands further below the others than its credit; `load` is summed up.
void lift(Users users, const FairLoad& load) noexcept
{
    for (FairLoad::User& user : users) {
        const FairLoad::Sum& all = load.about(user);
        const double others_weight = all.weight - user.weight;
        if (!user.active || others_weight <= 0) continue;
        const double others =
            (all.stands_at * all.weight - user.stands_at(0) * user.weight) / others_weight;
        const double least = others - kCreditRequests * user.per_request / user.weight;
        user.lift = std::max(user.lift, (least - user.cost_with(0)) * user.weight);
    }
}

} // namespace

double cost_now(const FairUser& user, MonotonicMillis now) noexcept
{
    return user.cost * decay(user.cost_at, now);
}

void add_cost(FairUser& user, double tokens, double requests, MonotonicMillis now) noexcept
{
    const double left = decay(user.cost_at, now);
    user.cost = user.cost * left + tokens + requests * kRequestTokens;
    user.requests = user.requests * left + requests;
    user.lift = static_cast<float>(user.lift * left);
    user.cost_at = now;
    if (requests > 0) user.active_at = now;
}

void keep_lift(FairUser& user, const FairLoad::User& load, MonotonicMillis now) noexcept
{
    add_cost(user, 0, 0, now);
    user.lift = static_cast<float>(load.lift);
}

void load_users(const WaitQueue& queue, MonotonicMillis now, FairLoad& load) noexcept
{
    double all_cost = 0;
    double all_requests = 0;
    load.count = queue.known_users().size();
    for (std::size_t i = 0; i < load.count; ++i) {
        const FairUser& user = queue.users[i];
        FairLoad::User& out = load.users[i];
        if (!user.used) continue;
        const double left = decay(user.cost_at, now);
        const double requests = user.requests * left;
        out.cost = user.cost * left;
        out.lift = user.lift * left;
        out.per_request = requests >= kRequestsKnownFrom ? out.cost / requests : 0;
        out.weight = user.weight > 0 ? user.weight : 1;
        out.provider = user.provider;
        const bool lately = user.active_at.count() != 0 && now - user.active_at <= kActiveFor;
        out.active = out.active || lately || out.in_flight > 0;
        all_cost += out.cost;
        all_requests += requests;
    }
    // Whoever is new is taken for average.
    const double average =
        all_requests >= kRequestsKnownFrom ? all_cost / all_requests : kRequestTokens;
    const auto users = std::span(load.users).first(load.count);
    for (FairLoad::User& user : users)
        if (user.per_request <= 0) user.per_request = average;
    for (std::size_t i = 0; i < queue.tickets_used && i < kTicketsMax; ++i) {
        const Ticket& ticket = queue.tickets[i];
        if (is_alive(ticket, now)) load.users[ticket.user].active = true;
    }
    sum_up(users, load);
    lift(users, load);
    sum_up(users, load);
}

std::size_t order_of_service(
    const WaitQueue& queue, const FairLoad& load, MonotonicMillis now, Turns& out) noexcept
{
    std::size_t count = 0;
    for (std::size_t i = 0; i < queue.tickets_used && i < kTicketsMax; ++i) {
        const Ticket& ticket = queue.tickets[i];
        if (!is_alive(ticket, now)) continue;
        out[count++] = {0, ticket.sequence, static_cast<std::uint16_t>(i)};
    }
    const auto end = out.begin() + static_cast<std::ptrdiff_t>(count);
    // All tags are 0 still: by arrival.
    std::sort(out.begin(), end);
    std::array<std::uint16_t, kFairUsersMax> in_front{};
    for (auto turn = out.begin(); turn != end; ++turn) {
        const std::uint16_t user = queue.tickets[turn->ticket].user;
        turn->tag = tag(load, user, in_front[user]++);
    }
    std::sort(out.begin(), end);
    return count;
}

Turn newcomers_turn(
    const WaitQueue& queue, const FairLoad& load, MonotonicMillis now, std::uint16_t user) noexcept
{
    std::size_t in_front = 0;
    for (std::size_t i = 0; i < queue.tickets_used && i < kTicketsMax; ++i) {
        const Ticket& ticket = queue.tickets[i];
        if (is_alive(ticket, now) && ticket.user == user) ++in_front;
    }
    return {
        tag(load, user, in_front),
        std::numeric_limits<std::uint64_t>::max(),
        static_cast<std::uint16_t>(kTicketsMax)};
}

PlacesLeft::PlacesLeft(const FairLoad& load, std::span<const AccountPlace> places) noexcept
    : load_(load), places_(places.first(std::min(places.size(), AccountSet::kAccounts)))
{
    for (std::size_t i = 0; i < places_.size(); ++i) {
        const AccountPlace& place = places_[i];
        all_places_ += place.cap;
        free_[i] = place.cap == 0 ? kNoLimit : place.cap - std::min(place.cap, place.in_flight);
    }
}

bool PlacesLeft::over_share(std::uint16_t user) const noexcept
{
    const FairLoad::User& its = load_.users[user];
    const FairLoad::Sum& all = load_.about(its);
    const double weights = all.weight + (its.active ? 0 : its.weight);
    if (weights <= its.weight) return false; // nobody else is about
    if (its.cost_with(0) < kHeavyFrom * all.average) return false;
    const double share = std::max(1.0, std::floor(all_places_ * its.weight / weights));
    return static_cast<double>(its.in_flight + granted_[user]) >= share;
}

bool PlacesLeft::open(std::size_t index, std::uint16_t user) const noexcept
{
    if (free_[index] == 0) return false;
    if (free_[index] > 1 || places_[index].cap < 2) return true;
    return !over_share(user);
}

bool PlacesLeft::grant(const AccountSet& wants, std::uint16_t user) noexcept
{
    std::size_t best = places_.size();
    for (std::size_t i = 0; i < places_.size(); ++i) {
        if (!wants.contains(places_[i].account) || !open(i, user)) continue;
        if (best == places_.size() || free_[i] > free_[best]) best = i;
    }
    if (best == places_.size()) return false;
    if (free_[best] != kNoLimit) {
        --free_[best];
        ++granted_[user];
    }
    return true;
}

} // namespace shared
