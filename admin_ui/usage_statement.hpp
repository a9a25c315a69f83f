/// A prepared SQLite statement that is read once, column after column. For the files that read the usage database.
#pragma once

#include "admin_ui/pool_view.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace admin_ui {

class Statement {
public:
    Statement(sqlite3* db, std::string_view sql) noexcept;

    [[nodiscard]] bool valid() const noexcept { return statement_ != nullptr; }

    /// Binds in the order of the question marks; texts must live until the last row.
    Statement& operator<<(std::int64_t value) noexcept;
    Statement& operator<<(std::string_view text) noexcept;

    /// Ready for other values.
    void reset() noexcept;

    [[nodiscard]] bool next_row() noexcept;
    /// Whether the rows ended because there were no more.
    [[nodiscard]] bool complete() const noexcept;

    // The next column.
    [[nodiscard]] std::int64_t number() noexcept;
    [[nodiscard]] std::string text();
    /// The columns from requests to last_used.
    [[nodiscard]] TokenSums sums() noexcept;
    /// The five token columns.
    void tokens(TokenSums& sums) noexcept;

private:
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const noexcept;
    };

    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
    int bound_ = 0;
    int column_ = 0;
    int last_ = 0;
};

} // namespace admin_ui
