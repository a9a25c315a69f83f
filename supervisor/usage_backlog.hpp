/// Usage that waits in memory for the database: rows, and beyond a bound only their sums. Pure. Used by the writer
/// thread alone.
#pragma once

#include "supervisor/usage_sums.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace supervisor {

/// A finished request. `account` is the index of its account's id in the writer's list, as in the segment.
using UsageRow = shared::UsageEntry;

class UsageBacklog {
public:
    /// Rows kept whole; about 45 MB when a disk has been full for long.
    static constexpr std::size_t kRowsMax = 100'000;
    /// Sums kept per model; beyond, the model of a folded row is recorded as kOtherModel.
    static constexpr std::size_t kSumsMax = 10'000;
    static constexpr std::string_view kOtherModel = "(other)";

    /// Keeps the row, or, if kRowsMax rows wait already, adds it to the sums and returns false.
    bool add(const UsageRow& row, std::string_view account);

    /// Valid until the next change.
    [[nodiscard]] std::span<const UsageRow> rows() const noexcept
    {
        return std::span(rows_).subspan(first_);
    }

    [[nodiscard]] const UsageSumsByKey& sums() const noexcept { return sums_; }

    [[nodiscard]] bool empty() const noexcept { return rows().empty() && sums_.empty(); }

    /// Forgets the first `count` rows and all sums: they are in the database now.
    void written(std::size_t count);

private:
    /// Memory for so many is kept: giving it back after each second's rows would cost more than the rows.
    static constexpr std::size_t kRowsKept = 8192;

    void make_room();

    std::vector<UsageRow> rows_;
    std::size_t first_ = 0; ///< of rows_ that is not written yet
    UsageSumsByKey sums_;
};

} // namespace supervisor
