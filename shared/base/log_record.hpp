/// One log line in the forms it is written in besides plain text. Pure.
#pragma once

#include "shared/base/log.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace shared::log {

/// Appends the line as a record of journald's native protocol: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, and POOL_USER,
/// POOL_ACCOUNT … for those of its `key=value` fields that one searches by. The first of a name counts.
void append_journal_record(
    std::string& to, Level level, std::string_view role, std::string_view text);

/// Appends the line as one JSON object with a line break: time, level, role, message, and its fields.
void append_json_record(
    std::string& to,
    std::string_view time,
    Level level,
    std::string_view role,
    std::string_view text);

/// Replaces control characters, so that no input can forge a line or a field. `size` bytes from `text` on.
void replace_controls(char* text, std::size_t size) noexcept;

/// "info"
[[nodiscard]] std::string_view to_string(Level level) noexcept;
/// syslog(3): '6' for info.
[[nodiscard]] char priority_digit(Level level) noexcept;

} // namespace shared::log
