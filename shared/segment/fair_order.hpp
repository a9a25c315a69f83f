/// Who goes next when accounts are scarce. Pure: the queue and what users have running come in, an order comes out.
///
/// - Between users: whoever has cost no more lately than the average of those about, for its weight, comes first; of
///   these, who came first. Above the average, who is least above it. What runs and what waits in front of a request
///   counts as if it had ended already, at what the user's requests cost on average (as in start-time fair
///   queueing): so a flood only pushes itself back.
/// - Having cost little is no credit: whoever was away or asked seldom is taken to stand a few requests below the
///   average of the others at least, or a flood of theirs would have every place until it has caught up.
/// - Within a user: first come, first served.
/// - A user who has its share of the places running, and cost half as much again as the average, leaves the last
///   free place of an account to others while there are any (active in the last minute): whoever comes seldom need
///   not even wait for an end.
#pragma once

#include "shared/segment/wait_queue.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace shared {

inline constexpr std::chrono::milliseconds kActiveFor = std::chrono::minutes(1);

/// What each user of the queue stands at now.
struct FairLoad {
    struct User {
        double cost = 0;        ///< lately, decayed to now
        double lift = 0;        ///< FairUser::lift, as it must be now
        double per_request = 0; ///< what one request costs on average
        double weight = 1;
        std::uint32_t in_flight = 0;
        std::uint8_t provider = 0;
        bool active = false; ///< runs something, waits, or did a minute ago

        /// For its weight, with what runs and `more` requests.
        [[nodiscard]] double cost_with(std::size_t more) const noexcept
        {
            return (cost + static_cast<double>(in_flight + more) * per_request) / weight;
        }

        /// The same where turns are compared.
        [[nodiscard]] double stands_at(std::size_t more) const noexcept
        {
            return cost_with(more) + lift / weight;
        }
    };

    /// Over the active users of a provider.
    struct Sum {
        double weight = 0;
        double average = 0;   ///< cost per weight
        double stands_at = 0; ///< the same where turns are compared
    };

    static constexpr std::size_t kProviders = 16;

    std::array<User, kFairUsersMax> users{};
    std::size_t count = 0; ///< of users in use
    std::array<Sum, kProviders> providers{};

    [[nodiscard]] const Sum& about(const User& user) const noexcept
    {
        return providers[user.provider % kProviders];
    }
};

/// What a user cost lately, halved every kCostHalfLife since.
[[nodiscard]] double cost_now(const FairUser& user, MonotonicMillis now) noexcept;

/// Adds to it.
void add_cost(FairUser& user, double tokens, double requests, MonotonicMillis now) noexcept;

/// A user who took a place keeps the lift that it took it with.
void keep_lift(FairUser& user, const FairLoad::User& load, MonotonicMillis now) noexcept;

/// Fills the load from the queue; each user's `in_flight` must be there already, and `active` of one who asks now.
void load_users(const WaitQueue& queue, MonotonicMillis now, FairLoad& load) noexcept;

/// Smaller goes first.
struct Turn {
    double tag = 0;
    std::uint64_t sequence = 0;
    std::uint16_t ticket = 0;

    friend bool operator<(const Turn& a, const Turn& b) noexcept
    {
        return a.tag != b.tag ? a.tag < b.tag : a.sequence < b.sequence;
    }
};

using Turns = std::array<Turn, kTicketsMax>;

/// The living tickets in the order they are served; how many.
[[nodiscard]] std::size_t order_of_service(
    const WaitQueue& queue, const FairLoad& load, MonotonicMillis now, Turns& out) noexcept;

/// The turn of a request that came just now: behind its user's own tickets.
[[nodiscard]] Turn newcomers_turn(
    const WaitQueue& queue, const FairLoad& load, MonotonicMillis now, std::uint16_t user) noexcept;

/// What is left of some places while turn after turn gets one.
class PlacesLeft {
public:
    PlacesLeft(const FairLoad& load, std::span<const AccountPlace> places) noexcept;

    /// Whether this user may take a place on the account; `index` into the places.
    [[nodiscard]] bool open(std::size_t index, std::uint16_t user) const noexcept;

    /// Gives a place on one of these accounts, the one with most room; false if none is open.
    bool grant(const AccountSet& wants, std::uint16_t user) noexcept;

private:
    [[nodiscard]] bool over_share(std::uint16_t user) const noexcept;

    const FairLoad& load_;
    std::span<const AccountPlace> places_;
    std::array<std::uint32_t, AccountSet::kAccounts> free_{};
    std::array<std::uint16_t, kFairUsersMax> granted_{};
    double all_places_ = 0;
};

} // namespace shared
