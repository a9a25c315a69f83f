#include "shared/base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>

namespace shared::log {
namespace {

bool g_debug = false;
bool g_journal = false;

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

void write(Level level, std::string_view text)
{
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
