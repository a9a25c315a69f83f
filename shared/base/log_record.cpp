#include "shared/base/log_record.hpp"

#include "shared/base/read_file.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace shared::log {
namespace {

/// journald takes more, but a line of ours is far shorter; what is longer is cut.
constexpr std::size_t kMessageMax = 16 * 1024;

/// What a field of a line is called in the journal.
struct JournalField {
    std::string_view key;
    std::string_view name; ///< with its '='
};

// "id" is what WebSocket turns call their request.
constexpr std::array<JournalField, 10> kJournalFields{
    {{"request", "POOL_REQUEST_ID="},
     {"id", "POOL_REQUEST_ID="},
     {"user", "POOL_USER="},
     {"account", "POOL_ACCOUNT="},
     {"provider", "POOL_PROVIDER="},
     {"model", "POOL_MODEL="},
     {"status", "POOL_STATUS="},
     {"outcome", "POOL_OUTCOME="},
     {"event", "POOL_EVENT="},
     {"client", "POOL_CLIENT="}}};

/// Calls `take(key, value)` for each `key=value` and `key="value"` of a line; quotes are not part of the value.
template <class Take>
void for_each_field(std::string_view text, Take&& take)
{
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t begin = at;
        while (at < text.size() && text[at] != '=' && text[at] != ' ')
            ++at;
        if (at >= text.size()) return;
        if (text[at] == ' ') { // a word
            ++at;
            continue;
        }
        const std::string_view key = text.substr(begin, at - begin);
        ++at;
        const bool quoted = at < text.size() && text[at] == '"';
        if (quoted) ++at;
        const std::size_t end = std::min(text.find(quoted ? '"' : ' ', at), text.size());
        take(key, text.substr(at, end - at));
        at = end + (quoted ? 2 : 1);
    }
}

bool is_number(std::string_view text)
{
    // Leading zeros and more digits than a double holds are names, not numbers.
    return !text.empty() && text.size() <= 15 && (text.size() == 1 || text[0] != '0') &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void append_json_string(std::string& to, std::string_view text)
{
    to += '"';
    for (const char c : printable(text)) {
        if (c == '"' || c == '\\') to += '\\';
        to += c;
    }
    to += '"';
}

} // namespace

std::string_view to_string(Level level) noexcept
{
    constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warn", "error"};
    return kNames[static_cast<std::size_t>(level)];
}

char priority_digit(Level level) noexcept
{
    constexpr std::array<char, 4> kDigits{'7', '6', '4', '3'};
    return kDigits[static_cast<std::size_t>(level)];
}

void append_journal_record(
    std::string& to, Level level, std::string_view role, std::string_view text)
{
    constexpr std::string_view kMessage = "MESSAGE=";
    constexpr std::size_t kNamesMax = 512; ///< everything but the line and its values
    text = text.substr(0, kMessageMax);
    // The values below are read from `to` itself, which must not move.
    to.reserve(to.size() + 2 * text.size() + role.size() + kNamesMax);
    to += kMessage;
    const std::size_t begin = to.size();
    to += text;
    // A line break would end the field and begin another.
    std::replace_if(
        to.begin() + static_cast<std::ptrdiff_t>(begin),
        to.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; },
        '?');
    const std::string_view line(to.data() + begin, text.size());
    to += "\nPRIORITY=";
    to += priority_digit(level);
    to += "\nSYSLOG_IDENTIFIER=codex-pool\nPOOL_ROLE=";
    to += role;
    to += '\n';
    std::uint32_t seen = 0; // by the place of the name's first key
    for_each_field(line, [&](std::string_view key, std::string_view value) {
        if (value.empty() || value == "-") return;
        for (std::size_t i = 0; i < kJournalFields.size(); ++i) {
            if (kJournalFields[i].key != key) continue;
            const std::size_t name = i == 1 ? 0 : i;
            if ((seen & 1U << name) != 0) return;
            seen |= 1U << name;
            to += kJournalFields[i].name;
            to += value;
            to += '\n';
            return;
        }
    });
}

void append_json_record(
    std::string& to,
    std::string_view time,
    Level level,
    std::string_view role,
    std::string_view text)
{
    to += R"({"time":")";
    to += time;
    to += R"(","level":")";
    to += to_string(level);
    to += R"(","role":)";
    append_json_string(to, role);
    to += R"(,"message":)";
    append_json_string(to, text);
    std::string names = " time level role message ";
    for_each_field(text, [&](std::string_view key, std::string_view value) {
        const std::string name = " " + std::string(key) + " ";
        if (key.empty() || value == "-" || names.find(name) != std::string::npos) return;
        names += name.substr(1);
        to += ',';
        append_json_string(to, key);
        to += ':';
        if (is_number(value))
            to += value;
        else
            append_json_string(to, value);
    });
    to += "}\n";
}

} // namespace shared::log
