/// Reads the usage database, read-only. The supervisor writes it; its schema is described in supervisor/usage_db.hpp.
///
/// A database that is missing, locked or of another version is a Problem for the page to show, never for the pool.
#pragma once

#include "admin_ui/pool_view.hpp"
#include "shared/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace admin_ui {

/// One finished request.
struct RequestEntry {
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
};

/// What was used in one hour, over all users, accounts and models.
struct HourSums {
    shared::UnixMillis hour;
    TokenSums sums;
};

inline constexpr std::size_t kRequestEntriesMax = 1000;
inline constexpr std::size_t kHoursMax = 24 * 31;

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
    /// Hours from `since` on, oldest first; hours without use are left out.
    [[nodiscard]] shared::Result<std::vector<HourSums>> hours(shared::UnixMillis since);

private:
    struct Connection;
    class Statement;

    /// The open connection; nullptr without a Problem while there is no database yet.
    [[nodiscard]] shared::Result<Connection*> open();
    [[nodiscard]] shared::Problem broken();

    std::filesystem::path path_;
    std::unique_ptr<Connection> connection_;
};

} // namespace admin_ui
