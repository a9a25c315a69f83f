#include "worker/limit_words.hpp"

#include <chrono>

namespace worker {
namespace {

using shared::LimitHit;
using shared::LimitKind;

/// "1234567" as "1,234,567".
std::string grouped(std::uint64_t number)
{
    std::string digits = std::to_string(number);
    for (std::size_t at = digits.size(); at > 3; at -= 3)
        digits.insert(at - 3, ",");
    return digits;
}

std::string used_up(const LimitHit& met, const char* what)
{
    return "You have used " + grouped(met.used) + " of the " + grouped(met.limit) + " " + what +
           " this pool allows you.";
}

} // namespace

std::string limit_sentence(const LimitHit& met)
{
    switch (met.kind) {
    case LimitKind::provider:
        return "This pool does not allow you this provider; ask its owner.";
    case LimitKind::model:
        return "This pool does not allow you this model; ask its owner.";
    case LimitKind::requests_per_minute:
        return used_up(met, "requests per minute");
    case LimitKind::concurrency:
        return "You have " + grouped(met.used) + " of the " + grouped(met.limit) +
               " requests running that this pool allows you at a time; wait for one to end.";
    case LimitKind::tokens_per_day:
        return used_up(met, "tokens per day");
    case LimitKind::tokens_per_week:
        return used_up(met, "tokens per week");
    case LimitKind::share_percent:
        return used_up(met, "percent of the pool's week");
    case LimitKind::none:
        break;
    }
    return "You have reached a limit of this pool.";
}

shared::UnixMillis ask_again_at(const LimitHit& met, shared::UnixMillis now) noexcept
{
    // Nobody knows when a request ends, but one does; without a time the client would take it for the end.
    constexpr std::chrono::seconds kUntilOneEnds{10};
    if (met.kind == LimitKind::concurrency && !met.until.is_set()) return now.plus(kUntilOneEnds);
    return met.until;
}

} // namespace worker
