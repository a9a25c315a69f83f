#include "shared/base/log.hpp"

#include "shared/base/journal_socket.hpp"
#include "shared/base/log_record.hpp"
#include "shared/base/log_setup.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

namespace shared::log {
namespace {

/// The forms of a line.
enum class Form : std::uint8_t {
    text,   ///< with its time, for terminals and files
    prefix, ///< with the journal's <N> and without a time, where stderr leads to the journal
    json,
    journal, ///< a record with fields, sent to journald itself
};

constexpr int kLastWordsMs = 200;

bool g_debug = false;
Form g_form = Form::text;

/// Time stamps, made anew once a second.
class Clock {
public:
    /// The same as in spdlog's pattern below.
    void append(std::string& to, const timespec& now)
    {
        if (now.tv_sec != second_) {
            second_ = now.tv_sec;
            std::tm local{};
            ::localtime_r(&second_, &local);
            std::strftime(stamp_.data(), stamp_.size(), "%Y-%m-%dT%H:%M:%S.", &local);
            std::strftime(zone_.data(), zone_.size(), "%z", &local);
        }
        const auto ms = static_cast<unsigned>(now.tv_nsec / 1'000'000);
        to += stamp_.data();
        to += static_cast<char>('0' + ms / 100);
        to += static_cast<char>('0' + ms / 10 % 10);
        to += static_cast<char>('0' + ms % 10);
        const std::string_view offset(zone_.data());
        to.append(offset.substr(0, 3)).append(":").append(offset.substr(3));
    }

private:
    std::time_t second_ = 0; ///< the one that `stamp_` and `zone_` spell
    std::array<char, 32> stamp_{};
    std::array<char, 8> zone_{};
};

/// Lines that were collected and not written yet; see collect_lines().
struct Collected {
    static constexpr std::size_t kBytesMax = std::size_t{32} * 1024;
    static constexpr std::int64_t kAgeMs = 100;

    std::mutex mutex;
    bool on = false;
    std::string role;
    std::string lines;     ///< but in the form `journal`: then they are in `journal`
    JournalSocket journal; ///< keeps what journald does not take at once
    std::int64_t written_at_ms = 0;
    bool stuck =
        false; ///< journald takes nothing at the moment: it is asked again after kAgeMs only
    Clock clock;

    [[nodiscard]] std::size_t bytes() const noexcept
    {
        return g_form == Form::journal ? journal.waiting_bytes() : lines.size();
    }

    void write()
    {
        if (g_form == Form::journal) return send();
        std::string_view left = lines;
        while (!left.empty()) {
            const ssize_t sent = ::write(STDERR_FILENO, left.data(), left.size());
            if (sent <= 0) break; // nobody to tell
            left.remove_prefix(static_cast<std::size_t>(sent));
        }
        lines.clear();
    }

    void send()
    {
        journal.send();
        stuck = journal.waiting_bytes() > 0;
        const std::uint64_t dropped = journal.take_dropped();
        if (dropped == 0) return;
        const std::string text = fmt::format("event=log_lines_dropped count={}", dropped);
        append_journal_record(journal.records(), Level::warn, role, text);
        journal.end_record();
    }

    /// A line in the present form, at the end of what waits.
    void append(Level level, std::string_view text, const timespec& now)
    {
        if (g_form == Form::journal) {
            append_journal_record(journal.records(), level, role, text);
            return journal.end_record();
        }
        if (g_form == Form::json) {
            std::string time;
            clock.append(time, now);
            return append_json_record(lines, time, level, role, text);
        }
        if (g_form == Form::prefix) {
            lines += {'<', priority_digit(level), '>'};
        } else {
            clock.append(lines, now);
            lines.append(" ").append(to_string(level)).append(" ");
        }
        lines.append("role=").append(role).append(" ");
        const std::size_t begin = lines.size();
        lines += text;
        replace_controls(lines.data() + begin, lines.size() - begin);
        lines += '\n';
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

/// systemd.exec(5): the variable names the device and inode that lead to the journal; stderr may have been led
/// elsewhere since.
bool stderr_is_the_journal()
{
    const char* stream = std::getenv("JOURNAL_STREAM");

    struct stat status {};

    return stream != nullptr && ::fstat(STDERR_FILENO, &status) == 0 &&
           fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

Form form_of(const Setup& setup)
{
    if (setup.format == "json") return Form::json;
    if (std::getenv("JOURNAL_STREAM") == nullptr) return Form::text;
    const bool fields = setup.format == "auto" && stderr_is_the_journal() &&
                        g_collected.journal.open(setup.journal_socket);
    return fields ? Form::journal : Form::prefix;
}

} // namespace

void start(const Setup& setup)
{
    const std::lock_guard lock(g_collected.mutex);
    g_debug = setup.debug;
    g_collected.write();
    g_collected.role = setup.role;
    g_form = form_of(setup);
    auto logger = std::make_shared<spdlog::logger>(
        setup.role, std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_level(setup.debug ? spdlog::level::debug : spdlog::level::info);
    logger->set_pattern(g_form == Form::prefix ? "%v" : "%Y-%m-%dT%H:%M:%S.%e%z %l role=%n %v");
    logger->flush_on(spdlog::level::debug);
    spdlog::set_default_logger(std::move(logger));
}

void start(std::string_view role, bool debug)
{
    Setup setup;
    setup.role = role;
    setup.debug = debug;
    start(setup);
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

void last_words()
{
    const std::lock_guard lock(g_collected.mutex);
    g_collected.write();
    if (g_form == Form::journal) g_collected.journal.send_all(kLastWordsMs);
}

namespace {

/// False if the line is spdlog's to write.
bool collect(Level level, std::string_view text)
{
    Collected& all = g_collected;
    const std::lock_guard lock(all.mutex);
    const bool own_form = g_form == Form::journal || g_form == Form::json;
    if (!all.on && !own_form) return false;
    if (level >= Level::warn && !own_form) {
        all.write();
        return false;
    }
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    all.append(level, text, now);
    const std::int64_t now_ms = std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
    const bool due = now_ms - all.written_at_ms >= Collected::kAgeMs;
    const bool now_or_full = !all.on || level >= Level::warn || all.bytes() >= Collected::kBytesMax;
    if (due || (now_or_full && !all.stuck)) {
        all.written_at_ms = now_ms;
        all.write();
    }
    return true;
}

/// What journald did not take at once gets one more chance when the process ends.
struct LastWords {
    ~LastWords() { last_words(); }
};

const LastWords g_last_words;

} // namespace

void write(Level level, std::string_view text)
{
    if (collect(level, text)) return;
    std::string line;
    line.reserve(text.size() + 32);
    if (g_form == Form::prefix) {
        line += {'<', priority_digit(level), '>'};
        line += "role=";
        line += spdlog::default_logger_raw()->name();
        line += ' ';
    }
    line += text;
    replace_controls(line.data(), line.size());
    spdlog::default_logger_raw()->log(
        spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

} // namespace shared::log
