#include "admin_ui/usage_query.hpp"

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
constexpr std::int64_t kSchemaVersionMax = 2;

constexpr const char* kModelSums =
    "SELECT account, model, sum(requests), sum(failed_requests), sum(input_tokens),"
    " sum(cached_input_tokens), sum(cache_creation_tokens), sum(output_tokens),"
    " sum(reasoning_tokens), max(last_used)"
    " FROM usage_hourly GROUP BY account, model";

constexpr const char* kHourSums =
    "SELECT hour, sum(requests), sum(failed_requests), sum(input_tokens),"
    " sum(cached_input_tokens), sum(cache_creation_tokens), sum(output_tokens),"
    " sum(reasoning_tokens), max(last_used)"
    " FROM usage_hourly WHERE hour >= ? GROUP BY hour ORDER BY hour LIMIT ?";

constexpr const char* kRecent =
    "SELECT request_id, started_at, finished_at, user, provider, account, model, path, status,"
    " attempts, outcome, websocket, input_tokens, cached_input_tokens, cache_creation_tokens,"
    " output_tokens, reasoning_tokens, duration_ms, first_byte_ms, own_us, request_bytes,"
    " response_bytes, upstream_request_id"
    " FROM requests ORDER BY id DESC LIMIT ?";

struct CloseDatabase {
    void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
};

struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};

} // namespace

struct UsageQuery::Connection {
    std::unique_ptr<sqlite3, CloseDatabase> db;
};

/// A statement that is read once, column after column.
class UsageQuery::Statement {
public:
    Statement(sqlite3* db, const char* sql) noexcept
    {
        sqlite3_stmt* raw = nullptr;
        sqlite3_prepare_v2(db, sql, -1, &raw, nullptr);
        statement_.reset(raw);
    }

    [[nodiscard]] bool valid() const noexcept { return statement_ != nullptr; }

    void bind(int place, std::int64_t value) noexcept
    {
        sqlite3_bind_int64(statement_.get(), place, value);
    }

    [[nodiscard]] bool next_row() noexcept
    {
        column_ = 0;
        last_ = sqlite3_step(statement_.get());
        return last_ == SQLITE_ROW;
    }

    /// Whether the rows ended because there were no more.
    [[nodiscard]] bool complete() const noexcept { return last_ == SQLITE_DONE; }

    [[nodiscard]] std::int64_t number() noexcept
    {
        return sqlite3_column_int64(statement_.get(), column_++);
    }

    [[nodiscard]] std::string text()
    {
        const auto* data = sqlite3_column_text(statement_.get(), column_);
        const int size = sqlite3_column_bytes(statement_.get(), column_++);
        if (data == nullptr) return {};
        return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(size)};
    }

    /// The columns from sum(requests) to max(last_used).
    [[nodiscard]] TokenSums sums() noexcept
    {
        TokenSums sums;
        sums.requests = number();
        sums.failed_requests = number();
        tokens(sums);
        sums.last_used = {number()};
        return sums;
    }

    void tokens(TokenSums& sums) noexcept
    {
        sums.input = number();
        sums.cached_input = number();
        sums.cache_creation = number();
        sums.output = number();
        sums.reasoning = number();
    }

private:
    std::unique_ptr<sqlite3_stmt, FinalizeStatement> statement_;
    int column_ = 0;
    int last_ = SQLITE_DONE;
};

UsageQuery::UsageQuery(std::filesystem::path path) : path_(std::move(path)) {}

UsageQuery::~UsageQuery() = default;

Result<UsageQuery::Connection*> UsageQuery::open()
{
    if (connection_) return connection_.get();
    std::error_code ignored;
    if (!std::filesystem::exists(path_, ignored)) return static_cast<Connection*>(nullptr);
    auto connection = std::make_unique<Connection>();
    sqlite3* raw = nullptr;
    const int rc =
        sqlite3_open_v2(path_.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
    connection->db.reset(raw);
    connection_ = std::move(connection);
    if (rc != SQLITE_OK) return broken();
    sqlite3_busy_timeout(raw, kBusyTimeoutMillis);
    // This process is small; history is looked at rarely.
    sqlite3_exec(raw, "PRAGMA cache_size = -256; PRAGMA query_only = 1", nullptr, nullptr, nullptr);
    Statement version(raw, "PRAGMA user_version");
    if (!version.valid() || !version.next_row()) return broken();
    const std::int64_t found = version.number();
    if (found == 0) { // being made just now
        connection_.reset();
        return static_cast<Connection*>(nullptr);
    }
    if (found > kSchemaVersionMax) {
        connection_.reset();
        return Problem{path_.string(), "was written by a newer version", "run the newer version"};
    }
    return connection_.get();
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
    const Result<Connection*> connection = open();
    if (!connection.has_value()) return connection.error();
    std::vector<ModelSums> all;
    if (*connection == nullptr) return all;
    Statement query((*connection)->db.get(), kModelSums);
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

Result<std::vector<HourSums>> UsageQuery::hours(shared::UnixMillis since)
{
    const Result<Connection*> connection = open();
    if (!connection.has_value()) return connection.error();
    std::vector<HourSums> all;
    if (*connection == nullptr) return all;
    Statement query((*connection)->db.get(), kHourSums);
    if (!query.valid()) return broken();
    query.bind(1, since.value);
    query.bind(2, static_cast<std::int64_t>(kHoursMax));
    while (query.next_row()) {
        HourSums& row = all.emplace_back();
        row.hour = {query.number()};
        row.sums = query.sums();
    }
    if (!query.complete()) return broken();
    return all;
}

Result<std::vector<RequestEntry>> UsageQuery::recent_requests(std::size_t limit)
{
    const Result<Connection*> connection = open();
    if (!connection.has_value()) return connection.error();
    std::vector<RequestEntry> all;
    if (*connection == nullptr) return all;
    Statement query((*connection)->db.get(), kRecent);
    if (!query.valid()) return broken();
    query.bind(1, static_cast<std::int64_t>(std::min(limit, kRequestEntriesMax)));
    while (query.next_row()) {
        RequestEntry& row = all.emplace_back();
        row.request_id = query.text();
        row.started_at = {query.number()};
        row.finished_at = {query.number()};
        row.user = query.text();
        row.provider = query.text();
        row.account = query.text();
        row.model = query.text();
        row.path = query.text();
        row.status = query.number();
        row.attempts = query.number();
        row.outcome = query.text();
        row.websocket = query.number() != 0;
        query.tokens(row.tokens);
        row.duration_ms = query.number();
        row.first_byte_ms = query.number();
        row.own_us = query.number();
        row.request_bytes = query.number();
        row.response_bytes = query.number();
        row.upstream_request_id = query.text();
    }
    if (!query.complete()) return broken();
    return all;
}

} // namespace admin_ui
