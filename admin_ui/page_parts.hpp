/// Small pieces that several pages are made of: times, numbers, tiles, a row of choices. Pure.
#pragma once

#include "admin_ui/html.hpp"
#include "shared/base/terminal_text.hpp"
#include "shared/base/units.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace admin_ui {

/// "in 2 h" with the exact time behind it; a dash if unset.
[[nodiscard]] Html time_element(shared::UnixMillis at, shared::UnixMillis now);
/// The exact time as one reads it ("14 May 12:30:05"), in UTC.
[[nodiscard]] Html clock_time(shared::UnixMillis at);
/// The same as text: "14 May 12:30".
[[nodiscard]] std::string short_time(shared::UnixMillis at, bool with_clock);

/// A number with its name, for a <dl class="tiles">.
[[nodiscard]] Html tile(std::string_view label, std::string_view value, std::string_view note = {});

/// A link among its alternatives; the chosen one is marked.
[[nodiscard]] Html choice_link(std::string_view href, std::string_view label, bool chosen);

/// A field of a form that is not shown; nothing if it has no value.
[[nodiscard]] Html hidden_field(std::string_view name, std::string_view value);

using shared::short_number;
/// 1234567 -> "1 234 567", with narrow spaces.
[[nodiscard]] std::string grouped_number(std::int64_t value);
/// 12 ms, 1.4 s, 2 min 5 s
[[nodiscard]] std::string milliseconds_text(std::int64_t ms);
/// "$12.30", "$0.0042"; other currencies by their code.
[[nodiscard]] std::string money_text(double amount, std::string_view currency);
/// "38 %"; a dash if there is nothing to be a part of.
[[nodiscard]] std::string percent_text(std::int64_t part, std::int64_t whole);

} // namespace admin_ui
