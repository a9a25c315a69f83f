#include "supervisor/usage_history.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace supervisor {
namespace {

using shared::Problem;
using shared::Result;
using shared::simulation::Trace;
using shared::simulation::TraceRequest;

struct CloseDatabase {
    void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
};

struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};

using Database = std::unique_ptr<sqlite3, CloseDatabase>;
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

Statement prepare(sqlite3* db, const char* sql)
{
    sqlite3_stmt* raw = nullptr;
    sqlite3_prepare_v2(db, sql, -1, &raw, nullptr);
    return Statement(raw);
}

std::string_view text(sqlite3_stmt* statement, int column)
{
    const auto* data = sqlite3_column_text(statement, column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
    return {data == nullptr ? "" : reinterpret_cast<const char*>(data), size}; // NOLINT: C API
}

/// Rows written before schema version 2 name no conversation; a database not opened since lacks the column.
const char* select_rows(sqlite3* db)
{
    const Statement version = prepare(db, "PRAGMA user_version");
    const bool has_row = version && sqlite3_step(version.get()) == SQLITE_ROW;
    if (has_row && sqlite3_column_int64(version.get(), 0) == 1)
        return "SELECT started_at, user, provider, 0, model, input_tokens, cached_input_tokens,"
               " output_tokens, duration_ms FROM requests WHERE started_at >= ? AND account <> ''";
    return "SELECT started_at, user, provider, conversation, model, input_tokens,"
           " cached_input_tokens, output_tokens, duration_ms FROM requests"
           " WHERE started_at >= ? AND account <> ''";
}

} // namespace

Result<Trace> read_history(
    const std::filesystem::path& path,
    const shared::ProviderRegistry& registry,
    shared::UnixMillis since)
{
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored))
        return Problem{
            path.string(),
            "there is no usage database",
            "name the pool's configuration with --config, or use --trace FILE or --scenario week"};
    sqlite3* raw = nullptr;
    const int opened =
        sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
    const Database db(raw);
    const auto broken = [&] {
        return Problem{
            path.string(),
            std::string("cannot read the usage database: ") + sqlite3_errmsg(db.get()),
            "look at the file and its folder"};
    };
    if (opened != SQLITE_OK) return broken();
    sqlite3_busy_timeout(db.get(), 2000);
    const Statement rows = prepare(db.get(), select_rows(db.get()));
    if (!rows) return broken();
    sqlite3_bind_int64(rows.get(), 1, since.value);
    Trace trace;
    int step = SQLITE_ROW;
    while ((step = sqlite3_step(rows.get())) == SQLITE_ROW) {
        const shared::Provider* provider = registry.find(text(rows.get(), 2));
        if (provider == nullptr) continue; // of a vendor that is no longer built
        TraceRequest request;
        request.at = {sqlite3_column_int64(rows.get(), 0)};
        request.user = trace.user(text(rows.get(), 1));
        request.provider = provider->id();
        request.conversation = static_cast<std::uint64_t>(sqlite3_column_int64(rows.get(), 3));
        request.model = trace.model(text(rows.get(), 4));
        request.input = sqlite3_column_int64(rows.get(), 5);
        request.cached_input = sqlite3_column_int64(rows.get(), 6);
        request.output = sqlite3_column_int64(rows.get(), 7);
        request.duration_ms = static_cast<std::uint32_t>(sqlite3_column_int64(rows.get(), 8));
        trace.requests.push_back(request);
    }
    if (step != SQLITE_DONE) return broken();
    std::stable_sort(
        trace.requests.begin(),
        trace.requests.end(),
        [](const TraceRequest& a, const TraceRequest& b) { return a.at < b.at; });
    return {boost::system::in_place_value, std::move(trace)};
}

} // namespace supervisor
