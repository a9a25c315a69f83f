/// What the admin child answers: one function from a request and the pool's state to a response. No sockets.
///
/// Requests come only from our own workers, whose route table has already decided who may ask what.
#pragma once

#include "admin_ui/account_actions.hpp"
#include "admin_ui/event_view.hpp"
#include "admin_ui/live_view.hpp"
#include "admin_ui/parameters.hpp"
#include "admin_ui/pool_stats.hpp"
#include "admin_ui/pool_view.hpp"
#include "admin_ui/prices.hpp"
#include "admin_ui/route_table.hpp"
#include "admin_ui/usage_query.hpp"
#include "shared/http/head.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/layout.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace admin_ui {

/// Whoever makes a request, as the worker found it (worker/authenticate.hpp). Who comes over control.sock is the owner.
enum class CallerRole : std::uint8_t {
    nobody, ///< has shown no credential: open routes only
    user,   ///< a pool user
    owner,
};

struct Caller {
    CallerRole role = CallerRole::owner;
    std::string user;        ///< id of a pool user; "local" or "owner" else
    std::string address;     ///< of the client; empty = unknown
    bool by_session = false; ///< by the cookie that a browser sends: changes need its CSRF token
    bool https = false;      ///< as a trusted proxy in front of the pool says
};

/// The parts of a request that matter here.
struct PageRequest {
    std::string method = "GET";
    std::string path = "/";
    std::string query;
    std::string host;
    std::string accept;
    std::string accept_encoding;
    std::string origin;        ///< Origin header
    std::string fetch_site;    ///< Sec-Fetch-Site header
    std::string if_none_match; ///< If-None-Match header
    std::string last_event_id; ///< Last-Event-ID header
    std::string content_type;  ///< Content-Type header
    std::string csrf_token;    ///< X-CSRF-Token header
    std::string if_match;      ///< If-Match header
    std::string body;
    Caller caller;
};

struct PageResponse {
    unsigned status = 200;
    std::vector<shared::http::Header> headers; ///< Content-Type and the safety headers included
    std::string body;
    /// The answer is not this: ask the refresher first, then answer_response().
    std::optional<Question> question;
    // The body never ends by itself: more() again and again.
    std::optional<EventCursor> events;
    std::optional<LiveCursor> live;
};

/// What the routes need to know of the configuration.
struct SiteSettings {
    bool shared_mode = false;
    std::string public_url;
    std::string
        listen; ///< host:port, as others may reach it: this machine's name in place of 0.0.0.0
    std::string friend_name;
    std::string friend_tagline;
    std::filesystem::path prices_file{}; ///< of the owner; may be absent
    bool metrics_users = false;          ///< /metrics names users
    bool allow_contributions = false;    ///< pool users may add accounts
};

class People;
class PeopleRoutes;

class Routes {
public:
    /// All references outlive the routes.
    Routes(shared::Segment& segment, UsageQuery& usage, SiteSettings settings);
    Routes(const Routes&) = delete;
    Routes& operator=(const Routes&) = delete;
    ~Routes();

    /// Serves the paths of people_routes.hpp as well.
    void add_people(People& people);

    [[nodiscard]] PageResponse
    answer(const PageRequest& request, shared::UnixMillis now, std::int64_t monotonic_us);

    /// The answer to a request once the refresher has answered its question.
    [[nodiscard]] PageResponse answer_response(
        const PageRequest& request,
        const Question& question,
        const shared::Message& answer,
        shared::UnixMillis now);

    /// The same when it did not answer in time.
    [[nodiscard]] static PageResponse
    no_answer(const PageRequest& request, const Question& question);

    [[nodiscard]] shared::Segment& segment() noexcept { return segment_; }

    /// What is new for the reader of an answer with `events` or `live`; may be empty.
    [[nodiscard]] std::string more_events(EventCursor& cursor);
    [[nodiscard]] std::string
    more_live(LiveCursor& cursor, shared::UnixMillis now, std::int64_t monotonic_us);

    /// Generations of the workers that wait for their connections to end: they are being replaced, or the pool stops.
    [[nodiscard]] std::vector<std::uint32_t> draining_workers() const;

private:
    using Now = shared::UnixMillis;

    [[nodiscard]] PageResponse
    page(Page page, const PageRequest& request, Now now, std::int64_t monotonic_us);

    // account_routes.cpp: what changes accounts
    [[nodiscard]] PageResponse
    post(Page page, const PageRequest& request, std::string_view path, Now now);
    [[nodiscard]] PageResponse ask_action(const PageRequest& request, const ActionPath& action);
    [[nodiscard]] PageResponse
    ask_own_action(const PageRequest& request, const ActionPath& action, Now now);
    [[nodiscard]] PageResponse ask_upload(const PageRequest& request, Page page);
    [[nodiscard]] PageResponse
    upload_response(const PageRequest& request, const Question& question) const;
    [[nodiscard]] PageResponse upgrade_response(const PageRequest& request, bool done);
    /// Why the supervisor has refused what it was asked last.
    [[nodiscard]] std::string supervisor_word();
    [[nodiscard]] PageResponse
    reload_response(const PageRequest& request, std::uint64_t broken_files);
    [[nodiscard]] PageResponse events(const PageRequest& request);
    [[nodiscard]] PageResponse why(const PageRequest& request, bool as_page, Now now);
    [[nodiscard]] PageResponse accounts(const PageRequest& request, PoolView pool);
    [[nodiscard]] PageResponse metrics(const PoolView& pool);

    // history_routes.cpp: what stands on the database
    [[nodiscard]] PageResponse status(const PageRequest& request, PoolView pool);
    [[nodiscard]] PageResponse friends_status(const PageRequest& request, const PoolView& pool);
    [[nodiscard]] PageResponse usage(const PageRequest& request, bool as_page, Now now);
    [[nodiscard]] PageResponse requests(const PageRequest& request, bool as_page, Now now);
    [[nodiscard]] PageResponse events_page(Now now);
    [[nodiscard]] PageResponse live(const PageRequest& request, Now now, std::int64_t monotonic_us);
    [[nodiscard]] PageResponse
    pool_api(Page page, const PageRequest& request, Now now, std::int64_t monotonic_us);
    [[nodiscard]] shared::Result<UsageReport> report(const UsageRange& range);
    [[nodiscard]] RecentUse recent_use(Now now, std::string& problem);
    void add_model_sums(PoolView& pool);
    [[nodiscard]] PaidByUse paid_by_use();
    /// What a form for this caller has to hold; empty without people or a session.
    [[nodiscard]] std::string csrf_of(const PageRequest& request) const;

    shared::Segment& segment_;
    UsageQuery& usage_;
    SiteSettings settings_;
    shared::ProviderRegistry registry_; ///< for the providers' names
    Prices prices_;
    std::unique_ptr<PeopleRoutes> people_;
};

/// An answer with the headers that all have.
[[nodiscard]] PageResponse
made_response(unsigned status, std::string_view content_type, std::string body);

inline constexpr std::string_view kJsonType = "application/json";
inline constexpr std::string_view kHtmlType = "text/html; charset=utf-8";
inline constexpr std::string_view kTextType = "text/plain; charset=utf-8";

/// What a client would like to have, by Accept or `format=`.
[[nodiscard]] bool wants_json(const PageRequest& request);
[[nodiscard]] bool wants_text(const PageRequest& request);

/// A plain error in the form the client asked for.
[[nodiscard]] PageResponse
error_response(const PageRequest& request, unsigned status, std::string_view message);

} // namespace admin_ui
