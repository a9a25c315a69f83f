/// The parts that `codex-pool status` and `codex-pool top` are made of. Pure.
#pragma once

#include <cstddef>
#include <string>

#include "supervisor/shell/canvas.hpp"
#include "supervisor/shell/snapshot.hpp"

namespace supervisor::shell {

/// "4d 4h", "2h 3m", "12m", "45s": at most 7 columns.
[[nodiscard]] std::string brief_duration(std::int64_t seconds);

/// The state in one sentence and what may go wrong next.
[[nodiscard]] Lines state_lines(const Snapshot& snapshot);

/// Columns of the accounts' table, as wide as the accounts and the paper need.
class AccountTable {
public:
    AccountTable(const Snapshot& snapshot, const Paper& paper);

    [[nodiscard]] Line head() const;
    [[nodiscard]] Line row(const AccountLine& account) const;
    /// Below its row: what is wrong, what is foreseen, what to do. Often nothing.
    [[nodiscard]] Lines notes(const AccountLine& account) const;

private:
    void add_window(Line& line, const Window& window) const;

    shared::UnixMillis now_;
    std::size_t id_ = 0;
    std::size_t bar_ = 0; ///< 0 = none
};

/// Columns of the running requests' table.
class RunningTable {
public:
    RunningTable(const Snapshot& snapshot, const Paper& paper);

    [[nodiscard]] Line head() const;
    [[nodiscard]] Line row(const RunningLine& running) const;

private:
    std::size_t model_ = 0;
    std::size_t user_ = 0;
    std::size_t account_ = 0;
};

} // namespace supervisor::shell
