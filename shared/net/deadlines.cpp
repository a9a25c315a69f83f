#include "shared/net/deadlines.hpp"

#include "shared/base/clock.hpp"

namespace shared::net {

Deadline::Deadline(Deadlines& all, OnExpired on_expired, void* owner) noexcept
    : all_(all), on_expired_(on_expired), owner_(owner)
{
    all_.list_.push_back(*this);
}

Deadline::~Deadline()
{
    // The tick may be standing on this very element.
    const auto self = all_.list_.iterator_to(*this);
    if (all_.next_ == self) ++all_.next_;
    all_.list_.erase(self);
}

void Deadline::set(std::chrono::milliseconds time) noexcept
{
    // The clock of the last tick may be one granularity old: add it, so that nothing expires early.
    at_ms_ = time.count() <= 0 ? 0 : all_.now_ms_ + all_.granularity_.count() + time.count();
}

Deadlines::Deadlines(std::chrono::milliseconds granularity) noexcept
    : next_(list_.end()), granularity_(granularity), now_ms_(now_monotonic_us() / 1000)
{}

void Deadlines::tick(std::int64_t now_ms) noexcept
{
    now_ms_ = now_ms;
    for (auto it = list_.begin(); it != list_.end(); it = next_) {
        next_ = std::next(it);
        Deadline& deadline = *it;
        if (deadline.at_ms_ == 0 || deadline.at_ms_ > now_ms) continue;
        deadline.at_ms_ = 0;
        deadline.on_expired_(deadline.owner_);
    }
    next_ = list_.end();
}

} // namespace shared::net
