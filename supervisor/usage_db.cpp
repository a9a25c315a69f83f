#include "supervisor/usage_db.hpp"

#include "shared/base/hash.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/account_table.hpp"
#include "supervisor/database_file.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

namespace supervisor {
namespace {

using shared::Problem;
using shared::Result;

/// "cpol": marks an SQLite file as ours.
constexpr std::int64_t kApplicationId = 0x63706F6C;
/// A whole check reads the whole file: only for one that is read within a moment. Larger ones are checked
/// as they are used.
constexpr std::uintmax_t kQuickCheckBytesMax = std::uintmax_t{64} << 20U;
constexpr int kBusyTimeoutMillis = 2000;

constexpr Migration kVersion1 = R"sql(
CREATE TABLE requests (
    id                    INTEGER PRIMARY KEY,
    request_id            TEXT    NOT NULL,
    started_at            INTEGER NOT NULL,
    finished_at           INTEGER NOT NULL,
    user                  TEXT    NOT NULL,
    provider              TEXT    NOT NULL,
    account               TEXT    NOT NULL,
    model                 TEXT    NOT NULL,
    path                  TEXT    NOT NULL,
    status                INTEGER NOT NULL,
    attempts              INTEGER NOT NULL,
    outcome               TEXT    NOT NULL,
    websocket             INTEGER NOT NULL,
    input_tokens          INTEGER NOT NULL,
    cached_input_tokens   INTEGER NOT NULL,
    cache_creation_tokens INTEGER NOT NULL,
    output_tokens         INTEGER NOT NULL,
    reasoning_tokens      INTEGER NOT NULL,
    duration_ms           INTEGER NOT NULL,
    first_byte_ms         INTEGER NOT NULL,
    own_us                INTEGER NOT NULL,
    request_bytes         INTEGER NOT NULL,
    response_bytes        INTEGER NOT NULL,
    upstream_request_id   TEXT    NOT NULL
);
CREATE TABLE usage_hourly (
    hour                  INTEGER NOT NULL,
    user                  TEXT    NOT NULL,
    account               TEXT    NOT NULL,
    model                 TEXT    NOT NULL,
    requests              INTEGER NOT NULL,
    failed_requests       INTEGER NOT NULL,
    input_tokens          INTEGER NOT NULL,
    cached_input_tokens   INTEGER NOT NULL,
    cache_creation_tokens INTEGER NOT NULL,
    output_tokens         INTEGER NOT NULL,
    reasoning_tokens      INTEGER NOT NULL,
    duration_ms           INTEGER NOT NULL,
    last_used             INTEGER NOT NULL,
    PRIMARY KEY (hour, user, account, model)
) WITHOUT ROWID;
)sql";

// `simulate` replays conversations, which must be told apart for that.
constexpr Migration kVersion2 =
    "ALTER TABLE requests ADD COLUMN conversation INTEGER NOT NULL DEFAULT 0;";

// Pages show months at once: days are summed once, not whenever somebody looks. The clock of a request gets its two
// missing parts.
constexpr Migration kVersion3 = R"sql(
CREATE TABLE usage_daily (
    day                   INTEGER NOT NULL,
    user                  TEXT    NOT NULL,
    account               TEXT    NOT NULL,
    model                 TEXT    NOT NULL,
    requests              INTEGER NOT NULL,
    failed_requests       INTEGER NOT NULL,
    input_tokens          INTEGER NOT NULL,
    cached_input_tokens   INTEGER NOT NULL,
    cache_creation_tokens INTEGER NOT NULL,
    output_tokens         INTEGER NOT NULL,
    reasoning_tokens      INTEGER NOT NULL,
    duration_ms           INTEGER NOT NULL,
    last_used             INTEGER NOT NULL,
    PRIMARY KEY (day, user, account, model)
) WITHOUT ROWID;
INSERT INTO usage_daily
    SELECT hour / 86400000 * 86400000, user, account, model, sum(requests), sum(failed_requests),
           sum(input_tokens), sum(cached_input_tokens), sum(cache_creation_tokens),
           sum(output_tokens), sum(reasoning_tokens), sum(duration_ms), max(last_used)
    FROM usage_hourly GROUP BY 1, 2, 3, 4;
ALTER TABLE requests ADD COLUMN queued_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN connect_ms INTEGER NOT NULL DEFAULT 0;
)sql";

constexpr std::array kMigrations{kVersion1, kVersion2, kVersion3};

constexpr const char* kInsertRequest =
    "INSERT INTO requests(request_id, started_at, finished_at, user, provider, account, model, "
    "path,"
    " status, attempts, outcome, websocket, input_tokens, cached_input_tokens, "
    "cache_creation_tokens,"
    " output_tokens, reasoning_tokens, duration_ms, first_byte_ms, own_us, request_bytes,"
    " response_bytes, upstream_request_id, conversation, queued_ms, connect_ms)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";

#define ADD_SUMS(table, time)                                                                      \
    "INSERT INTO " table "(" time ", user, account, model, requests, failed_requests,"             \
    " input_tokens, cached_input_tokens, cache_creation_tokens, output_tokens, reasoning_tokens,"  \
    " duration_ms, last_used) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"                                  \
    " ON CONFLICT(" time ", user, account, model) DO UPDATE SET"                                   \
    " requests = requests + excluded.requests,"                                                    \
    " failed_requests = failed_requests + excluded.failed_requests,"                               \
    " input_tokens = input_tokens + excluded.input_tokens,"                                        \
    " cached_input_tokens = cached_input_tokens + excluded.cached_input_tokens,"                   \
    " cache_creation_tokens = cache_creation_tokens + excluded.cache_creation_tokens,"             \
    " output_tokens = output_tokens + excluded.output_tokens,"                                     \
    " reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens,"                            \
    " duration_ms = duration_ms + excluded.duration_ms,"                                           \
    " last_used = max(last_used, excluded.last_used)"
constexpr const char* kAddHourly = ADD_SUMS("usage_hourly", "hour");
constexpr const char* kAddDaily = ADD_SUMS("usage_daily", "day");
#undef ADD_SUMS

constexpr std::int64_t kDayMillis = 24LL * 3600 * 1000;

// Rows are inserted as requests finish, so the oldest have the lowest ids: an index on the time would cost every
// insert a quarter more.
constexpr const char* kDeleteBefore = "DELETE FROM requests WHERE finished_at < ? AND id IN "
                                      "(SELECT id FROM requests ORDER BY id LIMIT ?)";

constexpr const char* kTotals =
    "SELECT account, sum(requests), sum(failed_requests), sum(input_tokens), "
    "sum(cached_input_tokens),"
    " sum(cache_creation_tokens), sum(output_tokens), sum(reasoning_tokens), max(last_used)"
    " FROM usage_daily WHERE account <> '' GROUP BY account";

struct CloseDatabase {
    void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
};

struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};

/// A prepared statement; binds in the order of its question marks. What stands at a mark stays there: most values of a
/// row are those of the row before, and to compare costs less than to bind.
class Statement {
public:
    Statement(sqlite3* db, const char* sql)
    {
        sqlite3_stmt* raw = nullptr;
        sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
        statement_.reset(raw);
        bound_.resize(raw == nullptr ? 0 : sqlite3_bind_parameter_count(raw));
    }

    [[nodiscard]] bool valid() const noexcept { return statement_ != nullptr; }

    Statement& operator<<(std::string_view text)
    {
        Bound& bound = bound_[next_++];
        if (bound.kind == Bound::Kind::text && bound.text == text) return *this;
        bound.text = text;
        const int code = sqlite3_bind_text(
            statement_.get(),
            static_cast<int>(next_),
            bound.text.c_str(),
            static_cast<int>(text.size()),
            SQLITE_STATIC);
        bound.kind = code == SQLITE_OK ? Bound::Kind::text : Bound::Kind::nothing;
        return *this;
    }

    template <std::integral T>
    Statement& operator<<(T value) noexcept
    {
        const auto number = static_cast<std::int64_t>(value);
        Bound& bound = bound_[next_++];
        if (bound.kind == Bound::Kind::number && bound.number == number) return *this;
        bound.number = number;
        const int code = sqlite3_bind_int64(statement_.get(), static_cast<int>(next_), number);
        bound.kind = code == SQLITE_OK ? Bound::Kind::number : Bound::Kind::nothing;
        return *this;
    }

    [[nodiscard]] bool next_row() noexcept { return sqlite3_step(statement_.get()) == SQLITE_ROW; }

    /// Runs it to its end and makes it ready for the next values. True if it succeeded.
    bool run() noexcept
    {
        while (next_row()) {
        }
        return reset();
    }

    bool reset() noexcept
    {
        next_ = 0;
        return sqlite3_reset(statement_.get()) == SQLITE_OK;
    }

    [[nodiscard]] std::int64_t number(int column) const noexcept
    {
        return sqlite3_column_int64(statement_.get(), column);
    }

    [[nodiscard]] std::string text(int column) const
    {
        const auto* data = sqlite3_column_text(statement_.get(), column);
        const int size = sqlite3_column_bytes(statement_.get(), column);
        return data == nullptr
                   ? std::string()
                   : std::string(
                         reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
    }

private:
    struct Bound {
        enum class Kind : std::uint8_t { nothing, number, text } kind = Kind::nothing;
        std::int64_t number = 0;
        std::string text; ///< SQLite reads it from here
    };

    std::vector<Bound> bound_; ///< by question mark; never resized, so texts stay where they are
    std::size_t next_ = 0;
    std::unique_ptr<sqlite3_stmt, FinalizeStatement> statement_;
};

constexpr std::string_view provider_name(std::uint8_t id) noexcept
{
    switch (static_cast<shared::ProviderId>(id)) {
#define PROVIDER(number, name)                                                                     \
    case shared::ProviderId::name:                                                                 \
        return #name;
#include "shared/providers/provider_list.hpp"
#undef PROVIDER
    case shared::ProviderId::none:
        break;
    }
    return "";
}

/// As the client was shown it; `buffer` holds it if it cannot be shown as it is.
std::string_view request_id_text(const std::array<char, 16>& id, std::string& buffer)
{
    const std::string_view all(id.data(), id.size());
    const std::string_view text = all.substr(0, all.find('\0'));
    const bool plain =
        std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
    if (plain) return text;
    buffer = shared::to_hex(all);
    return buffer;
}

/// The same sums per day; a key's hour is then the day's first.
UsageSumsByKey by_day(const UsageSumsByKey& hourly)
{
    UsageSumsByKey daily;
    for (const auto& [key, sums] : hourly) {
        UsageKey day = key;
        day.hour_ms = key.hour_ms / kDayMillis * kDayMillis;
        daily[std::move(day)].add(sums);
    }
    return daily;
}

} // namespace

std::span<const Migration> usage_migrations() noexcept
{
    return kMigrations;
}

struct UsageDb::Connection {
    std::filesystem::path path;
    std::unique_ptr<sqlite3, CloseDatabase> db;
    std::unique_ptr<Statement> insert_request;
    std::unique_ptr<Statement> add_hourly;
    std::unique_ptr<Statement> add_daily;
    std::unique_ptr<Statement> remove;
    std::int64_t others_seen = 0; ///< PRAGMA data_version: changes when another connection writes

    [[nodiscard]] bool run(const char* sql) const noexcept
    {
        return sqlite3_exec(db.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK;
    }

    [[nodiscard]] std::int64_t pragma(const char* sql) const
    {
        Statement statement(db.get(), sql);
        return statement.valid() && statement.next_row() ? statement.number(0) : -1;
    }

    [[nodiscard]] Problem problem(const char* doing) const;
    [[nodiscard]] Result<void> connect();
    [[nodiscard]] Result<void> check_content(std::size_t newest_version) const;
    [[nodiscard]] Result<void> migrate(std::span<const Migration> migrations) const;
    [[nodiscard]] bool insert_rows(
        const UsageBacklog& backlog,
        std::size_t rows,
        const AccountNames& account_names,
        UsageSumsByKey& hourly) const;
    [[nodiscard]] static bool add_sums(Statement& add, const UsageSumsByKey& sums);
};

Problem UsageDb::Connection::problem(const char* doing) const
{
    const int code = sqlite3_errcode(db.get()) & 0xFF;
    std::string what = std::string(doing) + ": " + sqlite3_errmsg(db.get());
    const int reason = sqlite3_system_errno(db.get());
    if (reason != 0 && code != SQLITE_CORRUPT && code != SQLITE_NOTADB) {
        what += " (" + std::generic_category().message(reason) + ")";
    }
    const char* remedy = "look at the file, its folder and the disk";
    switch (code) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        remedy = "the file is damaged and was left as it is; move it away (a new one is made) or"
                 " restore a copy";
        break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        remedy = "make the folder and the file writable for this user, or set another db_path";
        break;
    case SQLITE_FULL:
    case SQLITE_IOERR:
        remedy = "free some disk space";
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        remedy = "another program holds it; end that one";
        break;
    default:
        break;
    }
    return {path.string(), std::move(what), remedy};
}

Result<void> UsageDb::Connection::connect()
{
    sqlite3* raw = nullptr;
    const int rc = sqlite3_open_v2(
        path.c_str(),
        &raw,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE,
        nullptr);
    db.reset(raw);
    if (rc != SQLITE_OK) return problem("cannot open the usage database");
    sqlite3_busy_timeout(db.get(), kBusyTimeoutMillis);
    if (sqlite3_db_readonly(db.get(), "main") == 1) {
        return Problem{
            path.string(),
            "the usage database is read-only",
            "make the folder and the file writable for this user, or set another db_path"};
    }
    return {};
}

Result<void> UsageDb::Connection::check_content(std::size_t newest_version) const
{
    const std::int64_t version = pragma("PRAGMA user_version");
    const std::int64_t application = pragma("PRAGMA application_id");
    const std::int64_t tables = pragma("SELECT count(*) FROM sqlite_schema");
    if (version < 0 || application < 0 || tables < 0) {
        return problem("cannot read the usage database");
    }
    if (tables == 0 && version == 0) return {};
    if (application != kApplicationId) {
        return Problem{
            path.string(),
            "is a database of another program",
            "it was left as it is; move it away or set another db_path (PROXY_DB_PATH)"};
    }
    if (version > static_cast<std::int64_t>(newest_version)) {
        return Problem{
            path.string(),
            "was written by a newer version (schema " + std::to_string(version) +
                ", this one knows " + std::to_string(newest_version) + ")",
            "run the newer version again, or set another db_path"};
    }
    std::error_code ignored;
    if (std::filesystem::file_size(path, ignored) > kQuickCheckBytesMax) return {};
    Statement check(db.get(), "PRAGMA quick_check(1)");
    if (!check.valid() || !check.next_row()) return problem("cannot check the usage database");
    const std::string verdict = check.text(0);
    if (verdict == "ok") return {};
    return Problem{
        path.string(),
        "the usage database is damaged: " + verdict.substr(0, 200),
        "it was left as it is; move it away (a new one is made) or restore a copy"};
}

Result<void> UsageDb::Connection::migrate(std::span<const Migration> migrations) const
{
    for (auto version = static_cast<std::size_t>(pragma("PRAGMA user_version"));
         version < migrations.size();
         ++version) {
        std::string sql = "BEGIN IMMEDIATE;";
        sql += migrations[version];
        sql += "PRAGMA application_id = " + std::to_string(kApplicationId) + ";";
        sql += "PRAGMA user_version = " + std::to_string(version + 1) + ";COMMIT;";
        if (!run(sql.c_str())) {
            Problem failed = problem("cannot bring the usage database up to date");
            (void)run("ROLLBACK");
            return failed;
        }
    }
    return {};
}

Result<UsageDb>
UsageDb::open(const std::filesystem::path& path, std::span<const Migration> migrations)
{
    return open(path, migrations, migrations.size());
}

Result<UsageDb> UsageDb::open_beside(const std::filesystem::path& path)
{
    return open(path, kMigrations, std::numeric_limits<std::int32_t>::max());
}

Result<UsageDb> UsageDb::open(
    const std::filesystem::path& path, std::span<const Migration> migrations, std::size_t newest)
{
    if (auto file = prepare_database_file(path); !file) return file.error();
    // SQLite's own memory statistics take a lock at every allocation. Refused, harmlessly, if it has begun already.
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    auto connection = std::make_unique<Connection>();
    std::error_code ignored;
    connection->path = std::filesystem::canonical(path, ignored);
    if (auto connected = connection->connect(); !connected) return connected.error();
    if (auto content = connection->check_content(newest); !content) {
        return content.error();
    }
    // The cache is small on purpose: only the newest pages are ever touched.
    if (!connection->run("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                         "PRAGMA cache_size = -1024; PRAGMA journal_size_limit = 16777216;"
                         "BEGIN IMMEDIATE; COMMIT;")) {
        return connection->problem("cannot write the usage database");
    }
    if (auto migrated = connection->migrate(migrations); !migrated) return migrated.error();
    sqlite3* db = connection->db.get();
    connection->insert_request = std::make_unique<Statement>(db, kInsertRequest);
    connection->add_hourly = std::make_unique<Statement>(db, kAddHourly);
    connection->add_daily = std::make_unique<Statement>(db, kAddDaily);
    connection->remove = std::make_unique<Statement>(db, kDeleteBefore);
    if (!connection->insert_request->valid() || !connection->add_hourly->valid() ||
        !connection->add_daily->valid() || !connection->remove->valid()) {
        return connection->problem("the usage database lacks tables of its version");
    }
    return UsageDb(std::move(connection));
}

UsageDb::UsageDb(std::unique_ptr<Connection> connection) noexcept
    : connection_(std::move(connection))
{}

UsageDb::UsageDb(UsageDb&&) noexcept = default;
UsageDb& UsageDb::operator=(UsageDb&&) noexcept = default;
UsageDb::~UsageDb() = default;

bool UsageDb::Connection::insert_rows(
    const UsageBacklog& backlog,
    std::size_t rows,
    const AccountNames& account_names,
    UsageSumsByKey& hourly) const
{
    std::string buffer;
    for (std::size_t i = 0; i < rows; ++i) {
        const UsageRow& row = backlog.rows()[i];
        const std::string_view account = account_names(row.account);
        *insert_request << request_id_text(row.request_id, buffer) << row.started_at.value
                        << row.finished_at.value << row.user.view() << provider_name(row.provider)
                        << account << row.model.view() << row.path.view() << row.status
                        << row.attempts << shared::to_string(row.outcome) << row.websocket
                        << row.input << row.cached_input << row.cache_creation << row.output
                        << row.reasoning << row.duration_ms << row.first_byte_ms << row.own_us
                        << row.request_bytes << row.response_bytes << row.upstream_request_id.view()
                        << static_cast<std::int64_t>(row.conversation) << row.queued_ms
                        << row.connect_ms;
        if (!insert_request->run()) return false;
        add_usage(hourly, row, account);
    }
    return true;
}

bool UsageDb::Connection::add_sums(Statement& add, const UsageSumsByKey& sums_by_key)
{
    return std::all_of(sums_by_key.begin(), sums_by_key.end(), [&](const auto& item) {
        const auto& [key, sums] = item;
        add << key.hour_ms << std::string_view(key.user) << std::string_view(key.account)
            << std::string_view(key.model) << sums.requests << sums.failed_requests << sums.input
            << sums.cached_input << sums.cache_creation << sums.output << sums.reasoning
            << sums.duration_ms << sums.last_used_ms;
        return add.run();
    });
}

Result<void>
UsageDb::write(const UsageBacklog& backlog, std::size_t rows, const AccountNames& account_names)
{
    const Connection& connection = *connection_;
    UsageSumsByKey hourly = backlog.sums();
    const bool written =
        connection.run("BEGIN IMMEDIATE") &&
        connection.insert_rows(
            backlog, std::min(rows, backlog.rows().size()), account_names, hourly) &&
        Connection::add_sums(*connection.add_hourly, hourly) &&
        Connection::add_sums(*connection.add_daily, by_day(hourly)) && connection.run("COMMIT");
    if (written) return {};
    Problem failed = connection.problem("cannot write usage");
    // SQLite may have rolled back by itself already (disk full): then there is nothing left to do.
    if (sqlite3_get_autocommit(connection.db.get()) == 0) (void)connection.run("ROLLBACK");
    return failed;
}

Result<std::map<std::string, UsageSums, std::less<>>> UsageDb::account_totals()
{
    std::map<std::string, UsageSums, std::less<>> totals;
    Statement query(connection_->db.get(), kTotals);
    if (!query.valid()) return connection_->problem("cannot read the usage totals");
    while (query.next_row()) {
        UsageSums& sums = totals[query.text(0)];
        sums.requests = query.number(1);
        sums.failed_requests = query.number(2);
        sums.input = query.number(3);
        sums.cached_input = query.number(4);
        sums.cache_creation = query.number(5);
        sums.output = query.number(6);
        sums.reasoning = query.number(7);
        sums.last_used_ms = query.number(8);
    }
    if (!query.reset()) return connection_->problem("cannot read the usage totals");
    return totals;
}

Result<std::set<RequestId>> UsageDb::newest_request_ids(std::size_t max)
{
    std::set<RequestId> ids;
    Statement query(
        connection_->db.get(), "SELECT request_id FROM requests ORDER BY id DESC LIMIT ?1");
    if (!query.valid()) return connection_->problem("cannot read the last requests");
    query << max;
    while (query.next_row()) {
        const std::string text = query.text(0);
        RequestId id{};
        if (text.size() > id.size()) continue; // no plain text: not one of a worker
        std::copy(text.begin(), text.end(), id.begin());
        ids.insert(id);
    }
    if (!query.reset()) return connection_->problem("cannot read the last requests");
    return ids;
}

bool UsageDb::others_wrote()
{
    const std::int64_t version = connection_->pragma("PRAGMA data_version");
    return std::exchange(connection_->others_seen, version) != version;
}

Result<std::size_t> UsageDb::delete_before(shared::UnixMillis cutoff, std::size_t max)
{
    *connection_->remove << cutoff.value << max;
    if (!connection_->remove->run()) return connection_->problem("cannot delete old requests");
    return static_cast<std::size_t>(sqlite3_changes64(connection_->db.get()));
}

} // namespace supervisor
