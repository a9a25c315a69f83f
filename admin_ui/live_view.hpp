/// The pool as it is this second: what runs, as values, as JSON and as parts of the page. `GET /admin/live` sends it
/// once a second while somebody watches; nothing of it comes from the database but what a stream began with.
#pragma once

#include "admin_ui/html.hpp"
#include "admin_ui/pool_view.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace admin_ui {

/// A request that runs now.
struct RunningView {
    std::string request_id;
    std::string user;
    std::string provider;
    std::string account; ///< empty while it waits for one
    std::string model;
    std::string path;
    bool websocket = false;
    shared::UnixMillis started_at;
    TokenSums tokens; ///< so far
};

/// More are counted, not shown, unless somebody asks for more.
inline constexpr std::size_t kRunningShownMax = 50;
inline constexpr std::size_t kRunningAskedMax = 1000;
/// Events that come with a snapshot.
inline constexpr std::size_t kLiveEventsMax = 8;

struct Running {
    std::vector<RunningView> requests; ///< the oldest first
    std::size_t total = 0;
};

/// Everything that runs in the workers, read while they write it; at most `max` of them one by one.
[[nodiscard]] Running
running_requests(shared::Segment& segment, std::size_t max = kRunningShownMax);

/// What each account did lately, by id; from the history, once per look or stream.
using RecentUse = std::map<std::string, TokenSums, std::less<>>;

/// What may go wrong next, in one sentence: which account or provider runs out, and when. Empty if nothing is foreseen.
[[nodiscard]] std::string next_risk(const PoolView& pool);

/// One snapshot for programs; `events` with the newest last.
[[nodiscard]] std::string
live_json(const PoolView& pool, const Running& running, const std::vector<shared::Event>& events);

/// The events that a snapshot shows.
[[nodiscard]] std::vector<shared::Event> last_events(shared::Segment& segment);

/// A piece of the Pool page that is replaced as a whole: the element with this id.
struct PagePart {
    std::string id;
    Html html;
};

/// All of them, in the order of the page. `csrf`: what its forms have to show.
[[nodiscard]] std::vector<PagePart> live_parts(
    const PoolView& pool,
    const Running& running,
    const RecentUse& recent,
    std::string_view csrf = {});

/// One watcher.
struct LiveCursor {
    bool parts = false; ///< of the page; else JSON
    shared::UnixMillis next_at;
    RecentUse recent;
    std::string csrf;
    std::map<std::string, std::size_t, std::less<>> sent; ///< hashes of the parts it has
};

/// What is new for this watcher as server-sent events; empty if nothing is, or a second has not passed.
[[nodiscard]] std::string next_live(
    shared::Segment& segment,
    LiveCursor& cursor,
    shared::UnixMillis now,
    std::int64_t monotonic_us);

} // namespace admin_ui
