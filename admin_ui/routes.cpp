#include "admin_ui/routes.hpp"

#include "admin_ui/accounts_text.hpp"
#include "admin_ui/assets.hpp"
#include "admin_ui/metrics.hpp"
#include "admin_ui/pages.hpp"
#include "admin_ui/people_routes.hpp"
#include "admin_ui/responses.hpp"
#include "admin_ui/views.hpp"
#include "shared/base/log.hpp"
#include "shared/providers/account_options.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/worker_slots.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace admin_ui {
namespace {

/// What OwnerWish holds.
constexpr std::size_t kWishBytesMax = decltype(shared::OwnerWish::options){}.bytes.size();
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
        {"Referrer-Policy", "no-referrer"},
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
      prices_(PriceList::load(settings_.prices_file))
{
    if (!prices_.problem().empty())
        shared::log::warn("event=price_list_refused {}", prices_.problem());
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
    const RouteInfo* route = find_route(path);
    const bool no_action = route != nullptr && route->page == Page::admin_action &&
                           !parse_action_path(path).has_value();
    if (route == nullptr || no_action)
        return error_response(request, 404, "There is no such page.");
    const bool post = route->method == "POST";
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (post && request.method != "POST") return method_not_allowed(request, "POST");
    if (!post && !reads) return method_not_allowed(request, "GET, HEAD");
    if (route->page == Page::file) return asset_response(request, path.substr(kStatic.size()));
    if (post) {
        if (is_cross_site(request))
            return error_response(request, 403, "Another site may not ask for this.");
        return ask(request, path);
    }
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

PageResponse Routes::ask(const PageRequest& request, std::string_view path)
{
    PageResponse later;
    Question& question = later.question.emplace();
    question.message.type = shared::MessageType::reload;
    if (find_route(path)->page == Page::admin_upgrade)
        question.message.type = shared::MessageType::upgrade;
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
            return error_response(request, 409, "Nothing was changed: " + supervisor_word());
        return error_response(request, words.status, words.sentence);
    }
    if (question.message.type == shared::MessageType::upgrade)
        return upgrade_response(request, done);
    shared::log::info(
        "event=owner_action account={} action={} result={}",
        question.account,
        to_string(answer.action),
        to_string(answer.result));
    if (wants_html(request)) {
        if (!done) return error_response(request, words.status, words.sentence);
        PageResponse back = made_response(303, kTextType, words.sentence + '\n');
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
        return made_response(
            200, kTextType, words.sentence + " " + question.account + " is " + state + ".\n");
    }
    return made_response(words.status, kJsonType, action_json(question, answer, words, status));
}

PageResponse Routes::upgrade_response(const PageRequest& request, bool done)
{
    if (!done) return error_response(request, 409, "Nothing was upgraded: " + supervisor_word());
    if (wants_json(request)) return made_response(200, kJsonType, "{\"status\": \"ok\"}\n");
    return made_response(200, kTextType, "ok, the program on disk has taken over\n");
}

std::string Routes::supervisor_word()
{
    const auto text = segment_.supervisor_word.with_lock(
        [](const shared::SupervisorWord& word) { return word.text; });
    return text.empty() ? "the log says why." : std::string(text.view());
}

PageResponse Routes::no_answer(const PageRequest& request, const Question& question)
{
    if (question.message.type == shared::MessageType::reload) {
        return error_response(
            request, 504, "The pool folder was not read in time; look at the log, then try again.");
    }
    if (question.message.type == shared::MessageType::upgrade)
        return error_response(request, 504, "There was no answer in time; look at the log.");
    return error_response(
        request, 504, "There was no answer in time; look at the account's state and the log.");
}

PageResponse Routes::reload_response(const PageRequest& request, std::uint64_t broken_files)
{
    const shared::PoolInfo info =
        segment_.info.with_lock([](shared::PoolInfo& current) { return current; });
    if (wants_json(request)) return made_response(200, kJsonType, reload_json(info, broken_files));
    if (broken_files == 0) return made_response(200, kTextType, "ok\n");
    std::string text = "ok, but " + std::to_string(broken_files) +
                       (broken_files == 1 ? " file is" : " files are") + " not in service:\n";
    for (const std::string& line : problem_lines(info))
        text += line + '\n';
    return made_response(200, kTextType, text);
}

} // namespace admin_ui
