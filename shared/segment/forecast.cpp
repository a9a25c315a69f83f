#include "shared/segment/forecast.hpp"

#include "shared/segment/account_table.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

namespace shared {
namespace {

using std::chrono::milliseconds;

/// A sample covers at least so much of a window, because vendors round to whole percents …
constexpr int kSampleBasisPoints = 100;
/// … and so much time: two answers of one burst say nothing about a pace.
constexpr milliseconds kSampleMin = std::chrono::minutes(1);
/// Tokens per percent are the mean of the first ten samples; then a new one weighs so much. (Each is off by what
/// rounding to whole percents makes of it.)
constexpr double kTokensWeight = 0.1;
/// The pace is averaged over this part of the window's length: half an hour of five.
constexpr double kPaceMemory = 0.1;
/// Evidence older than this part of the window is old.
constexpr double kFreshPart = 0.05;
constexpr std::uint32_t kSamplesFew = 3;
constexpr std::uint32_t kSamplesMany = 8;

double hours(milliseconds length) noexcept
{
    return static_cast<double>(length.count()) / 3'600'000.0;
}

void set_anchor(
    WindowLearning& learning, const WindowRecord& window, std::uint64_t tokens_spent) noexcept
{
    learning.anchor_used = window.used;
    learning.anchor_at = window.seen_at;
    learning.anchor_tokens = tokens_spent;
}

/// Whether evidence belongs to another round of the window than the anchor.
bool is_new_round(
    const WindowLearning& learning, const WindowRecord& before, const WindowRecord& after) noexcept
{
    if (!learning.anchor_at.is_set() || after.used < learning.anchor_used) return true;
    if (!before.resets_at.is_set() || !after.resets_at.is_set()) return false;
    const milliseconds moved = after.resets_at.since(before.resets_at);
    return std::chrono::abs(moved) > std::chrono::minutes(10);
}

double blend(double known, double sample, double weight, bool first) noexcept
{
    return first ? sample : known + weight * (sample - known);
}

Confidence
confidence_of(const WindowRecord& window, const WindowLearning& learning, UnixMillis now) noexcept
{
    if (learning.samples < kSamplesFew) return Confidence::low;
    const double age = hours(now.since(window.seen_at));
    const double fresh = static_cast<double>(window.seconds) / 3600.0 * kFreshPart;
    if (age > 4 * fresh) return Confidence::low;
    return learning.samples >= kSamplesMany && age <= fresh ? Confidence::high : Confidence::medium;
}

} // namespace

void learn_window(
    WindowLearning& learning,
    const WindowRecord& before,
    const WindowRecord& after,
    std::uint64_t tokens_spent) noexcept
{
    if (!after.used.is_known() || after.seen_at == before.seen_at) return;
    // The counter begins anew with the supervisor; what a full window would have used beyond is unknown; the clock may
    // have been set back.
    const bool broken = tokens_spent < learning.anchor_tokens || after.used.is_full() ||
                        after.seen_at < learning.anchor_at;
    if (broken || is_new_round(learning, before, after)) {
        set_anchor(learning, after, tokens_spent);
        return;
    }
    const int used = after.used.basis_points - learning.anchor_used.basis_points;
    const milliseconds length = after.seen_at.since(learning.anchor_at);
    if (used < kSampleBasisPoints || length < kSampleMin) return;
    const double percent = used / 100.0;
    const double memory = static_cast<double>(after.seconds) / 3600.0 * kPaceMemory;
    const double pace_weight = 1.0 - std::exp(-hours(length) / memory);
    learning.percent_per_hour = blend(
        learning.percent_per_hour, percent / hours(length), pace_weight, learning.samples == 0);
    const std::uint64_t tokens = tokens_spent - learning.anchor_tokens;
    if (tokens > 0) { // else it was used outside of the pool
        learning.tokens_per_percent = blend(
            learning.tokens_per_percent,
            static_cast<double>(tokens) / percent,
            std::max(kTokensWeight, 1.0 / (learning.samples + 1.0)),
            learning.tokens_per_percent == 0);
    }
    ++learning.samples;
    set_anchor(learning, after, tokens_spent);
}

double pace_now(const WindowLearning& learning, UnixMillis now) noexcept
{
    const double silent = hours(now.since(learning.anchor_at));
    // Since the anchor less than a sample was used up: so much at most is used in an hour.
    if (silent <= 0) return learning.percent_per_hour;
    return std::min(learning.percent_per_hour, kSampleBasisPoints / 100.0 / silent);
}

std::uint64_t week_capacity(Segment& segment)
{
    struct Sum {
        double tokens = 0;
        std::uint32_t known = 0;
        std::uint32_t all = 0;
    };

    std::array<Sum, 16> providers{};
    const std::uint32_t slots = segment.account_slots.load(std::memory_order_acquire);
    for (std::uint32_t i = 0; i < std::min<std::uint32_t>(slots, kMaxAccounts); ++i) {
        segment.accounts[i].with_lock([&](const AccountRecord& account) {
            const AccountState state = account.routing.state;
            if (state != AccountState::ready && state != AccountState::failing) return;
            Sum& sum = providers[account.routing.provider % providers.size()];
            ++sum.all;
            if (account.long_learning.tokens_per_percent <= 0) return;
            ++sum.known;
            sum.tokens += account.long_learning.tokens_per_percent * 100.0;
        });
    }
    double tokens = 0;
    for (const Sum& sum : providers)
        if (sum.known > 0) tokens += sum.tokens / sum.known * sum.all;
    return static_cast<std::uint64_t>(tokens);
}

Forecast
forecast(const WindowRecord& window, const WindowLearning& learning, UnixMillis now) noexcept
{
    Forecast out;
    const UsedShare used = used_now(window, now);
    if (!used.is_known()) return out;
    const double left = 100.0 - used.fraction() * 100.0;
    out.tokens_left = left * learning.tokens_per_percent;
    out.percent_per_hour = pace_now(learning, now);
    if (used.is_full()) {
        out.empty_at = window.full_since.is_set() ? window.full_since : window.seen_at;
        out.confidence = Confidence::high;
        return out;
    }
    if (learning.samples == 0 || out.percent_per_hour <= 0) return out;
    out.confidence = confidence_of(window, learning, now);
    const double hours_left = left / out.percent_per_hour;
    // What the window is long is the most it can last, whether or not its reset is known.
    if (hours_left * 3600.0 > static_cast<double>(window.seconds)) return out;
    const UnixMillis at =
        window.seen_at.plus(milliseconds(static_cast<std::int64_t>(hours_left * 3'600'000.0)));
    const bool resets_first = window.resets_at.is_set() && at >= window.resets_at;
    if (!resets_first) out.empty_at = std::max(at, now);
    return out;
}

std::string_view to_string(Confidence confidence) noexcept
{
    switch (confidence) {
    case Confidence::none:
        return "none";
    case Confidence::low:
        return "low";
    case Confidence::medium:
        return "medium";
    case Confidence::high:
        return "high";
    }
    return "none";
}

} // namespace shared
