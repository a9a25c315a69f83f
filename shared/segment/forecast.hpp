/// When a quota window runs empty at the present pace, learnt from what vendors say and from what is spent. Pure.
///
/// learn_window() is called with every piece of fresh evidence, under the account's lock; forecast() by whoever shows
/// or compares. Vendors tell whole percents: a sample begins at an anchor and is taken when at least one was used up.
#pragma once

#include "shared/segment/layout.hpp"

#include <cstdint>
#include <string_view>

namespace shared {

/// Folds one piece of evidence into what is known of a window. `before` and `after` are the window without and with it;
/// `tokens_spent` is Segment::tokens_spent of the account now.
void learn_window(
    WindowLearning& learning,
    const WindowRecord& before,
    const WindowRecord& after,
    std::uint64_t tokens_spent) noexcept;

/// How much a forecast can be relied on.
enum class Confidence : std::uint8_t {
    none,   ///< nothing is known: there is no forecast
    low,    ///< from fewer than three samples, or from old evidence
    medium, ///< from a few
    high    ///< from many, and the window was seen lately
};

[[nodiscard]] std::string_view to_string(Confidence confidence) noexcept;

struct Forecast {
    UnixMillis empty_at; ///< unset: it resets before it is empty, or nobody knows
    Confidence confidence = Confidence::none;
    double percent_per_hour = 0; ///< the pace it was made with
    double tokens_left = 0;      ///< billable; 0 = unknown
};

/// If the pace stays as it is. A window that is used up is empty since then.
[[nodiscard]] Forecast
forecast(const WindowRecord& window, const WindowLearning& learning, UnixMillis now) noexcept;

/// Billable tokens that all accounts in service together can serve in a week; 0 if nothing was learnt yet. An account
/// of which nothing is known counts as the others of its provider do on average.
[[nodiscard]] std::uint64_t week_capacity(Segment& segment);

/// The pace at `now`: what was learnt, less the longer nothing more is used up.
[[nodiscard]] double pace_now(const WindowLearning& learning, UnixMillis now) noexcept;

} // namespace shared
