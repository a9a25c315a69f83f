/// When a child that died is started again. Pure: no clock, no process.
#pragma once

#include <chrono>
#include <cstdint>

namespace supervisor {

/// How a child ended, as far as it matters here.
struct ChildEnd {
    bool was_ready = false; ///< it had said READY
    bool fatal = false;     ///< it exited with kExitFatal: starting it again would not help
    std::chrono::milliseconds served{0}; ///< since READY
};

struct RespawnDecision {
    enum class Action : std::uint8_t { respawn, give_up };
    Action action = Action::respawn;
    std::chrono::milliseconds delay{0};
};

/// One per place in the tree (refresher, admin, each worker): it remembers how often the start failed.
class RespawnPolicy {
public:
    static constexpr std::chrono::milliseconds kDelayMax{60'000};
    /// A child that dies right after READY, again and again, must not become a loop of forks.
    static constexpr std::chrono::milliseconds kShortLife{1'000};
    static constexpr std::chrono::milliseconds kShortLifeDelay{100};

    /// At once if it had served; after 1, 2, 4 … 60 s if it died before READY; never if it said that it is no use.
    [[nodiscard]] RespawnDecision on_end(const ChildEnd& end) noexcept;

private:
    std::uint32_t failed_starts_ = 0;
};

} // namespace supervisor
