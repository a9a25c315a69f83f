/// What was used in a range of time, per hour or day and by what one likes to tell apart: rows of the database in, sums
/// out. Pure.
#pragma once

#include "admin_ui/parameters.hpp"
#include "admin_ui/pool_view.hpp"
#include "admin_ui/prices.hpp"
#include "shared/base/result.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace admin_ui {

inline constexpr std::int64_t kHourMillis = 3'600'000;
inline constexpr std::int64_t kDayMillis = 24 * kHourMillis;

enum class UsageStep : std::uint8_t { hour, day };

enum class UsageGroup : std::uint8_t { none, provider, model, account, user };

[[nodiscard]] std::string_view to_string(UsageStep step) noexcept;
[[nodiscard]] std::string_view to_string(UsageGroup group) noexcept;

/// What is asked for. Days are UTC days.
struct UsageRange {
    shared::UnixMillis from; ///< beginning of a step
    shared::UnixMillis to;   ///< exclusive; end of a step
    UsageStep step = UsageStep::day;
    UsageGroup group = UsageGroup::none;
    std::string user{}; ///< only theirs; empty = everybody's

    [[nodiscard]] std::int64_t step_millis() const noexcept
    {
        return step == UsageStep::hour ? kHourMillis : kDayMillis;
    }

    [[nodiscard]] std::size_t steps() const noexcept
    {
        return static_cast<std::size_t>((to.value - from.value) / step_millis());
    }
};

/// Hours of more days than this are too many rows to read while somebody waits, and too many to look at.
inline constexpr std::int64_t kHourlyDaysMax = 8;

/// `from`, `to`, `last`, `by`, `group`, `user`: by default the last seven days per day. What is wrong is left in the
/// parameters.
[[nodiscard]] UsageRange usage_range(Parameters& parameters, shared::UnixMillis now);

/// One row of a roll-up.
struct UsageRow {
    shared::UnixMillis at; ///< beginning of its hour or day
    std::string user;
    std::string account;
    std::string model;
    TokenSums sums;
};

/// Money at list prices.
struct Cost {
    double list = 0;           ///< of everything that has a price
    double api_keys = 0;       ///< of that, what went through API keys: somebody pays it
    std::int64_t unpriced = 0; ///< tokens of models without a price

    void add(const Cost& other) noexcept
    {
        list += other.list;
        api_keys += other.api_keys;
        unpriced += other.unpriced;
    }
};

struct UsageCell {
    TokenSums sums;
    Cost cost;

    void add(const UsageCell& other) noexcept
    {
        sums.add(other.sums);
        cost.add(other.cost);
    }
};

struct UsageReport {
    UsageRange range;
    UsageCell total;
    /// By name, largest first. Without a group there is none.
    std::vector<std::pair<std::string, UsageCell>> groups;
    /// Per step, in order; those without use are empty.
    std::vector<UsageCell> steps;
    /// Per step and group, in the order of `groups`.
    std::vector<std::vector<UsageCell>> cells;
    std::vector<std::string> unpriced_models; ///< sorted

    [[nodiscard]] shared::UnixMillis step_at(std::size_t i) const noexcept
    {
        return {range.from.value + static_cast<std::int64_t>(i) * range.step_millis()};
    }
};

/// Whether requests through this account are paid by use.
using PaidByUse = std::function<bool(std::string_view account)>;

[[nodiscard]] UsageReport usage_report(
    const UsageRange& range,
    const std::vector<UsageRow>& rows,
    const PriceList& prices,
    const PaidByUse& paid_by_use);

/// "codex" of "codex:work"; empty if no account answered.
[[nodiscard]] std::string_view provider_of(std::string_view account) noexcept;

} // namespace admin_ui
