/// Logging, set up once per process. One line per event, `key=value` fields, to stderr.
///
/// Under systemd (JOURNAL_STREAM set) every line starts with the journal's priority prefix <N> and
/// has no time stamp; elsewhere it starts with the time. spdlog stays inside log.cpp.
/// Tokens, bodies and prompts are never logged.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace shared::log {

enum class Level : std::uint8_t { debug, info, warn, error };

/// Call once at the start of each process. `role` ("supervisor", "worker-2" …) is put on every line.
void start(std::string_view role, bool debug);

[[nodiscard]] bool is_on(Level level) noexcept;

/// Writes one line. Control characters in `text` are replaced, so that no input can forge a line.
void write(Level level, std::string_view text);

/// For processes that write a line per request: info and debug lines are collected and written together, at the
/// latest with the next line 100 ms later, flush(), or a warning. Call flush() once a second and before the
/// end.
void collect_lines();
void flush();

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args)
{
    if (is_on(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args)
{
    if (is_on(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args)
{
    write(Level::warn, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args)
{
    write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

} // namespace shared::log
