#include "admin_ui/usage_query.hpp"

#include "admin_ui/request_search.hpp"
#include "admin_ui/usage_statement.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace admin_ui {
namespace {

using shared::Problem;
using shared::Result;

/// Readers of a WAL database wait for nobody but a recovery or a schema change.
constexpr int kBusyTimeoutMillis = 500;
constexpr std::int64_t kSchemaVersion = 3;

#define SUMS                                                                                       \
    "sum(requests), sum(failed_requests), sum(input_tokens), sum(cached_input_tokens),"            \
    " sum(cache_creation_tokens), sum(output_tokens), sum(reasoning_tokens), max(last_used)"

constexpr const char* kModelSums =
    "SELECT account, model, " SUMS " FROM usage_daily GROUP BY account, model";

constexpr const char* kUserSums =
    "SELECT user, min(day), " SUMS " FROM usage_daily GROUP BY user ORDER BY user LIMIT 20000";

#define ROWS                                                                                       \
    ", user, account, model, requests, failed_requests, input_tokens, cached_input_tokens,"        \
    " cache_creation_tokens, output_tokens, reasoning_tokens, last_used FROM "
constexpr const char* kHours = "SELECT hour" ROWS "usage_hourly WHERE hour >= ? AND hour < ?"
                               " AND (?3 = '' OR user = ?3)";
constexpr const char* kDays = "SELECT day" ROWS "usage_daily WHERE day >= ? AND day < ?"
                              " AND (?3 = '' OR user = ?3)";
#undef SUMS
#undef ROWS

struct CloseDatabase {
    void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
};

} // namespace

struct UsageQuery::Connection {
    std::unique_ptr<sqlite3, CloseDatabase> db;
};

UsageQuery::UsageQuery(std::filesystem::path path) : path_(std::move(path)) {}

UsageQuery::~UsageQuery() = default;

Result<sqlite3*> UsageQuery::open()
{
    if (connection_) return connection_->db.get();
    std::error_code ignored;
    if (!std::filesystem::exists(path_, ignored)) return static_cast<sqlite3*>(nullptr);
    auto connection = std::make_unique<Connection>();
    sqlite3* raw = nullptr;
    const int rc =
        sqlite3_open_v2(path_.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
    connection->db.reset(raw);
    connection_ = std::move(connection);
    if (rc != SQLITE_OK) return broken();
    sqlite3_busy_timeout(raw, kBusyTimeoutMillis);
    // This process is small; history is looked at rarely.
    sqlite3_exec(
        raw, "PRAGMA cache_size = -4096; PRAGMA query_only = 1", nullptr, nullptr, nullptr);
    Statement version(raw, "PRAGMA user_version");
    if (!version.valid() || !version.next_row()) return broken();
    const std::int64_t found = version.number();
    if (found == kSchemaVersion) return raw;
    connection_.reset();
    if (found == 0) return static_cast<sqlite3*>(nullptr); // being made just now
    if (found > kSchemaVersion)
        return Problem{path_.string(), "was written by a newer version", "run the newer version"};
    return Problem{path_.string(), "is of an older version", "start the pool once: it migrates it"};
}

/// What SQLite says; the next query opens the file anew.
Problem UsageQuery::broken()
{
    const std::string what =
        connection_ && connection_->db ? sqlite3_errmsg(connection_->db.get()) : "out of memory";
    connection_.reset();
    return {path_.string(), "cannot read the usage database: " + what, ""};
}

Result<std::vector<ModelSums>> UsageQuery::model_sums()
{
    const Result<sqlite3*> db = open();
    if (!db.has_value()) return db.error();
    std::vector<ModelSums> all;
    if (*db == nullptr) return all;
    Statement query(*db, kModelSums);
    if (!query.valid()) return broken();
    while (query.next_row()) {
        ModelSums& row = all.emplace_back();
        row.account = query.text();
        row.model = query.text();
        row.sums = query.sums();
    }
    if (!query.complete()) return broken();
    return all;
}

Result<std::vector<UsageQuery::UserSums>> UsageQuery::users()
{
    const Result<sqlite3*> db = open();
    if (!db.has_value()) return db.error();
    std::vector<UserSums> all;
    if (*db == nullptr) return all;
    Statement query(*db, kUserSums);
    if (!query.valid()) return broken();
    while (query.next_row()) {
        UserSums& row = all.emplace_back();
        row.user = query.text();
        row.first_seen = {query.number()};
        row.sums = query.sums();
    }
    if (!query.complete()) return broken();
    return all;
}

Result<std::vector<UsageRow>> UsageQuery::usage(const UsageRange& range)
{
    const Result<sqlite3*> db = open();
    if (!db.has_value()) return db.error();
    std::vector<UsageRow> all;
    if (*db == nullptr) return all;
    Statement query(*db, range.step == UsageStep::hour ? kHours : kDays);
    if (!query.valid()) return broken();
    query << range.from.value << range.to.value << std::string_view(range.user);
    while (query.next_row()) {
        UsageRow& row = all.emplace_back();
        row.at = {query.number()};
        row.user = query.text();
        row.account = query.text();
        row.model = query.text();
        row.sums = query.sums();
    }
    if (!query.complete()) return broken();
    return all;
}

Result<std::vector<RequestEntry>> UsageQuery::recent_requests(std::size_t limit)
{
    RequestFilter newest;
    newest.limit = limit;
    auto page = find_requests(newest);
    if (!page.has_value()) return page.error();
    return std::move(page->requests);
}

Result<RequestPage> UsageQuery::find_requests(const RequestFilter& filter)
{
    const Result<sqlite3*> db = open();
    if (!db.has_value()) return db.error();
    if (*db == nullptr) return RequestPage();
    auto page = RequestSearch(*db, filter).run();
    if (!page) return broken();
    return std::move(*page);
}

Result<std::optional<RequestEntry>>
UsageQuery::find_request(std::string_view request_id, std::int64_t row)
{
    const Result<sqlite3*> db = open();
    if (!db.has_value()) return db.error();
    std::optional<RequestEntry> found;
    if (*db == nullptr) return found;
    if (!search_request(*db, request_id, row, found)) return broken();
    return found;
}

} // namespace admin_ui
