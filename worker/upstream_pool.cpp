#include "worker/upstream_pool.hpp"

#include <algorithm>

namespace worker {

std::unique_ptr<shared::net::Stream> UpstreamPool::take(
    const shared::http::BaseUrl& origin,
    std::int64_t now_ms,
    bool must_ask,
    const shared::net::ForwardProxy* proxy)
{
    const auto found = origins_.find(Way{&origin, proxy});
    if (found == origins_.end()) return nullptr;
    std::vector<Idle>& kept = found->second;
    while (!kept.empty()) {
        std::unique_ptr<shared::net::Stream> stream = std::move(kept.back().stream);
        const bool ask = must_ask || kept.back().since_ms != now_ms;
        kept.pop_back();
        --idle_;
        if (!ask || stream->is_quiet()) return stream;
    }
    return nullptr;
}

void UpstreamPool::give(
    const shared::http::BaseUrl& origin,
    std::unique_ptr<shared::net::Stream> stream,
    std::int64_t now_ms,
    const shared::net::ForwardProxy* proxy)
{
    std::vector<Idle>& kept = origins_[Way{&origin, proxy}];
    if (kept.size() >= kIdlePerOriginMax) {
        kept.erase(kept.begin());
        --idle_;
    }
    if (idle_ >= kIdleTotalMax) return;
    kept.push_back({std::move(stream), now_ms});
    ++idle_;
}

void UpstreamPool::expire(std::int64_t now_ms)
{
    for (auto& [origin, kept] : origins_) {
        // Oldest first: the front of a last-in-first-out list.
        const auto fresh = std::find_if(kept.begin(), kept.end(), [now_ms](const Idle& idle) {
            return now_ms - idle.since_ms < kIdleMsMax;
        });
        idle_ -= static_cast<std::size_t>(fresh - kept.begin());
        kept.erase(kept.begin(), fresh);
    }
}

void UpstreamPool::clear() noexcept
{
    origins_.clear();
    idle_ = 0;
}

} // namespace worker
