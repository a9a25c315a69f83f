#include "admin_ui/parameters.hpp"

#include "shared/base/percent.hpp"
#include "shared/base/read_file.hpp"
#include "shared/providers/reset_time.hpp"

#include <algorithm>
#include <charconv>

namespace admin_ui {
namespace {

/// For a sentence: short, and nothing that could forge output.
std::string in_quotes(std::string_view text)
{
    constexpr std::size_t kShownMax = 40;
    std::string shown = shared::printable(text.substr(0, kShownMax));
    if (text.size() > kShownMax) shown += "…";
    return '"' + shown + '"';
}

template <class T>
bool parse_number(std::string_view text, T& value)
{
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

} // namespace

std::optional<std::string> decode_component(std::string_view text)
{
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+') {
            out += ' ';
        } else if (text[i] != '%') {
            out += text[i];
        } else {
            if (i + 2 >= text.size()) return std::nullopt;
            const int high = shared::hex_digit(text[i + 1]);
            const int low = shared::hex_digit(text[i + 2]);
            if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
            out += static_cast<char>(high * 16 + low);
            i += 2;
        }
    }
    return out;
}

Parameters::Parameters(std::string_view query, std::initializer_list<std::string_view> known)
{
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (pair.empty()) continue;
        const std::size_t equals = std::min(pair.find('='), pair.size());
        const auto name = decode_component(pair.substr(0, equals));
        const auto value = decode_component(pair.substr(std::min(equals + 1, pair.size())));
        if (!name || !value) {
            complain("The query holds a broken percent escape.");
            return;
        }
        if (std::find(known.begin(), known.end(), *name) == known.end()) {
            std::string names;
            for (const std::string_view one : known)
                names += (names.empty() ? "" : ", ") + std::string(one);
            complain(
                "There is no parameter " + in_quotes(*name) + " here; there are: " + names + '.');
        } else if (value->size() > kTextBytesMax) {
            complain(*name + " is longer than " + std::to_string(kTextBytesMax) + " bytes.");
        } else if (!shared::is_utf8(*value)) {
            complain(*name + " is no UTF-8.");
        } else if (!values_.emplace(*name, *value).second) {
            complain(*name + " is given twice.");
        }
    }
}

bool Parameters::has(std::string_view name) const
{
    const auto found = values_.find(name);
    return found != values_.end() && !found->second.empty();
}

std::string Parameters::text(std::string_view name)
{
    const auto found = values_.find(name);
    return found == values_.end() ? std::string() : found->second;
}

std::int64_t
Parameters::number(std::string_view name, std::int64_t fallback, std::int64_t min, std::int64_t max)
{
    if (!has(name)) return fallback;
    std::int64_t value = 0;
    if (parse_number(text(name), value) && value >= min && value <= max) return value;
    complain(
        std::string(name) + " must be a number from " + std::to_string(min) + " to " +
        std::to_string(max) + ", not " + in_quotes(text(name)) + '.');
    return fallback;
}

std::size_t Parameters::choice(std::string_view name, std::initializer_list<std::string_view> words)
{
    if (!has(name)) return 0;
    const auto* const found = std::find(words.begin(), words.end(), text(name));
    if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
    std::string all;
    for (const std::string_view word : words) {
        if (!word.empty()) all += (all.empty() ? "" : ", ") + std::string(word);
    }
    complain(std::string(name) + " must be one of " + all + ", not " + in_quotes(text(name)) + '.');
    return 0;
}

shared::UnixMillis Parameters::time(std::string_view name)
{
    if (!has(name)) return {};
    std::string given = text(name);
    constexpr std::size_t kDay = 10;    // 2026-05-14
    constexpr std::size_t kMinute = 16; // 2026-05-14T10:00
    constexpr std::size_t kSecond = 19;
    if (given.size() == kDay) given += "T00:00";
    if (given.size() == kMinute) given += ":00";
    if (given.size() == kSecond) given += 'Z';
    const auto parsed = shared::providers::parse_rfc3339(given);
    constexpr std::int64_t kYear2200 = 7'258'118'400'000;
    if (parsed && parsed->value > 0 && parsed->value < kYear2200) return *parsed;
    complain(
        std::string(name) + " must be a time like 2026-05-14 or 2026-05-14T10:00:00Z, not " +
        in_quotes(text(name)) + '.');
    return {};
}

std::int64_t Parameters::span(std::string_view name)
{
    if (!has(name)) return 0;
    const std::string given = text(name);
    constexpr std::int64_t kHour = 3'600'000;
    constexpr std::int64_t kHoursMax = 24 * 400;
    std::int64_t count = 0;
    const char unit = given.back();
    const bool good = (unit == 'd' || unit == 'h') &&
                      parse_number(std::string_view(given).substr(0, given.size() - 1), count);
    if (good && count > 0 && count <= kHoursMax) {
        const std::int64_t hours = unit == 'd' ? count * 24 : count;
        if (hours <= kHoursMax) return hours * kHour;
    }
    complain(
        std::string(name) + " must be a span like 7d or 48h, at most 400d, not " +
        in_quotes(given) + '.');
    return 0;
}

void Parameters::complain(std::string sentence)
{
    if (problem_.empty()) problem_ = std::move(sentence);
}

} // namespace admin_ui
