/// Reads the usage database, read-only. The supervisor writes it; its schema is described in supervisor/usage_db.hpp.
///
/// A database that is missing, locked or of another version is a Problem for the page to show, never for the pool.
/// Every question is bounded: it is answered on the admin child's one loop.
#pragma once

#include "admin_ui/pool_view.hpp"
#include "admin_ui/usage_report.hpp"
#include "shared/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3;

namespace admin_ui {

/// One finished request.
struct RequestEntry {
    std::int64_t row = 0; ///< its number in the database; later ones finished later
    std::string request_id;
    shared::UnixMillis started_at;
    shared::UnixMillis finished_at;
    std::string user;
    std::string provider;
    std::string account;
    std::string model;
    std::string path;
    std::int64_t status = 0;
    std::int64_t attempts = 0;
    std::string outcome;
    bool websocket = false;
    TokenSums tokens; ///< of this request
    std::int64_t duration_ms = 0;
    std::int64_t first_byte_ms = 0;
    std::int64_t own_us = 0;
    std::int64_t request_bytes = 0;
    std::int64_t response_bytes = 0;
    std::string upstream_request_id;
    std::int64_t queued_ms = 0;
    std::int64_t connect_ms = 0;
};

/// Which requests are wanted; what is empty does not matter.
struct RequestFilter {
    std::string user;
    std::string account;
    std::string model;
    std::string outcome;
    std::int64_t status_from = 0; ///< the first of a range, 0 = any
    std::int64_t status_to = 0;   ///< the last one
    bool failed = false;          ///< only those whose client got no useful answer
    shared::UnixMillis from;      ///< finished at or after
    shared::UnixMillis to;        ///< finished before
    std::int64_t before = 0;      ///< only rows before this one; 0 = from the newest
    std::size_t limit = 100;
};

/// What was found in one go.
struct RequestPage {
    std::vector<RequestEntry> requests; ///< newest first
    std::int64_t next = 0; ///< go on with this as `before`; 0 = there is nothing further back
    shared::UnixMillis
        searched_to; ///< how far back this go came before it had looked at enough; unset = to the end
};

inline constexpr std::size_t kRequestEntriesMax = 1000;
/// Rows that one search looks at before it answers with what it has.
inline constexpr std::int64_t kRowsSearchedMax = 20'000;

class UsageQuery {
public:
    explicit UsageQuery(std::filesystem::path path);
    UsageQuery(const UsageQuery&) = delete;
    UsageQuery& operator=(const UsageQuery&) = delete;
    ~UsageQuery();

    /// Sums since the database began, per account and model. An absent database gives nothing.
    [[nodiscard]] shared::Result<std::vector<ModelSums>> model_sums();
    /// The requests that finished last, newest first; at most kRequestEntriesMax.
    [[nodiscard]] shared::Result<std::vector<RequestEntry>> recent_requests(std::size_t limit);
    /// The newest of those that match.
    [[nodiscard]] shared::Result<RequestPage> find_requests(const RequestFilter& filter);
    /// By its row, or, if that is 0, by its id among the newest.
    [[nodiscard]] shared::Result<std::optional<RequestEntry>>
    find_request(std::string_view request_id, std::int64_t row);
    /// The roll-ups of a range, of one user or of all.
    [[nodiscard]] shared::Result<std::vector<UsageRow>> usage(const UsageRange& range);

    /// When a user's first and last requests were, and their sums; in order of names.
    struct UserSums {
        std::string user;
        shared::UnixMillis first_seen; ///< the day
        TokenSums sums;
    };

    [[nodiscard]] shared::Result<std::vector<UserSums>> users();

private:
    struct Connection;

    /// The open connection; nullptr without a Problem while there is no database yet.
    [[nodiscard]] shared::Result<sqlite3*> open();
    [[nodiscard]] shared::Problem broken();

    std::filesystem::path path_;
    std::unique_ptr<Connection> connection_;
};

} // namespace admin_ui
