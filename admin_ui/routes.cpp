#include "admin_ui/routes.hpp"

#include "admin_ui/accounts_text.hpp"
#include "admin_ui/metrics.hpp"
#include "admin_ui/pages.hpp"
#include "admin_ui/views.hpp"
#include "admin_ui/why_view.hpp"
#include "shared/base/log.hpp"
#include "shared/providers/account_options.hpp"
#include "shared/segment/account_table.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace admin_ui {
namespace {

constexpr const char* kJson = "application/json";
constexpr const char* kHtml = "text/html; charset=utf-8";
constexpr const char* kText = "text/plain; charset=utf-8";
constexpr std::size_t kRequestsDefault = 100;
constexpr std::size_t kRequestsOnPage = 25;
/// What OwnerWish holds.
constexpr std::size_t kWishBytesMax = decltype(shared::OwnerWish::options){}.bytes.size();
constexpr std::int64_t kDayMs = 24LL * 3600 * 1000;

/// Nothing but our own origin, no inline scripts or styles, never inside a frame.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

PageResponse response(unsigned status, const char* content_type, std::string body)
{
    PageResponse made;
    made.status = status;
    made.headers = {
        {"Content-Type", content_type},
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"Content-Security-Policy", kContentSecurityPolicy},
        {"Referrer-Policy", "no-referrer"},
        {"X-Frame-Options", "DENY"}};
    made.body = std::move(body);
    return made;
}

/// The value of a query parameter; empty if absent.
std::string_view parameter(std::string_view query, std::string_view name)
{
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view pair = query.substr(0, end);
        const std::size_t equals = std::min(pair.find('='), pair.size());
        if (pair.substr(0, equals) == name) return pair.substr(std::min(equals + 1, pair.size()));
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    return {};
}

bool wants_json(const PageRequest& request)
{
    if (parameter(request.query, "format") == "json") return true;
    const bool json = request.accept.find("application/json") != std::string::npos;
    return json && request.accept.find("text/html") == std::string::npos;
}

bool wants_html(const PageRequest& request)
{
    return request.accept.find("text/html") != std::string::npos;
}

bool wants_text(const PageRequest& request)
{
    if (const std::string_view format = parameter(request.query, "format"); !format.empty())
        return format == "text";
    return request.accept.find("text/plain") != std::string::npos;
}

/// Whether a page of another origin made the browser send this.
bool is_cross_site(const PageRequest& request)
{
    const std::string& site = request.fetch_site;
    if (!site.empty() && site != "same-origin" && site != "none") return true;
    if (request.origin.empty()) return false;
    const std::size_t scheme = request.origin.find("://");
    return scheme == std::string::npos || request.origin.substr(scheme + 3) != request.host;
}

PageResponse method_not_allowed(const PageRequest& request, const char* allow)
{
    PageResponse made = error_response(
        request, 405, "This path takes " + std::string(allow) + ", not " + request.method + '.');
    made.headers.push_back({"Allow", allow});
    return made;
}

PageResponse asset_response(const PageRequest& request, std::string_view name)
{
    const std::optional<Asset> asset = find_asset(name);
    if (!asset) return error_response(request, 404, "There is no such file.");
    PageResponse made = response(200, "", std::string(asset->bytes));
    made.headers[0].value = asset->content_type;
    // Pages name assets with their version; without one the browser asks each time.
    const bool versioned = !parameter(request.query, "v").empty();
    made.headers[1].value = versioned ? "public, max-age=31536000, immutable" : "public, no-cache";
    made.headers.push_back({"ETag", asset->etag});
    const bool known = request.if_none_match == "*" ||
                       request.if_none_match.find(asset->etag) != std::string::npos;
    if (known) {
        made.status = 304;
        made.body.clear();
    }
    return made;
}

struct Rule {
    std::string_view path;
    bool post = false;
};

constexpr std::array kPages{
    Rule{"/"},
    Rule{"/status"},
    Rule{"/status/why"},
    Rule{"/admin/why"},
    Rule{"/metrics"},
    Rule{"/favicon.ico"},
    Rule{"/admin/accounts"},
    Rule{"/admin/events"},
    Rule{"/admin/requests"},
    Rule{"/admin/reload", true}};

} // namespace

PageResponse error_response(const PageRequest& request, unsigned status, std::string_view message)
{
    if (!wants_html(request)) return response(status, kJson, error_json(message));
    std::string_view title = "Something went wrong";
    if (status == 404) title = "Not found";
    if (status == 405) title = "Not allowed";
    if (status == 403) title = "Refused";
    return response(status, kHtml, error_page(title, message));
}

Routes::Routes(shared::Segment& segment, UsageQuery& usage, SiteSettings settings)
    : segment_(segment), usage_(usage), settings_(std::move(settings))
{}

PageResponse
Routes::answer(const PageRequest& request, shared::UnixMillis now, std::int64_t monotonic_us)
{
    constexpr std::string_view kStatic = "/static/";
    std::string_view path = request.path;
    if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    const bool is_static = path.starts_with(kStatic);
    const auto* const rule = std::find_if(
        kPages.begin(), kPages.end(), [path](const Rule& r) { return r.path == path; });
    const bool action = parse_action_path(path).has_value();
    if (rule == kPages.end() && !is_static && !action) {
        return error_response(request, 404, "There is no such page.");
    }
    const bool post = action || (rule != kPages.end() && rule->post);
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (post && request.method != "POST") return method_not_allowed(request, "POST");
    if (!post && !reads) return method_not_allowed(request, "GET, HEAD");
    if (is_static) return asset_response(request, path.substr(kStatic.size()));
    if (post) {
        if (is_cross_site(request)) {
            return error_response(request, 403, "Another site may not ask for this.");
        }
        return ask(request, path);
    }
    PageRequest plain = request;
    plain.path = path;
    return page(plain, now, monotonic_us);
}

PageResponse
Routes::page(const PageRequest& request, shared::UnixMillis now, std::int64_t monotonic_us)
{
    if (request.path == "/favicon.ico") return asset_response(request, "favicon.svg");
    if (request.path == "/" && settings_.shared_mode) {
        return response(200, kHtml, shared_page(settings_.friend_name, settings_.friend_tagline));
    }
    if (request.path == "/admin/requests") return requests(request);
    if (request.path == "/admin/events") return events(request);
    if (request.path == "/admin/why" || request.path == "/status/why") return why(request, now);
    PoolView pool = observe(segment_, now, monotonic_us);
    if (request.path == "/metrics") return response(200, kMetricsContentType, metrics_text(pool));
    if (request.path == "/") {
        const std::string address =
            client_address(request.host, settings_.public_url, settings_.listen);
        return response(200, kHtml, landing_page(pool, address));
    }
    if (const auto models = usage_.model_sums(); models.has_value()) {
        add_models(pool, *models);
    } else {
        shared::log::warn("event=history_unreadable {}", models.error().text());
    }
    if (request.path == "/admin/accounts" && wants_text(request))
        return response(200, kText, accounts_text(pool));
    if (request.path == "/admin/accounts") return response(200, kJson, accounts_json(pool));
    return status(request, std::move(pool));
}

PageResponse Routes::status(const PageRequest& request, PoolView pool)
{
    if (wants_json(request)) {
        return response(200, kJson, status_json(pool, settings_.shared_mode ? "shared" : "local"));
    }
    History history;
    if (auto recent = usage_.recent_requests(kRequestsOnPage); recent.has_value()) {
        history.requests = std::move(*recent);
    } else {
        history.problem = recent.error().text();
    }
    if (auto hours = usage_.hours({pool.now.value - kDayMs}); hours.has_value()) {
        history.hours = std::move(*hours);
    }
    PageResponse made = response(200, kHtml, status_page(pool, history));
    made.headers.push_back({"Vary", "Accept"});
    return made;
}

PageResponse Routes::requests(const PageRequest& request)
{
    std::size_t limit = kRequestsDefault;
    if (const std::string_view text = parameter(request.query, "limit"); !text.empty()) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
        if (error != std::errc() || end != text.data() + text.size() || limit == 0) {
            return error_response(
                request,
                400,
                "limit must be a number from 1 to " + std::to_string(kRequestEntriesMax) + '.');
        }
    }
    const auto recent = usage_.recent_requests(std::min(limit, kRequestEntriesMax));
    if (!recent.has_value()) return error_response(request, 503, recent.error().text());
    return response(200, kJson, requests_json(*recent));
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
    constexpr std::array kTypes{"text/event-stream", kText, "application/x-ndjson"};
    PageResponse made = response(200, kTypes[static_cast<std::size_t>(cursor.form)], "");
    made.events = cursor;
    return made;
}

std::string Routes::more_events(EventCursor& cursor)
{
    return next_events(segment_, cursor);
}

bool Routes::workers_drain() const noexcept
{
    return std::any_of(
        segment_.workers.begin(), segment_.workers.end(), [](const shared::WorkerSlot& slot) {
            return slot.state.load(std::memory_order_relaxed) == shared::SlotState::draining;
        });
}

PageResponse Routes::why(const PageRequest& request, shared::UnixMillis now)
{
    const std::string_view id = parameter(request.query, "id");
    const WhyAnswer answer = explain_request(segment_, usage_, registry_, id, now);
    if (request.path == "/status/why")
        return response(answer.status, kHtml, why_page(id, answer.text));
    if (answer.status != 200) return error_response(request, answer.status, answer.text);
    if (wants_text(request)) return response(200, kText, answer.text);
    return response(200, kJson, answer.json);
}

PageResponse Routes::ask(const PageRequest& request, std::string_view path)
{
    PageResponse later;
    Question& question = later.question.emplace();
    question.message.type = shared::MessageType::reload;
    const std::optional<ActionPath> action = parse_action_path(path);
    if (!action) return later;
    const std::optional<shared::AccountSlot> slot = shared::find_account(segment_, action->account);
    if (!slot) return error_response(request, 404, "There is no such account.");
    question.account = action->account;
    question.message.type = shared::MessageType::account_action;
    question.message.action = action->action;
    question.message.value = slot->value;
    if (action->action != shared::AccountAction::options) return later;
    // Checked here, where what is wrong can be said; the refresher checks again.
    if (request.body.size() > kWishBytesMax) {
        return error_response(
            request, 413, "Options have at most " + std::to_string(kWishBytesMax) + " bytes.");
    }
    if (const auto options = shared::parse_options_text(request.body); !options.has_value())
        return error_response(request, 400, options.error().text());
    question.options = request.body;
    return later;
}

PageResponse Routes::answer_response(
    const PageRequest& request,
    const Question& question,
    const shared::Message& answer,
    shared::UnixMillis now)
{
    const ActionWords words = words_of(answer);
    const bool done = answer.result == shared::ActionResult::done;
    if (question.message.type == shared::MessageType::reload) {
        if (done) return reload_response(request, answer.value);
        if (answer.result == shared::ActionResult::refused)
            return error_response(
                request,
                409,
                "Nothing was changed: the log says what is wrong, and so does codex-pool check.");
        return error_response(request, words.status, words.sentence);
    }
    shared::log::info(
        "event=owner_action account={} action={} result={}",
        question.account,
        to_string(answer.action),
        to_string(answer.result));
    if (wants_html(request)) {
        if (!done) return error_response(request, words.status, words.sentence);
        PageResponse back = response(303, kText, words.sentence + '\n');
        back.headers.push_back({"Location", "/status"});
        return back;
    }
    const auto slot = static_cast<std::uint16_t>(question.message.value);
    const shared::AccountRouting routing = segment_.accounts[slot].with_lock(
        [](const shared::AccountRecord& record) { return record.routing; });
    const shared::AccountStatus status =
        shared::account_status(routing, shared::in_flight(segment_, {slot}), now);
    if (done && wants_text(request)) {
        const std::string state(shared::to_string(status.condition));
        return response(
            200, kText, words.sentence + " " + question.account + " is " + state + ".\n");
    }
    return response(words.status, kJson, action_json(question, answer, words, status));
}

PageResponse Routes::no_answer(const PageRequest& request, const Question& question)
{
    if (question.message.type == shared::MessageType::reload) {
        return error_response(
            request, 504, "The pool folder was not read in time; look at the log, then try again.");
    }
    return error_response(
        request, 504, "There was no answer in time; look at the account's state and the log.");
}

PageResponse Routes::reload_response(const PageRequest& request, std::uint64_t broken_files)
{
    const shared::PoolInfo info =
        segment_.info.with_lock([](shared::PoolInfo& current) { return current; });
    if (wants_json(request)) return response(200, kJson, reload_json(info, broken_files));
    if (broken_files == 0) return response(200, kText, "ok\n");
    std::string text = "ok, but " + std::to_string(broken_files) +
                       (broken_files == 1 ? " file is" : " files are") + " not in service:\n";
    for (const std::string& line : problem_lines(info))
        text += line + '\n';
    return response(200, kText, text);
}

} // namespace admin_ui
