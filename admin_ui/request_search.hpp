/// Finds requests in the database without an index for every column: the roll-ups tell on which days there is anything
/// of a user, an account or a model, rows are in the order of finishing, and one search looks at a bounded number of
/// them. Used by usage_query only.
#pragma once

#include "admin_ui/usage_query.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace admin_ui {

class RequestSearch {
public:
    RequestSearch(sqlite3* db, const RequestFilter& filter);

    /// Nothing if the database cannot be read.
    [[nodiscard]] std::optional<RequestPage> run();

private:
    /// Rows [low, high).
    struct Window {
        std::int64_t low = 0;
        std::int64_t high = 0;
    };

    [[nodiscard]] bool find_bounds();
    /// The first row that finished at or after; the row after the last if there is none.
    [[nodiscard]] std::int64_t first_row_at(shared::UnixMillis time);
    /// Where matches can be, newest first.
    [[nodiscard]] std::vector<Window> windows();
    [[nodiscard]] bool look_into(const Window& window, RequestPage& page);
    [[nodiscard]] shared::UnixMillis time_of(std::int64_t row);

    sqlite3* db_;
    const RequestFilter& filter_;
    Window all_;
    std::int64_t left_ = kRowsSearchedMax;
    bool failed_ = false;
};

/// One request by its row, or (row 0) by its id among the newest. False if the database cannot be read.
[[nodiscard]] bool search_request(
    sqlite3* db, std::string_view request_id, std::int64_t row, std::optional<RequestEntry>& found);

} // namespace admin_ui
