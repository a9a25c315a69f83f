#include "admin_ui/request_search.hpp"

#include "admin_ui/usage_statement.hpp"

#include <algorithm>
#include <string>

namespace admin_ui {
namespace {

/// Rows are in the order of finishing but for what several workers wrote at once, or late.
constexpr std::int64_t kDisorderMillis = 60'000;
/// Of a request by its id alone.
constexpr std::int64_t kRowsByIdMax = 50'000;

#define COLUMNS                                                                                    \
    "SELECT id, request_id, started_at, finished_at, user, provider, account, model, path,"        \
    " status, attempts, outcome, websocket, input_tokens, cached_input_tokens,"                    \
    " cache_creation_tokens, output_tokens, reasoning_tokens, duration_ms, first_byte_ms, own_us," \
    " request_bytes, response_bytes, upstream_request_id, queued_ms, connect_ms FROM requests"

RequestEntry read_entry(Statement& query)
{
    RequestEntry row;
    row.row = query.number();
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
    row.queued_ms = query.number();
    row.connect_ms = query.number();
    return row;
}

/// " AND …" for what the filter asks for; bind() gives the values in the same order.
std::string conditions(const RequestFilter& filter)
{
    std::string sql;
    if (!filter.user.empty()) sql += " AND user = ?";
    if (!filter.account.empty()) sql += " AND account = ?";
    if (!filter.model.empty()) sql += " AND model = ?";
    if (!filter.outcome.empty()) sql += " AND outcome = ?";
    if (filter.status_from != 0) sql += " AND status >= ? AND status <= ?";
    // As the roll-ups count it.
    if (filter.failed)
        sql += " AND (status >= 400 OR outcome IN ('upstream_cut', 'refused', 'worker_killed'))";
    if (filter.from.is_set()) sql += " AND finished_at >= ?";
    if (filter.to.is_set()) sql += " AND finished_at < ?";
    return sql;
}

void bind(Statement& query, const RequestFilter& filter)
{
    for (const std::string* text :
         {&filter.user, &filter.account, &filter.model, &filter.outcome}) {
        if (!text->empty()) query << std::string_view(*text);
    }
    if (filter.status_from != 0) query << filter.status_from << filter.status_to;
    if (filter.from.is_set()) query << filter.from.value;
    if (filter.to.is_set()) query << filter.to.value;
}

} // namespace

RequestSearch::RequestSearch(sqlite3* db, const RequestFilter& filter) : db_(db), filter_(filter) {}

std::optional<RequestPage> RequestSearch::run()
{
    RequestPage page;
    if (!find_bounds()) return std::nullopt;
    for (const Window& window : windows()) {
        if (failed_) return std::nullopt;
        if (!look_into(window, page)) return std::nullopt;
        if (page.next != 0) break;
    }
    if (failed_) return std::nullopt;
    return page;
}

bool RequestSearch::find_bounds()
{
    // Each by itself is one step down the tree; both at once would be a look at every row.
    Statement query(
        db_,
        "SELECT ifnull((SELECT min(id) FROM requests), 0),"
        " ifnull((SELECT max(id) FROM requests), -1) + 1");
    if (!query.valid() || !query.next_row()) return false;
    all_.low = query.number();
    all_.high = query.number();
    if (filter_.before != 0) all_.high = std::min(all_.high, filter_.before);
    if (filter_.from.is_set())
        all_.low = std::max(all_.low, first_row_at({filter_.from.value - kDisorderMillis}));
    if (filter_.to.is_set())
        all_.high = std::min(all_.high, first_row_at({filter_.to.value + kDisorderMillis}));
    return !failed_;
}

std::int64_t RequestSearch::first_row_at(shared::UnixMillis time)
{
    Statement query(db_, "SELECT finished_at FROM requests WHERE id >= ? ORDER BY id LIMIT 1");
    if (!query.valid()) {
        failed_ = true;
        return 0;
    }
    std::int64_t low = all_.low;
    std::int64_t high = all_.high;
    while (low < high) {
        const std::int64_t middle = low + (high - low) / 2;
        query.reset();
        query << middle;
        const bool before = query.next_row() && query.number() < time.value;
        if (before) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

std::vector<RequestSearch::Window> RequestSearch::windows()
{
    std::vector<Window> all;
    if (all_.low >= all_.high) return all;
    if (filter_.user.empty() && filter_.account.empty() && filter_.model.empty() && !filter_.failed)
        return {all_};
    std::string sql = "SELECT DISTINCT day FROM usage_daily WHERE day >= ? AND day <= ?";
    if (!filter_.user.empty()) sql += " AND user = ?";
    if (!filter_.account.empty()) sql += " AND account = ?";
    if (!filter_.model.empty()) sql += " AND model = ?";
    if (filter_.failed) sql += " AND failed_requests > 0";
    Statement query(db_, sql + " ORDER BY day DESC");
    if (!query.valid()) {
        failed_ = true;
        return all;
    }
    query << time_of(all_.low).value - kDayMillis << time_of(all_.high - 1).value + kDayMillis;
    for (const std::string* text : {&filter_.user, &filter_.account, &filter_.model}) {
        if (!text->empty()) query << std::string_view(*text);
    }
    std::int64_t high = all_.high;
    while (query.next_row()) {
        const std::int64_t day = query.number();
        Window window;
        window.low = first_row_at({day - kDisorderMillis});
        window.high = std::min(high, first_row_at({day + kDayMillis + kDisorderMillis}));
        if (window.low >= window.high) continue;
        high = window.low;
        all.push_back(window);
    }
    if (!query.complete()) failed_ = true;
    return all;
}

bool RequestSearch::look_into(const Window& window, RequestPage& page)
{
    const std::int64_t low = std::max(window.low, window.high - left_);
    const std::size_t limit = std::min(filter_.limit, kRequestEntriesMax);
    const auto room = static_cast<std::int64_t>(limit - page.requests.size());
    Statement query(
        db_,
        COLUMNS " WHERE id < ? AND id >= ?" + conditions(filter_) + " ORDER BY id DESC LIMIT ?");
    if (!query.valid()) return false;
    query << window.high << low;
    bind(query, filter_);
    query << room;
    while (query.next_row())
        page.requests.push_back(read_entry(query));
    if (!query.complete()) return false;
    if (page.requests.size() >= limit) {
        const std::int64_t last = page.requests.back().row;
        page.next = last > all_.low ? last : 0;
        return true;
    }
    left_ -= window.high - low;
    if (left_ > 0 || low <= all_.low) return true;
    page.next = low;
    page.searched_to = time_of(low);
    return true;
}

shared::UnixMillis RequestSearch::time_of(std::int64_t row)
{
    Statement query(db_, "SELECT finished_at FROM requests WHERE id >= ? ORDER BY id LIMIT 1");
    if (!query.valid()) {
        failed_ = true;
        return {};
    }
    query << row;
    return {query.next_row() ? query.number() : 0};
}

bool search_request(
    sqlite3* db, std::string_view request_id, std::int64_t row, std::optional<RequestEntry>& found)
{
    Statement query(
        db,
        row != 0 ? COLUMNS " WHERE id = ?1 AND request_id = ?2"
                 : COLUMNS " WHERE id > (SELECT ifnull(max(id), 0) FROM requests) - ?1"
                           " AND request_id = ?2 ORDER BY id DESC LIMIT 1");
    if (!query.valid()) return false;
    query << (row != 0 ? row : kRowsByIdMax) << request_id;
    if (query.next_row()) {
        found = read_entry(query);
        return true;
    }
    return query.complete();
}

} // namespace admin_ui
