/// Why a request went where it went, in words: one screen of text from one decision record. Pure.
#pragma once

#include "shared/segment/decision_ring.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace admin_ui {

inline constexpr std::size_t kExplanationLinesMax = 24;
inline constexpr std::size_t kExplanationColumnsMax = 100;

/// What the numbers of a record are called.
struct DecisionNames {
    std::function<std::string(shared::AccountSlot)>
        account;          ///< "codex:work"; any text for a slot that is not known
    std::string provider; ///< "codex"
    std::string strategy; ///< "balanced"
};

/// At most kExplanationLinesMax lines of at most kExplanationColumnsMax columns, each ending with a line break: who
/// asked what and how it ended, which account was chosen and why, who was passed over, and each try.
[[nodiscard]] std::string
explain(const shared::FoundDecision& found, const DecisionNames& names, shared::UnixMillis now);

/// The same as values, with the text in "text".
[[nodiscard]] std::string explain_json(
    const shared::FoundDecision& found, const DecisionNames& names, shared::UnixMillis now);

} // namespace admin_ui
