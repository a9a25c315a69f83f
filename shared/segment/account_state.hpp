/// What an account is at a given moment, in one vocabulary: log, pages, JSON, metrics and docs/states.md all take their
/// words from the table here.
///
/// Nothing has to run for a state to end: what the segment holds is evidence with an end, and these functions read it
/// at a time that is handed in.
#pragma once

#include "shared/segment/layout.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace shared {

enum class AccountCondition : std::uint8_t {
    ready,
    busy,
    cooling,
    exhausted,
    needs_login,
    failing,
    disabled,
    removed ///< its file is gone; never shown as a state of its own
};

/// Whom a state concerns.
enum class StateSeverity : std::uint8_t {
    good,    ///< serves
    passing, ///< ends by itself
    owner,   ///< lasts until the owner does something
    off      ///< not in service, on purpose
};

/// One row of the table.
struct StateInfo {
    AccountCondition condition = AccountCondition::ready;
    std::string_view name;    ///< as everywhere: log, JSON, label of a metric, badge
    std::string_view meaning; ///< one sentence
    std::string_view ends;    ///< what ends it, one sentence
    StateSeverity severity = StateSeverity::good;
};

/// Every state, in the order in which people are shown them; `removed` is last and internal.
[[nodiscard]] std::span<const StateInfo> state_table() noexcept;
[[nodiscard]] const StateInfo& state_info(AccountCondition condition) noexcept;
[[nodiscard]] std::string_view to_string(AccountCondition condition) noexcept;
[[nodiscard]] std::string_view to_string(StateSeverity severity) noexcept;
[[nodiscard]] std::string_view to_string(EvidenceSource source) noexcept;

/// The state of an account that runs `in_flight` requests (over all workers) at `now`.
[[nodiscard]] AccountCondition
condition(const AccountRouting& routing, std::uint32_t in_flight, UnixMillis now) noexcept;
/// The same without looking at its concurrency: never `busy`.
[[nodiscard]] AccountCondition condition(const AccountRouting& routing, UnixMillis now) noexcept;

/// A cool-down or rejection with no known end is over, and nobody has been served since: one request at a time finds
/// out. While one does (`probing_until`), condition() still says cooling or failing to all others.
[[nodiscard]] bool half_open(const AccountRouting& routing, UnixMillis now) noexcept;

/// The state with its evidence.
struct AccountStatus {
    AccountCondition condition = AccountCondition::ready;
    FixedString<80> reason; ///< one word of a fixed vocabulary; empty = none
    UnixMillis since;       ///< unset = nobody noted it
    UnixMillis until;       ///< when it ends by itself; unset = unknown, or it does not
    EvidenceSource source = EvidenceSource::none;
};

[[nodiscard]] AccountStatus
account_status(const AccountRouting& routing, std::uint32_t in_flight, UnixMillis now) noexcept;

/// A reason for people: "short_window_used_up" -> "its 5-hour window is used up". An unknown one is shown with spaces.
[[nodiscard]] std::string reason_in_words(std::string_view reason);
/// Where a fact came from, for people: "as an answer's header said".
[[nodiscard]] std::string_view source_in_words(EvidenceSource source) noexcept;

/// docs/states.md, whole. A test compares.
[[nodiscard]] std::string states_markdown();

/// Reasons that the pool gives itself; vendors' own come from their providers.
inline constexpr std::string_view kReasonDisabledInFile = "disabled_in_file";
inline constexpr std::string_view kReasonDisabledByOwner = "disabled_by_owner";
inline constexpr std::string_view kReasonPaused = "paused_by_its_user";
inline constexpr std::string_view kReasonFileGone = "file_gone";
inline constexpr std::string_view kReasonConcurrency = "max_concurrency_reached";
inline constexpr std::string_view kReasonShortWindow = "short_window_used_up";
inline constexpr std::string_view kReasonLongWindow = "long_window_used_up";

} // namespace shared
