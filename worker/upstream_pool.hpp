/// Idle keep-alive connections to upstreams, last in first out, per origin. One pool per worker.
#pragma once

#include "shared/http/base_url.hpp"
#include "shared/net/stream.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace worker {

class UpstreamPool {
public:
    static constexpr std::size_t kIdlePerOriginMax = 128;
    static constexpr std::size_t kIdleTotalMax = 512;
    static constexpr std::int64_t kIdleMsMax = 60'000; ///< shorter than vendors' own limits

    /// A kept connection; null if there is none. One that the upstream has closed meanwhile is passed over; one
    /// that was given back within the same tick is not asked, unless `must_ask` (the request cannot be sent
    /// twice).
    [[nodiscard]] std::unique_ptr<shared::net::Stream>
    take(const shared::http::BaseUrl& origin, std::int64_t now_ms, bool must_ask);

    /// Keeps a connection whose last answer was read to its end. Above a limit the oldest of the origin (or
    /// this one) is closed.
    void give(
        const shared::http::BaseUrl& origin,
        std::unique_ptr<shared::net::Stream> stream,
        std::int64_t now_ms);

    /// Closes what has been idle for too long.
    void expire(std::int64_t now_ms);
    void clear() noexcept;

    [[nodiscard]] std::size_t idle() const noexcept { return idle_; }

private:
    struct Idle {
        std::unique_ptr<shared::net::Stream> stream;
        std::int64_t since_ms = 0;
    };

    /// By address: origins live in the configuration as long as the worker.
    std::unordered_map<const shared::http::BaseUrl*, std::vector<Idle>> origins_;
    std::size_t idle_ = 0;
};

} // namespace worker
