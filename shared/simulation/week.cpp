#include "shared/simulation/week.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace shared::simulation {
namespace {

/// Monday 2026-01-05T00:00:00Z
constexpr UnixMillis kMonday{1'767'571'200'000};
constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
/// What of a week one five-hour window holds: an eighth is what the vendors' published ranges come to.
constexpr double kShortShare = 0.125;

/// SplitMix64: the standard library's distributions differ from one implementation to the next.
class Random {
public:
    explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

    /// From `low` to `high`, both included.
    std::int64_t between(std::int64_t low, std::int64_t high) noexcept
    {
        state_ += 0x9E3779B97F4A7C15U;
        std::uint64_t number = state_;
        number = (number ^ (number >> 30U)) * 0xBF58476D1CE4E5B9U;
        number = (number ^ (number >> 27U)) * 0x94D049BB133111EBU;
        number ^= number >> 31U;
        return low + static_cast<std::int64_t>(number % static_cast<std::uint64_t>(high - low + 1));
    }

private:
    std::uint64_t state_;
};

/// How somebody works.
struct Habit {
    std::string_view user;
    bool weekdays;
    bool weekend;
    int from_hour; ///< of the day; may end on the next one
    int to_hour;
    int pause_minutes_min; ///< between two beginnings of conversations
    int pause_minutes_max;
    int at_once;   ///< conversations that begin together
    int turns_min; ///< of one conversation
    int turns_max;
    int think_seconds_min; ///< between one turn's end and the next
    int think_seconds_max;
};

constexpr std::array kHabits{
    Habit{"office", true, false, 9, 17, 25, 50, 1, 8, 25, 40, 240},
    Habit{"agents", true, false, 10, 19, 60, 120, 4, 30, 80, 2, 15},
    Habit{"evening", true, true, 20, 26, 20, 60, 1, 10, 30, 30, 180},
    Habit{"weekend", false, true, 10, 22, 15, 40, 2, 15, 40, 10, 90},
    Habit{"nightly", true, true, 3, 4, 60, 60, 24, 4, 8, 1, 3},
    Habit{"now and then", true, true, 7, 23, 240, 480, 1, 2, 6, 60, 600},
};

/// One run of make_week.
class Week {
public:
    Week(ProviderId provider, std::uint64_t seed) : provider_(provider), random_(seed) {}

    Trace trace()
    {
        for (const Habit& habit : kHabits)
            live(habit);
        std::stable_sort(
            trace_.requests.begin(),
            trace_.requests.end(),
            [](const TraceRequest& a, const TraceRequest& b) { return a.at < b.at; });
        return std::move(trace_);
    }

private:
    void live(const Habit& habit)
    {
        const std::uint32_t user = trace_.user(habit.user);
        for (std::int64_t day = 0; day < 7; ++day) {
            if (!(day < 5 ? habit.weekdays : habit.weekend)) continue;
            std::int64_t at = day * kDay + habit.from_hour * kHour +
                              random_.between(0, habit.pause_minutes_min) * kMinute;
            const std::int64_t end = day * kDay + habit.to_hour * kHour;
            while (at < end) {
                for (int i = 0; i < habit.at_once; ++i)
                    converse(habit, user, at + random_.between(0, 30'000));
                at += random_.between(habit.pause_minutes_min, habit.pause_minutes_max) * kMinute;
            }
        }
    }

    /// The context grows with every turn; what was there before is read from the prompt cache.
    void converse(const Habit& habit, std::uint32_t user, std::int64_t at)
    {
        const std::uint64_t conversation = ++conversations_;
        const std::int64_t turns = random_.between(habit.turns_min, habit.turns_max);
        std::int64_t context = 0;
        for (std::int64_t turn = 0; turn < turns && at < 7 * kDay; ++turn) {
            TraceRequest request;
            request.at = kMonday.plus(std::chrono::milliseconds(at));
            request.user = user;
            request.provider = provider_;
            request.conversation = conversation;
            request.model = trace_.model("a model");
            request.cached_input = context;
            context += turn == 0 ? random_.between(8'000, 20'000) : random_.between(500, 4'000);
            request.input = context;
            request.output = random_.between(200, 2'500);
            context += request.output;
            request.duration_ms =
                static_cast<std::uint32_t>(2'000 + request.output * random_.between(8, 20));
            trace_.requests.push_back(request);
            at += request.duration_ms +
                  random_.between(habit.think_seconds_min, habit.think_seconds_max) * 1000;
        }
    }

    ProviderId provider_;
    Random random_;
    Trace trace_;
    std::uint64_t conversations_ = 0;
};

} // namespace

Scenario make_week(ProviderId provider, std::uint64_t seed, double load_percent)
{
    Scenario scenario;
    scenario.trace = Week(provider, seed).trace();
    constexpr std::array<float, 8> kCapacities{5, 5, 1, 1, 1, 1, 1, 1};
    for (std::size_t i = 0; i < kCapacities.size(); ++i) {
        AccountModel account;
        account.id = std::string(kCapacities[i] > 1 ? "large-" : "small-") + std::to_string(i + 1);
        account.provider = provider;
        account.capacity = kCapacities[i];
        scenario.accounts.push_back(std::move(account));
    }
    size_quotas(scenario.trace, scenario.accounts, load_percent);
    return scenario;
}

namespace {

/// Tokens that requests of this provider cost.
double tokens_needed(const Trace& trace, ProviderId provider)
{
    double needed = 0;
    for (const TraceRequest& request : trace.requests) {
        if (request.provider == provider)
            needed += static_cast<double>(
                request.input - std::min(request.cached_input, request.input) + request.output);
    }
    return needed;
}

} // namespace

void set_quotas(
    const Trace& trace, std::span<AccountModel> accounts, double tokens_per_week, double used_share)
{
    if (trace.requests.empty()) return;
    const UnixMillis begin = trace.requests.front().at;
    const auto week = static_cast<double>(std::chrono::milliseconds(kLongWindow).count());
    const auto limited = static_cast<std::size_t>(
        std::count_if(accounts.begin(), accounts.end(), [](const AccountModel& account) {
            return account.kind != CredentialKind::api_key;
        }));
    std::size_t index = 0;
    for (AccountModel& account : accounts) {
        if (account.kind == CredentialKind::api_key) continue;
        // In an order that gives neighbours, which are often alike, resets far apart.
        const std::size_t place = limited % 3 == 0 ? index : (index * 3) % limited;
        const double passed = (static_cast<double>(place) + 0.5) / static_cast<double>(limited);
        account.long_tokens = tokens_per_week * account.capacity;
        account.short_tokens = account.long_tokens * kShortShare;
        account.long_used = account.long_tokens * passed * used_share;
        account.long_reset =
            begin.plus(std::chrono::milliseconds(static_cast<std::int64_t>((1.0 - passed) * week)));
        ++index;
    }
}

void size_quotas(const Trace& trace, std::span<AccountModel> accounts, double load_percent)
{
    if (trace.requests.empty()) return;
    const auto length =
        static_cast<double>(trace.requests.back().at.since(trace.requests.front().at).count());
    const auto week = static_cast<double>(std::chrono::milliseconds(kLongWindow).count());
    const double weeks = std::max(length, static_cast<double>(kHour)) / week;
    const double load = load_percent / 100.0;
    for (auto first = accounts.begin(); first != accounts.end();) {
        const ProviderId provider = first->provider;
        const auto last = std::find_if(first, accounts.end(), [&](const AccountModel& account) {
            return account.provider != provider;
        });
        double capacity = 0;
        for (auto account = first; account != last; ++account)
            capacity += account->kind == CredentialKind::api_key ? 0.0 : account->capacity;
        const double needed = std::max(tokens_needed(trace, provider), 1.0);
        if (capacity > 0)
            set_quotas(trace, {first, last}, needed / weeks / load / capacity, std::min(load, 1.0));
        first = last;
    }
}

} // namespace shared::simulation
