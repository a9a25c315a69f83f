/// The query of a request, decoded and checked: every parameter is known, given once and in its range, or there is one
/// sentence that says what is wrong.
#pragma once

#include "shared/base/units.hpp"

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace admin_ui {

class Parameters {
public:
    /// `known` are the names that may appear.
    Parameters(std::string_view query, std::initializer_list<std::string_view> known);

    /// What is wrong with the query or with a value asked for so far; empty if nothing is.
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

    [[nodiscard]] bool has(std::string_view name) const;
    /// As it was given, decoded; empty if absent. At most kTextBytesMax.
    [[nodiscard]] std::string text(std::string_view name);
    [[nodiscard]] std::int64_t
    number(std::string_view name, std::int64_t fallback, std::int64_t min, std::int64_t max);
    /// One of the words; the first if absent. Returns its place.
    [[nodiscard]] std::size_t
    choice(std::string_view name, std::initializer_list<std::string_view> words);
    /// "2026-05-14", "2026-05-14T10:00", "2026-05-14T10:00:00Z" (UTC); unset if absent.
    [[nodiscard]] shared::UnixMillis time(std::string_view name);
    /// "7d", "48h": a length of time in milliseconds; 0 if absent.
    [[nodiscard]] std::int64_t span(std::string_view name);

    /// Only the first is kept.
    void complain(std::string sentence);

    static constexpr std::size_t kTextBytesMax = 256;

private:
    std::map<std::string, std::string, std::less<>> values_;
    std::string problem_;
};

/// Undoes %XX (and '+' as a blank); nothing if it is malformed or hides a zero byte.
[[nodiscard]] std::optional<std::string> decode_component(std::string_view text);

} // namespace admin_ui
