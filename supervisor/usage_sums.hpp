/// Token sums per hour, user, account and model: the roll-up that the database keeps for ever, and what is left
/// of rows that could not be kept. Pure; used by usage_backlog, usage_db and usage_writer.
#pragma once

#include "shared/base/units.hpp"
#include "shared/segment/layout.hpp"

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace supervisor {

/// No single request is believed to have cost more: a hostile or torn number must not overflow a sum.
inline constexpr std::int64_t kTokensPerRequestMax = std::int64_t{1} << 40;

/// What one roll-up row is about.
struct UsageKey {
    std::int64_t hour_ms = 0; ///< beginning of the UTC hour in which the requests finished
    std::string user;
    std::string account; ///< account id; empty = no account answered
    std::string model;
};

/// The same, borrowed: to look a key up without copying its texts.
struct UsageKeyView {
    std::int64_t hour_ms = 0;
    std::string_view user;
    std::string_view account;
    std::string_view model;

    UsageKeyView(const UsageKey& key) noexcept
        : hour_ms(key.hour_ms), user(key.user), account(key.account), model(key.model)
    {}

    UsageKeyView(const shared::UsageEntry& entry, std::string_view account_id) noexcept;

    friend auto operator<=>(const UsageKeyView&, const UsageKeyView&) = default;
};

struct UsageKeyLess {
    using is_transparent = void;

    bool operator()(const UsageKeyView& a, const UsageKeyView& b) const noexcept { return a < b; }
};

struct UsageSums {
    std::int64_t requests = 0;
    std::int64_t failed_requests = 0;
    std::int64_t input = 0;
    std::int64_t cached_input = 0;
    std::int64_t cache_creation = 0;
    std::int64_t output = 0;
    std::int64_t reasoning = 0;
    std::int64_t duration_ms = 0;
    std::int64_t last_used_ms = 0;

    void add(const shared::UsageEntry& entry) noexcept;
    void add(const UsageSums& other) noexcept;
};

using UsageSumsByKey = std::map<UsageKey, UsageSums, UsageKeyLess>;

/// Whether the client got no useful answer: an error status, a cut answer, a refusal, a killed worker. A client
/// that left by itself did not fail.
[[nodiscard]] bool is_failure(const shared::UsageEntry& entry) noexcept;

/// Makes an entry from another process safe to count and store: numbers within bounds, a finish time, valid
/// printable UTF-8 in its texts.
void sanitize(shared::UsageEntry& entry, shared::UnixMillis now) noexcept;

/// Adds one request to the sums of its key.
void add_usage(UsageSumsByKey& sums, const shared::UsageEntry& entry, std::string_view account);

} // namespace supervisor
