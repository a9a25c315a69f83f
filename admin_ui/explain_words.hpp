/// The phrases that explanations are made of: one function per kind of fact. Pure; private to explain.cpp.
#pragma once

#include "admin_ui/explain.hpp"

#include <string>
#include <string_view>

namespace admin_ui {

/// Everything a phrase may need.
struct ExplainContext {
    const shared::Decision& decision;
    const DecisionNames& names;
    shared::UnixMillis now;
    bool worker_lives = false;
};

/// "10:05:00 (in 23 min)"; with the date if it is not the day of `now`.
[[nodiscard]] std::string moment_text(shared::UnixMillis at, shared::UnixMillis now);
/// The same without how far away that is.
[[nodiscard]] std::string clock_text(shared::UnixMillis at, shared::UnixMillis now);
/// "815 ms", "14.2 s", "3 min"
[[nodiscard]] std::string milliseconds_text(std::uint64_t ms);

/// An account's name, short enough for a line.
[[nodiscard]] std::string name_of(const ExplainContext& context, shared::AccountSlot account);

/// "62 % of the week and 80 % of 5 h left"; empty if nothing is known.
[[nodiscard]] std::string room_text(const shared::DecisionCandidate& candidate);

/// Why a candidate was passed over: "cooling down after a rate limit, until 10:05:00 (in 23 min)".
[[nodiscard]] std::string
reason_text(const ExplainContext& context, const shared::DecisionCandidate& candidate);
/// The same without anything of one candidate, for a group of them: "cooling down".
[[nodiscard]] std::string_view group_text(shared::PassedOver reason) noexcept;

/// What a try brought: "429 after 210 ms (usage_limit_reached); it rests until …".
[[nodiscard]] std::string
attempt_text(const ExplainContext& context, const shared::DecisionAttempt& attempt);

/// How it all ended, one sentence.
[[nodiscard]] std::string ending_text(const ExplainContext& context);

} // namespace admin_ui
