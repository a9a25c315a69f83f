/// The usage database: one row per request and roll-ups per hour and day, user, account and model. This is its only
/// writer, in the supervisor and in drainers beside it; admin_ui/usage_query reads the same file (WAL). SQLite stays in
/// usage_db.cpp.
///
/// A drainer of an older version may go on writing for hours after a migration: migrations only add tables, and columns
/// with a default.
///
/// Schema (version 3; times in milliseconds since 1970, UTC):
///   requests(id, request_id, started_at, finished_at, user, provider, account, model, path, status, attempts,
///            outcome, websocket, input_tokens, cached_input_tokens, cache_creation_tokens, output_tokens,
///            reasoning_tokens, duration_ms, first_byte_ms, own_us, request_bytes, response_bytes,
///            upstream_request_id, conversation, queued_ms, connect_ms)
///            in the order of finishing; pruned after usage_retention_days;
///            conversation is a hash: the same number = the same conversation; 0 = none (version 1: not known)
///   usage_hourly(hour, user, account, model, requests, failed_requests, input_tokens, cached_input_tokens,
///            cache_creation_tokens, output_tokens, reasoning_tokens, duration_ms, last_used)   never pruned
///   usage_daily(day, …)     the same sums per UTC day, for pages that show months; never pruned
#pragma once

#include "shared/base/result.hpp"
#include "supervisor/usage_backlog.hpp"
#include "supervisor/usage_sums.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace supervisor {

using RequestId = std::array<char, 16>; ///< as in UsageEntry

/// SQL that brings a database from one schema version to the next.
using Migration = std::string_view;

/// Migration i leads from version i to version i + 1.
[[nodiscard]] std::span<const Migration> usage_migrations() noexcept;

/// The id of the account in a row; empty for kNone.
using AccountNames = std::function<std::string_view(shared::AccountSlot)>;

class UsageDb {
public:
    /// Opens or creates (0600, its folder 0700), checks and migrates. A file that is not ours, damaged, from a newer
    /// version, or the predecessor's BoltDB is left exactly as it is and named in the Problem.
    [[nodiscard]] static shared::Result<UsageDb> open(
        const std::filesystem::path& path,
        std::span<const Migration> migrations = usage_migrations());

    /// For a drainer, beside the pool: also one that a newer version has brought up to its own schema.
    [[nodiscard]] static shared::Result<UsageDb> open_beside(const std::filesystem::path& path);

    UsageDb(UsageDb&&) noexcept;
    UsageDb& operator=(UsageDb&&) noexcept;
    UsageDb(const UsageDb&) = delete;
    UsageDb& operator=(const UsageDb&) = delete;
    ~UsageDb();

    /// Writes the first `rows` waiting rows and all waiting sums, with their roll-ups, in one transaction: all or
    /// nothing.
    [[nodiscard]] shared::Result<void>
    write(const UsageBacklog& backlog, std::size_t rows, const AccountNames& account_names);

    /// Sums since the database began, by account id.
    [[nodiscard]] shared::Result<std::map<std::string, UsageSums, std::less<>>> account_totals();

    /// Whether another process has written since this was asked last.
    [[nodiscard]] bool others_wrote();

    /// Of the `max` requests written last.
    [[nodiscard]] shared::Result<std::set<RequestId>> newest_request_ids(std::size_t max);

    /// Of the `max` oldest request rows deletes those that finished before `cutoff`; says how many.
    [[nodiscard]] shared::Result<std::size_t>
    delete_before(shared::UnixMillis cutoff, std::size_t max);

private:
    struct Connection;
    [[nodiscard]] static shared::Result<UsageDb> open(
        const std::filesystem::path& path,
        std::span<const Migration> migrations,
        std::size_t newest);
    explicit UsageDb(std::unique_ptr<Connection> connection) noexcept;

    std::unique_ptr<Connection> connection_;
};

} // namespace supervisor
