/// Limits as an owner gives them: those for all users, and what one user has instead, field by field.
#pragma once

#include "shared/providers/provider.hpp"
#include "shared/segment/user_table.hpp"

#include <nlohmann/json_fwd.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace admin_ui {

/// What one user has instead of the limits for all. Unset = as for all; 0 or "*" = no limit.
struct OwnLimits {
    std::optional<std::uint64_t> requests_per_minute;
    std::optional<std::uint64_t> tokens_per_day;
    std::optional<std::uint64_t> tokens_per_week;
    std::optional<std::uint64_t> share_percent;
    std::optional<std::uint64_t> concurrency;
    std::optional<std::string> models;    ///< comma-separated, `*` at an end for any rest
    std::optional<std::string> providers; ///< names, comma-separated
    shared::UnixMillis expires_at;        ///< no credential works from then on; unset = never

    friend bool operator==(const OwnLimits&, const OwnLimits&) = default;
};

/// The limits for all users, as configured. 0 or empty = none.
struct CommonLimits {
    std::uint64_t requests_per_minute = 0;
    std::uint64_t tokens_per_day = 0;
    std::uint64_t tokens_per_week = 0;
    std::uint64_t share_percent = 0;
    std::uint64_t concurrency = 0;
    std::string models;
    std::string providers;
};

/// The names of the fields in the file, in requests and on the command line; the last is expires_at.
inline constexpr std::array<std::string_view, 8> kLimitNames{
    "requests_per_minute",
    "tokens_per_day",
    "tokens_per_week",
    "share_percent",
    "concurrency",
    "models",
    "providers",
    "expires_at"};

/// Sets one field from text: a number, a list, or a date (2026-12-31) or time. Empty = as for all. Returns what is
/// wrong with it; empty = nothing.
[[nodiscard]] std::string
set_limit(OwnLimits& limits, std::string_view name, std::string_view text);

/// The field as set_limit() takes it; empty = as for all.
[[nodiscard]] std::string limit_text(const OwnLimits& limits, std::string_view name);

/// Sets every field that `object` has; null = as for all. Returns what is wrong; empty = nothing.
[[nodiscard]] std::string read_limits(const nlohmann::ordered_json& object, OwnLimits& limits);
/// Writes into `object` what is set and takes out what is not; other keys stay.
void write_limits(const OwnLimits& limits, nlohmann::ordered_json& object);

/// What holds for a user.
[[nodiscard]] shared::UserLimits effective_limits(
    const CommonLimits& common, const OwnLimits& own, const shared::ProviderRegistry& registry);

/// Names of providers as bits; names that are none give no bit.
[[nodiscard]] std::uint32_t
provider_bits(std::string_view names, const shared::ProviderRegistry& registry);

} // namespace admin_ui
