#include "shared/base/log_record.hpp"

#include "shared/base/read_file.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

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

/// Its place in the table; the table's size for all others. One line per request comes through here.
std::size_t journal_field(std::string_view key)
{
    // By the length of a key: a bit for the place of each that is so long.
    constexpr std::array<std::uint32_t, 9> kOfSize{0, 0, 2, 0, 4, 0x120, 0x240, 0x89, 0x10};
    if (key.size() >= kOfSize.size()) return kJournalFields.size();
    for (std::uint32_t left = kOfSize[key.size()]; left != 0; left &= left - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(left));
        if (kJournalFields[i].key == key) return i;
    }
    return kJournalFields.size();
}

/// Calls `take(key, value)` for each `key=value` and `key="value"` of a line; quotes are not part of the value.
template <class Take>
void for_each_field(std::string_view text, Take&& take)
{
    while (!text.empty()) {
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos) return;
        // Words before it belong to no field.
        const std::size_t blank = text.substr(0, equals).rfind(' ');
        const std::size_t begin = blank == std::string_view::npos ? 0 : blank + 1;
        const std::string_view key = text.substr(begin, equals - begin);
        text.remove_prefix(equals + 1);
        const bool quoted = !text.empty() && text.front() == '"';
        if (quoted) text.remove_prefix(1);
        const std::size_t end = std::min(text.find(quoted ? '"' : ' '), text.size());
        take(key, text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
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

void replace_controls(char* text, std::size_t size) noexcept
{
    constexpr std::uint64_t kOnes = 0x0101010101010101;
    constexpr std::uint64_t kHighs = 0x8080808080808080;
    std::size_t at = 0;
    // Eight at a time are looked at, and nearly always there is none.
    for (; at + 8 <= size; at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, text + at, 8);
        const std::uint64_t low = (word - kOnes * 0x20) & ~word;
        const std::uint64_t rub = word ^ (kOnes * 0x7F);
        const std::uint64_t found = (low | ((rub - kOnes) & ~rub)) & kHighs;
        if (found == 0) continue;
        for (std::size_t i = at; i < at + 8; ++i)
            if (static_cast<unsigned char>(text[i]) < 0x20 || text[i] == 0x7F) text[i] = '?';
    }
    for (; at < size; ++at)
        if (static_cast<unsigned char>(text[at]) < 0x20 || text[at] == 0x7F) text[at] = '?';
}

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
    replace_controls(to.data() + begin, text.size());
    const std::string_view line(to.data() + begin, text.size());
    to += "\nPRIORITY=";
    to += priority_digit(level);
    to += "\nSYSLOG_IDENTIFIER=codex-pool\nPOOL_ROLE=";
    to += role;
    to += '\n';
    std::uint32_t seen = 0; // by the place of the name's first key
    for_each_field(line, [&](std::string_view key, std::string_view value) {
        if (value.empty() || value == "-") return;
        const std::size_t i = journal_field(key);
        if (i == kJournalFields.size()) return;
        const std::uint32_t bit = 1U << (i == 1 ? 0 : i); // "id" and "request" are one
        if ((seen & bit) != 0) return;
        seen |= bit;
        to.append(kJournalFields[i].name).append(value).append(1, '\n');
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
