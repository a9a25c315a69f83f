/// What the owner should hear about, from one look at all accounts: which alarms begin and which are over. Pure.
///
/// Each alarm is raised once, and not again before `repeat_after`; it is over when all has been well for `clear_after`.
/// An account that flaps therefore makes two events in `repeat_after`, however often it flaps.
#pragma once

#include "shared/base/units.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/event_log.hpp"
#include "shared/segment/forecast.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace refresher {

struct WatchSettings {
    std::uint32_t pool_low_percent = 10; ///< 0 = never
    std::chrono::milliseconds clear_after = std::chrono::seconds(10);
    std::chrono::milliseconds repeat_after = std::chrono::minutes(10);
    /// A pool that is empty for less than this is not worth a word.
    std::chrono::milliseconds empty_after = std::chrono::seconds(3);
    /// A forecast moves with every answer: it must hold for a while, and is not repeated within a working day.
    std::chrono::milliseconds forecast_after = std::chrono::minutes(2);
    std::chrono::milliseconds forecast_repeat_after = std::chrono::hours(8);
    std::function<std::string(std::uint8_t)> provider_name; ///< "codex" for its ProviderId
};

/// When one account's windows run empty.
struct AccountForecast {
    shared::Forecast short_window;
    shared::Forecast long_window;
};

/// Evaluates all alarms at `now` (`forecasts` are those of `accounts`, in their order), changes `alarms` and returns
/// what is to be published, in no particular order but always the same for the same input.
[[nodiscard]] std::vector<shared::Event> watch(
    std::span<const shared::AccountSnapshot> accounts,
    std::span<const AccountForecast> forecasts,
    const WatchSettings& settings,
    shared::UnixMillis now,
    shared::Alarms& alarms);

} // namespace refresher
