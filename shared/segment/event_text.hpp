/// Events as text: for the log, for `codex-pool events`, for programs.
#pragma once

#include "shared/segment/event_log.hpp"

#include <string>

namespace shared {

/// How much an event matters, as in the log: "error", "warn" or "info".
[[nodiscard]] std::string_view severity(EventType type) noexcept;

/// `event=pool_low provider=codex account=- until=… text="…"`: a line of the log.
[[nodiscard]] std::string event_log_line(const Event& event);

/// `2026-11-22T10:00:00Z warn pool_low: codex has …`: for people.
[[nodiscard]] std::string event_line(const Event& event);

/// One JSON object on one line, without a line break.
[[nodiscard]] std::string event_json(const Event& event);

/// `text` as a JSON string, with its quotes. What is no UTF-8 becomes '?'.
[[nodiscard]] std::string json_string(std::string_view text);

} // namespace shared
