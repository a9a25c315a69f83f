#include "admin_ui/usage_statement.hpp"

#include <sqlite3.h>

namespace admin_ui {

void Statement::Finalize::operator()(sqlite3_stmt* statement) const noexcept
{
    sqlite3_finalize(statement);
}

Statement::Statement(sqlite3* db, std::string_view sql) noexcept : last_(SQLITE_DONE)
{
    sqlite3_stmt* raw = nullptr;
    sqlite3_prepare_v2(db, sql.data(), static_cast<int>(sql.size()), &raw, nullptr);
    statement_.reset(raw);
}

Statement& Statement::operator<<(std::int64_t value) noexcept
{
    sqlite3_bind_int64(statement_.get(), ++bound_, value);
    return *this;
}

Statement& Statement::operator<<(std::string_view text) noexcept
{
    const char* data = text.empty() ? "" : text.data();
    sqlite3_bind_text(
        statement_.get(), ++bound_, data, static_cast<int>(text.size()), SQLITE_STATIC);
    return *this;
}

void Statement::reset() noexcept
{
    bound_ = 0;
    sqlite3_reset(statement_.get());
}

bool Statement::next_row() noexcept
{
    column_ = 0;
    last_ = sqlite3_step(statement_.get());
    return last_ == SQLITE_ROW;
}

bool Statement::complete() const noexcept
{
    return last_ == SQLITE_DONE;
}

std::int64_t Statement::number() noexcept
{
    return sqlite3_column_int64(statement_.get(), column_++);
}

std::string Statement::text()
{
    const auto* data = sqlite3_column_text(statement_.get(), column_);
    const int size = sqlite3_column_bytes(statement_.get(), column_++);
    if (data == nullptr) return {};
    return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(size)};
}

TokenSums Statement::sums() noexcept
{
    TokenSums sums;
    sums.requests = number();
    sums.failed_requests = number();
    tokens(sums);
    sums.last_used = {number()};
    return sums;
}

void Statement::tokens(TokenSums& sums) noexcept
{
    sums.input = number();
    sums.cached_input = number();
    sums.cache_creation = number();
    sums.output = number();
    sums.reasoning = number();
}

} // namespace admin_ui
