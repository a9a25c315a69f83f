/// The running pool as values: what `GET /admin/live?once=1` says. Unknown and missing fields are no error, so that a
/// command can ask a pool of another version.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/units.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace supervisor::shell {

/// A quota window of an account.
struct Window {
    bool exists = false; ///< the vendor has ever spoken of it
    double used = -1;    ///< 0 to 1; below 0 = unknown
    shared::UnixMillis resets_at;
    shared::UnixMillis empty_at; ///< at the present pace; unset = not before its reset, or unknown
    double percent_per_hour = 0;
};

struct AccountLine {
    std::string id;
    std::string provider;
    std::string plan;
    std::string state;    ///< "needs_login"
    std::string severity; ///< good, passing, owner, off
    std::string note;
    std::string next_step;
    std::int64_t in_flight = 0;
    std::int64_t requests = 0;
    Window short_window;
    Window long_window;
};

struct RunningLine {
    std::string request_id;
    std::string user;
    std::string account; ///< empty while it waits for one
    std::string model;
    std::string path;
    bool websocket = false;
    std::int64_t elapsed_ms = 0;
    std::int64_t input = 0;
    std::int64_t output = 0;
};

struct EventLine {
    shared::UnixMillis at;
    std::string severity; ///< error, warn, info
    std::string type;
    std::string text;
};

struct WorkerLine {
    std::string state;
    std::int64_t connections = 0;
    std::int64_t running = 0;
    std::int64_t silent_ms = 0;
};

struct Snapshot {
    shared::UnixMillis at;
    std::string version;
    std::int64_t uptime_seconds = 0;
    std::string status; ///< ok, degraded, exhausted, empty
    std::string sentence;
    std::string risk; ///< may be empty
    std::int64_t waiting = 0;
    std::int64_t requests = 0;
    std::int64_t server_errors = 0;
    std::vector<std::string> problems;
    std::vector<EventLine> events; ///< newest last
    std::vector<WorkerLine> workers;
    std::vector<AccountLine> accounts; ///< by id
    std::int64_t running_total = 0;
    std::vector<RunningLine> running; ///< the oldest first
};

/// A Problem if it is no such document. Control characters in texts are replaced.
[[nodiscard]] shared::Result<Snapshot> parse_snapshot(std::string_view json);

} // namespace supervisor::shell
