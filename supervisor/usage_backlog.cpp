#include "supervisor/usage_backlog.hpp"

#include <algorithm>

namespace supervisor {

bool UsageBacklog::add(const UsageRow& row, std::string_view account)
{
    if (rows_.size() < kRowsMax) {
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
    count = std::min(count, rows_.size());
    rows_.erase(rows_.begin(), rows_.begin() + static_cast<std::ptrdiff_t>(count));
    if (rows_.empty()) rows_.shrink_to_fit();
    sums_.clear();
}

} // namespace supervisor
