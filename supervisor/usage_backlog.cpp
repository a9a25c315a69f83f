#include "supervisor/usage_backlog.hpp"

#include <algorithm>

namespace supervisor {

bool UsageBacklog::add(const UsageRow& row, std::string_view account)
{
    if (rows().size() < kRowsMax) {
        make_room();
        rows_.push_back(row);
        return true;
    }
    // Models are whatever clients send; accounts and users are not, so this bounds the map.
    if (sums_.size() >= kSumsMax && !sums_.contains(UsageKeyView(row, account))) {
        UsageRow other = row;
        other.model = kOtherModel;
        add_usage(sums_, other, account);
    } else {
        add_usage(sums_, row, account);
    }
    return false;
}

void UsageBacklog::written(std::size_t count)
{
    first_ += std::min(count, rows().size());
    sums_.clear();
    if (first_ < rows_.size()) return;
    first_ = 0;
    rows_.clear();
    if (rows_.capacity() > kRowsKept) rows_.shrink_to_fit();
}

void UsageBacklog::make_room()
{
    if (rows_.size() < rows_.capacity()) return;
    rows_.erase(rows_.begin(), rows_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
    // At once to the bound, not by doubling: only what is used of it takes memory.
    if (rows_.size() == rows_.capacity()) rows_.reserve(rows_.empty() ? kRowsKept : kRowsMax);
}

} // namespace supervisor
