/// Idle keep-alive connections to upstreams, last in first out, per origin and way there. One pool per worker.
#pragma once

#include "shared/http/base_url.hpp"
#include "shared/net/forward_proxy.hpp"
#include "shared/net/stream.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
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
    /// `proxy` is the account's own, null for none: a connection through one never serves another's requests.
    [[nodiscard]] std::unique_ptr<shared::net::Stream> take(
        const shared::http::BaseUrl& origin,
        std::int64_t now_ms,
        bool must_ask,
        const shared::net::ForwardProxy* proxy = nullptr);

    /// Keeps a connection whose last answer was read to its end. Above a limit the oldest of the origin (or
    /// this one) is closed.
    void give(
        const shared::http::BaseUrl& origin,
        std::unique_ptr<shared::net::Stream> stream,
        std::int64_t now_ms,
        const shared::net::ForwardProxy* proxy = nullptr);

    /// Closes what has been idle for too long.
    void expire(std::int64_t now_ms);
    void clear() noexcept;

    [[nodiscard]] std::size_t idle() const noexcept { return idle_; }

private:
    struct Idle {
        std::unique_ptr<shared::net::Stream> stream;
        std::int64_t since_ms = 0;
    };

    /// By address: origins live in the configuration, proxies in the account cache, as long as the worker.
    struct Way {
        const shared::http::BaseUrl* origin = nullptr;
        const shared::net::ForwardProxy* proxy = nullptr;

        friend bool operator==(const Way&, const Way&) = default;
    };

    struct HashWay {
        [[nodiscard]] std::size_t operator()(const Way& way) const noexcept
        {
            return std::hash<const void*>()(way.origin) * 31U + std::hash<const void*>()(way.proxy);
        }
    };

    std::unordered_map<Way, std::vector<Idle>, HashWay> origins_;
    std::size_t idle_ = 0;
};

} // namespace worker
