/// What `codex-pool top` shows: a frame from a snapshot, what was chosen, and the size of the screen. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "supervisor/shell/canvas.hpp"
#include "supervisor/shell/snapshot.hpp"
#include "supervisor/shell/terminal.hpp"

namespace supervisor::shell {

enum class RunningOrder : std::uint8_t { time, output, account, user, model };
enum class AccountOrder : std::uint8_t { name, used, running, state };

[[nodiscard]] std::string_view to_string(RunningOrder order) noexcept;
[[nodiscard]] std::string_view to_string(AccountOrder order) noexcept;

/// Requests per second, from what snapshots counted lately.
class Rates {
public:
    /// A smaller count than before is another run of the pool: begins anew.
    void add(std::int64_t at_ms, std::int64_t requests, std::int64_t errors);

    /// Over the last seconds; 0 until there are two.
    [[nodiscard]] double requests_per_second() const;
    [[nodiscard]] double errors_per_second() const;

private:
    static constexpr std::int64_t kSpanMs = 5000;

    struct Sample {
        std::int64_t at_ms = 0;
        std::int64_t requests = 0;
        std::int64_t errors = 0;
    };

    [[nodiscard]] double per_second(std::int64_t Sample::*count) const;

    std::deque<Sample> samples_;
};

/// Everything that keys change.
struct TopState {
    RunningOrder running_order = RunningOrder::time;
    AccountOrder account_order = AccountOrder::name;
    bool reversed = false;
    bool frozen = false;
    std::string chosen;   ///< the account with the cursor
    std::string question; ///< asked at the bottom, answered with y
    std::string message;  ///< what came of the last action
};

/// Puts accounts and requests into the order that was chosen.
void arrange(Snapshot& snapshot, const TopState& state);

/// The account `steps` below the chosen one; the first if none is chosen. Empty if there are none.
[[nodiscard]] std::string
neighbour(const Snapshot& snapshot, const std::string& chosen, std::int64_t steps);

/// The frame, no higher and no wider than the screen. `problem` says why the snapshot is old, if it is.
[[nodiscard]] Lines top_lines(
    const Snapshot& snapshot,
    const Rates& rates,
    const TopState& state,
    ScreenSize size,
    bool colour,
    std::string_view problem);

} // namespace supervisor::shell
