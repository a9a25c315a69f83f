#include "supervisor/respawn_policy.hpp"

#include <algorithm>

namespace supervisor {

RespawnDecision RespawnPolicy::on_end(const ChildEnd& end) noexcept
{
    using namespace std::chrono_literals;
    using enum RespawnDecision::Action;
    if (end.fatal) return {give_up, 0ms};
    if (end.was_ready) {
        failed_starts_ = 0;
        return {respawn, end.served < kShortLife ? kShortLifeDelay : 0ms};
    }
    const std::uint32_t doublings = std::min<std::uint32_t>(failed_starts_, 6);
    ++failed_starts_;
    return {respawn, std::min(kDelayMax, std::chrono::milliseconds(1000LL << doublings))};
}

} // namespace supervisor
