#include "shared/base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>

#include <unistd.h>

namespace shared::log {
namespace {

bool g_debug = false;
bool g_journal = false;

/// Lines that were collected and not written yet; see collect_lines().
struct Collected {
    static constexpr std::size_t kBytesMax = std::size_t{32} * 1024;
    static constexpr std::int64_t kAgeMs = 100;

    std::mutex mutex;
    bool on = false;
    std::string lines;
    std::int64_t written_at_ms = 0;
    std::time_t second = 0; ///< the one that `stamp` and `zone` spell
    std::array<char, 32> stamp{};
    std::array<char, 8> zone{};

    void write()
    {
        std::string_view left = lines;
        while (!left.empty()) {
            const ssize_t sent = ::write(STDERR_FILENO, left.data(), left.size());
            if (sent <= 0) break; // nobody to tell
            left.remove_prefix(static_cast<std::size_t>(sent));
        }
        lines.clear();
    }

    /// The same time stamp as spdlog's pattern below.
    void append_time(const timespec& now)
    {
        if (now.tv_sec != second) {
            second = now.tv_sec;
            std::tm local{};
            ::localtime_r(&second, &local);
            std::strftime(stamp.data(), stamp.size(), "%Y-%m-%dT%H:%M:%S.", &local);
            std::strftime(zone.data(), zone.size(), "%z", &local);
        }
        const auto ms = static_cast<unsigned>(now.tv_nsec / 1'000'000);
        lines += stamp.data();
        lines += static_cast<char>('0' + ms / 100);
        lines += static_cast<char>('0' + ms / 10 % 10);
        lines += static_cast<char>('0' + ms % 10);
        const std::string_view offset(zone.data());
        lines.append(offset.substr(0, 3)).append(":").append(offset.substr(3));
    }
};

Collected g_collected;

spdlog::level::level_enum spdlog_level(Level level)
{
    switch (level) {
    case Level::debug:
        return spdlog::level::debug;
    case Level::info:
        return spdlog::level::info;
    case Level::warn:
        return spdlog::level::warn;
    case Level::error:
        return spdlog::level::err;
    }
    return spdlog::level::info;
}

// sd-daemon(3): the journal reads the priority from this prefix.
std::string_view priority_prefix(Level level)
{
    switch (level) {
    case Level::debug:
        return "<7>";
    case Level::info:
        return "<6>";
    case Level::warn:
        return "<4>";
    case Level::error:
        return "<3>";
    }
    return "<6>";
}

} // namespace

void start(std::string_view role, bool debug)
{
    g_debug = debug;
    g_journal = std::getenv("JOURNAL_STREAM") != nullptr;
    auto logger = std::make_shared<spdlog::logger>(
        std::string(role), std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_level(debug ? spdlog::level::debug : spdlog::level::info);
    logger->set_pattern(g_journal ? "%v" : "%Y-%m-%dT%H:%M:%S.%e%z %l role=%n %v");
    logger->flush_on(spdlog::level::debug);
    spdlog::set_default_logger(std::move(logger));
}

bool is_on(Level level) noexcept
{
    return level != Level::debug || g_debug;
}

void collect_lines()
{
    const std::lock_guard lock(g_collected.mutex);
    g_collected.on = true;
}

void flush()
{
    const std::lock_guard lock(g_collected.mutex);
    g_collected.write();
}

namespace {

/// False if lines are written one by one.
bool collect(Level level, std::string_view text)
{
    Collected& all = g_collected;
    const std::lock_guard lock(all.mutex);
    if (!all.on) return false;
    if (level >= Level::warn) {
        all.write();
        return false;
    }
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    if (g_journal)
        all.lines += priority_prefix(level);
    else
        all.append_time(now);
    if (!g_journal) all.lines += level == Level::debug ? " debug " : " info ";
    all.lines.append("role=").append(spdlog::default_logger_raw()->name()).append(" ");
    const std::size_t begin = all.lines.size();
    all.lines += text;
    std::replace_if(
        all.lines.begin() + static_cast<std::ptrdiff_t>(begin),
        all.lines.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; },
        '?');
    all.lines += '\n';
    const std::int64_t now_ms = std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
    if (all.lines.size() >= Collected::kBytesMax ||
        now_ms - all.written_at_ms >= Collected::kAgeMs) {
        all.written_at_ms = now_ms;
        all.write();
    }
    return true;
}

} // namespace

void write(Level level, std::string_view text)
{
    if (collect(level, text)) return;
    std::string line;
    line.reserve(text.size() + 32);
    if (g_journal) {
        line += priority_prefix(level);
        line += "role=";
        line += spdlog::default_logger_raw()->name();
        line += ' ';
    }
    line += text;
    std::replace_if(
        line.begin(),
        line.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; },
        '?');
    spdlog::default_logger_raw()->log(
        spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

} // namespace shared::log
