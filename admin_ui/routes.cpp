#include "admin_ui/routes.hpp"

#include "admin_ui/accounts_text.hpp"
#include "admin_ui/assets.hpp"
#include "admin_ui/metrics.hpp"
#include "admin_ui/own_accounts.hpp"
#include "admin_ui/pages.hpp"
#include "admin_ui/people_routes.hpp"
#include "admin_ui/responses.hpp"
#include "admin_ui/views.hpp"
#include "shared/segment/worker_slots.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace admin_ui {
namespace {

/// Smaller texts are sent as they are.
constexpr std::size_t kCompressedFrom = 1400;

/// Nothing but our own origin, no inline scripts or styles, never inside a frame.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

bool takes_gzip(const PageRequest& request)
{
    const std::string& accepted = request.accept_encoding;
    const std::size_t at = accepted.find("gzip");
    return at != std::string::npos && accepted.find("gzip;q=0", at) != at;
}

PageResponse asset_response(const PageRequest& request, std::string_view name)
{
    const std::optional<Asset> asset = find_asset(name);
    if (!asset) return error_response(request, 404, "There is no such file.");
    const bool gzip = takes_gzip(request) && !asset->gzip.empty();
    PageResponse made =
        made_response(200, asset->content_type, std::string(gzip ? asset->gzip : asset->bytes));
    // Pages name assets with their version; without one the browser asks each time.
    const bool versioned = asset->versioned || !parameter(request.query, "v").empty();
    made.headers[1].value = versioned ? "public, max-age=31536000, immutable" : "public, no-cache";
    made.headers.push_back({"ETag", std::string(asset->etag)});
    made.headers.push_back({"Vary", "Accept-Encoding"});
    if (gzip) made.headers.push_back({"Content-Encoding", "gzip"});
    const bool known = request.if_none_match == "*" ||
                       request.if_none_match.find(asset->etag) != std::string::npos;
    if (known) {
        made.status = 304;
        made.body.clear();
    }
    return made;
}

/// Large answers without secrets in them go compressed to those who take that.
void compress(const PageRequest& request, PageResponse& page)
{
    if (page.events || page.live || page.question) return;
    page.headers.push_back({"Vary", "Accept, Accept-Encoding"});
    if (page.body.size() < kCompressedFrom || !takes_gzip(request)) return;
    constexpr int kFast = 5;
    std::string smaller = gzip_compressed(page.body, kFast);
    if (smaller.empty() || smaller.size() >= page.body.size()) return;
    page.body = std::move(smaller);
    page.headers.push_back({"Content-Encoding", "gzip"});
}

} // namespace

PageResponse made_response(unsigned status, std::string_view content_type, std::string body)
{
    PageResponse made;
    made.status = status;
    made.headers = {
        {"Content-Type", std::string(content_type)},
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"Content-Security-Policy", kContentSecurityPolicy},
        // With no-referrer browsers send "Origin: null" with our own forms, as with a foreign page's.
        {"Referrer-Policy", "same-origin"},
        {"X-Frame-Options", "DENY"}};
    made.body = std::move(body);
    return made;
}

bool wants_json(const PageRequest& request)
{
    if (parameter(request.query, "format") == "json") return true;
    const bool json = request.accept.find("application/json") != std::string::npos;
    return json && request.accept.find("text/html") == std::string::npos;
}

bool wants_text(const PageRequest& request)
{
    if (const std::string_view format = parameter(request.query, "format"); !format.empty())
        return format == "text";
    return request.accept.find("text/plain") != std::string::npos;
}

PageResponse error_response(const PageRequest& request, unsigned status, std::string_view message)
{
    if (!wants_html(request)) return made_response(status, kJsonType, error_json(message));
    std::string_view title = "Something went wrong";
    if (status == 404) title = "Not found";
    if (status == 405) title = "Not allowed";
    if (status == 403) title = "Refused";
    return made_response(status, kHtmlType, error_page(title, message));
}

Routes::Routes(shared::Segment& segment, UsageQuery& usage, SiteSettings settings)
    : segment_(segment),
      usage_(usage),
      settings_(std::move(settings)),
      prices_(settings_.prices_file)
{
    (void)prices_.current(); // what is wrong with the file is said at the start
}

void Routes::add_people(People& people)
{
    people_ = std::make_unique<PeopleRoutes>(people, settings_);
}

Routes::~Routes() = default;

PageResponse
Routes::answer(const PageRequest& request, shared::UnixMillis now, std::int64_t monotonic_us)
{
    if (people_) {
        if (auto made = people_->answer(request, now)) return std::move(*made);
    }
    constexpr std::string_view kStatic = "/static/";
    std::string_view path = request.path;
    if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    const RouteInfo* route =
        find_route(path, request.method == "HEAD" ? std::string_view("GET") : request.method);
    const bool no_action =
        route != nullptr &&
        ((route->page == Page::admin_action && !parse_action_path(path).has_value()) ||
         (route->page == Page::own_action && !parse_own_action_path(path).has_value()));
    if (route == nullptr || no_action)
        return error_response(request, 404, "There is no such page.");
    const bool post = route->method == "POST";
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (post && request.method != "POST") return method_not_allowed(request, "POST");
    if (!post && !reads) return method_not_allowed(request, "GET, HEAD");
    if (route->page == Page::file) return asset_response(request, path.substr(kStatic.size()));
    if (post) return this->post(route->page, request, path, now);
    PageRequest plain = request;
    plain.path = path;
    PageResponse made = page(route->page, plain, now, monotonic_us);
    if (route->compressed) compress(request, made);
    return made;
}

PageResponse Routes::page(
    Page page, const PageRequest& request, shared::UnixMillis now, std::int64_t monotonic_us)
{
    switch (page) {
    case Page::icon:
        return asset_response(request, "favicon.svg");
    case Page::usage:
    case Page::admin_usage:
        return usage(request, page == Page::usage, now);
    case Page::requests:
    case Page::admin_requests:
        return requests(request, page == Page::requests, now);
    case Page::events:
        return events_page(now);
    case Page::admin_events:
        return events(request);
    case Page::admin_live:
        return live(request, now, monotonic_us);
    case Page::why:
    case Page::admin_why:
        return why(request, page == Page::why, now);
    case Page::openapi:
        return made_response(200, kJsonType, std::string(embedded_file("openapi.json")));
    case Page::metrics:
        return metrics(observe(segment_, now, monotonic_us));
    case Page::landing:
        if (settings_.shared_mode) {
            return made_response(
                200, kHtmlType, shared_page(settings_.friend_name, settings_.friend_tagline));
        }
        return made_response(
            200,
            kHtmlType,
            landing_page(
                observe(segment_, now, monotonic_us),
                client_address(request.host, settings_.public_url, settings_.listen)));
    case Page::pool:
        return status(request, observe(segment_, now, monotonic_us));
    case Page::own_accounts:
        return made_response(
            200, kJsonType, own_accounts_json(own_accounts(segment_, request.caller.user, now)));
    case Page::admin_accounts:
        return accounts(request, observe(segment_, now, monotonic_us));
    default:
        return pool_api(page, request, now, monotonic_us);
    }
}

PageResponse Routes::accounts(const PageRequest& request, PoolView pool)
{
    add_model_sums(pool);
    if (wants_text(request)) return made_response(200, kTextType, accounts_text(pool));
    return made_response(200, kJsonType, accounts_json(pool));
}

PageResponse Routes::metrics(const PoolView& pool)
{
    std::optional<UserList> users;
    if (settings_.metrics_users) {
        // Without the database they are left out rather than all metrics refused.
        if (auto sums = usage_.users()) users = std::move(*sums);
    }
    return made_response(200, kMetricsContentType, metrics_text(pool, users));
}

PageResponse Routes::events(const PageRequest& request)
{
    EventCursor cursor;
    const std::string_view format = parameter(request.query, "format");
    if (format == "text") cursor.form = EventForm::text;
    if (format == "json") cursor.form = EventForm::json;
    const std::string_view since = parameter(request.query, "since");
    cursor.after =
        event_id(segment_, request.last_event_id.empty() ? since : request.last_event_id);
    cursor.follows = cursor.form == EventForm::sse || parameter(request.query, "follow") == "1";
    constexpr std::array kTypes{
        std::string_view("text/event-stream"), kTextType, std::string_view("application/x-ndjson")};
    PageResponse made = made_response(200, kTypes[static_cast<std::size_t>(cursor.form)], "");
    made.events = cursor;
    return made;
}

std::string Routes::more_events(EventCursor& cursor)
{
    return next_events(segment_, cursor);
}

std::string Routes::more_live(LiveCursor& cursor, shared::UnixMillis now, std::int64_t monotonic_us)
{
    return next_live(segment_, cursor, now, monotonic_us);
}

std::vector<std::uint32_t> Routes::draining_workers() const
{
    std::vector<std::uint32_t> draining;
    for (const shared::WorkerSlot& slot : shared::used_slots(segment_)) {
        if (slot.state.load(std::memory_order_relaxed) == shared::SlotState::draining)
            draining.push_back(slot.generation.load(std::memory_order_relaxed));
    }
    return draining;
}

} // namespace admin_ui
