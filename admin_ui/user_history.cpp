#include "admin_ui/user_history.hpp"

#include <sqlite3.h>

#include <memory>
#include <system_error>

namespace admin_ui {
namespace {

using shared::Problem;

constexpr int kBusyTimeoutMillis = 500;
constexpr std::int64_t kDayMs = 24LL * 3600 * 1000;
/// The epoch was a Thursday: three days after a Monday.
constexpr std::int64_t kEpochWeekday = 3;

constexpr const char* kSums =
    "SELECT user, sum(CASE WHEN hour >= ?1 THEN tokens ELSE 0 END), sum(tokens) FROM"
    " (SELECT user, hour, max(input_tokens - cached_input_tokens, 0) + output_tokens AS tokens"
    "  FROM usage_hourly WHERE hour >= ?2)"
    " GROUP BY user";

struct CloseDatabase {
    void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
};

struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};

std::uint64_t column(sqlite3_stmt* statement, int index) noexcept
{
    const std::int64_t value = sqlite3_column_int64(statement, index);
    return value > 0 ? static_cast<std::uint64_t>(value) : 0;
}

} // namespace

shared::Result<std::unordered_map<std::string, UserTokens>>
read_user_tokens(const std::filesystem::path& database, shared::UnixMillis now)
{
    std::unordered_map<std::string, UserTokens> all;
    std::error_code ignored;
    if (!std::filesystem::exists(database, ignored)) return all;
    sqlite3* raw = nullptr;
    const int opened = sqlite3_open_v2(
        database.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
    const std::unique_ptr<sqlite3, CloseDatabase> db(raw);
    const auto broken = [&] {
        return Problem{
            database.string(),
            std::string("cannot read what users have used: ") + sqlite3_errmsg(raw),
            "until this day and this week are over, their token limits begin at nothing"};
    };
    if (opened != SQLITE_OK) return broken();
    sqlite3_busy_timeout(raw, kBusyTimeoutMillis);
    const std::int64_t day = now.value / kDayMs;
    const std::int64_t monday = day - (day + kEpochWeekday) % 7;
    sqlite3_stmt* prepared = nullptr;
    sqlite3_prepare_v2(raw, kSums, -1, &prepared, nullptr);
    const std::unique_ptr<sqlite3_stmt, FinalizeStatement> statement(prepared);
    if (!statement) return broken();
    sqlite3_bind_int64(prepared, 1, day * kDayMs);
    sqlite3_bind_int64(prepared, 2, monday * kDayMs);
    int step = SQLITE_ROW;
    while ((step = sqlite3_step(prepared)) == SQLITE_ROW) {
        const auto* const name = sqlite3_column_text(prepared, 0);
        if (name == nullptr) continue;
        all[reinterpret_cast<const char*>(name)] = {column(prepared, 1), column(prepared, 2)};
    }
    if (step != SQLITE_DONE) return broken();
    return all;
}

} // namespace admin_ui
