/// Where a request's time went, up to the response head: for Server-Timing and the request's row.
#pragma once

#include "shared/base/clock.hpp"

#include <cstdint>
#include <string>

namespace worker {

/// All in microseconds of the monotonic clock.
struct Timings {
    std::int64_t begun = 0;   ///< the request's head was here
    std::int64_t queue = 0;   ///< waiting for the client to send the body, and for an account
    std::int64_t waited = 0;  ///< of that, for an account or its token
    std::int64_t pick = 0;    ///< choosing accounts
    std::int64_t connect = 0; ///< getting upstream connections, over all attempts
    std::int64_t upstream =
        0; ///< from sending a request until its first answer byte, over all attempts
    std::int64_t answered = 0; ///< the response head went to the client; 0 = not yet

    /// Time up to `now` that the pool itself spent.
    [[nodiscard]] std::int64_t own(std::int64_t now) const noexcept
    {
        const std::int64_t rest = now - begun - queue - connect - upstream;
        return rest > 0 ? rest : 0;
    }

    /// Appends "Server-Timing: queue;dur=… …\r\n" (milliseconds).
    void append_to(std::string& head, std::int64_t now) const;
};

} // namespace worker
