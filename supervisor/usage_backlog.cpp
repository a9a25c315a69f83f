#include "supervisor/usage_backlog.hpp"

#include <algorithm>
#include <utility>

namespace supervisor {

bool UsageBacklog::add(const UsageRow& row, std::string_view account)
{
    if (rows_.size() < kRowsMax) {
        rows_.push_back(row);
        return true;
    }
    UsageKey key = usage_key(row, account);
    // Models are whatever clients send; accounts and users are not, so this bounds the map.
    if (sums_.size() >= kSumsMax && !sums_.contains(key)) key.model = kOtherModel;
    sums_[std::move(key)].add(row);
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
