// g++ 12 warns of Asio's own headers once they are inlined here at -O2; neither warning is true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#include "admin_ui/server.hpp"

#include "admin_ui/upload_form.hpp"
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/base/wiping_allocator.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

namespace admin_ui {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Stream = beast::basic_stream<asio::local::stream_protocol>;
// Credentials and passwords come through here.
using Buffer = beast::basic_flat_buffer<shared::WipingAllocator<char>>;
using Body = http::basic_string_body<char, std::char_traits<char>, shared::WipingAllocator<char>>;
using Incoming = http::request<Body>;
using boost::system::error_code;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::uint32_t kHeadBytesMax = 80 * 1024;
constexpr std::chrono::seconds kIdleTimeout{75};
constexpr std::chrono::milliseconds kAcceptPause{100};
/// How often is looked for new events, and how often a silent stream shows that it lives.
constexpr std::chrono::milliseconds kEventsEvery{250};
constexpr std::chrono::seconds kSignOfLifeEvery{15};

/// Whether the peer is a process of our own user (or root).
bool is_own_user(int fd)
{
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    return peer.uid == geteuid() || peer.uid == 0;
}

/// What the worker says of the caller; over control.sock nobody says anything, and it is the owner.
Caller caller_of(const Incoming& message)
{
    Caller caller;
    const std::string_view role = message["X-Codex-Pool-Role"];
    if (role == "nobody") caller.role = CallerRole::nobody;
    if (role == "user") caller.role = CallerRole::user;
    caller.user = std::string(message["X-Codex-Pool-User"]);
    caller.address = std::string(message["X-Codex-Pool-Client"]);
    caller.by_session = message["X-Codex-Pool-Session"] == "1";
    caller.https = message["X-Codex-Pool-Scheme"] == "https";
    return caller;
}

PageRequest to_page_request(const Incoming& message)
{
    const auto field = [&message](http::field name) { return std::string(message[name]); };
    PageRequest request;
    request.method = std::string(message.method_string());
    const std::string target(message.target());
    const std::size_t mark = std::min(target.find('?'), target.size());
    request.path = target.substr(0, mark);
    if (mark < target.size()) request.query = target.substr(mark + 1);
    request.host = field(http::field::host);
    request.accept = field(http::field::accept);
    request.accept_encoding = field(http::field::accept_encoding);
    request.origin = field(http::field::origin);
    request.fetch_site = std::string(message["Sec-Fetch-Site"]);
    request.if_none_match = field(http::field::if_none_match);
    request.last_event_id = std::string(message["Last-Event-ID"]);
    request.content_type = field(http::field::content_type);
    request.if_match = field(http::field::if_match);
    request.csrf_token = std::string(message["X-CSRF-Token"]);
    request.caller = caller_of(message);
    return request;
}

using Parser = http::request_parser<Body>;

/// One request, with a large body only where one is taken.
asio::awaitable<error_code> read_request(Stream& stream, Buffer& buffer, Parser& parser)
{
    const auto [error, size] = co_await http::async_read_header(stream, buffer, parser, kNoThrow);
    if (error) co_return error;
    const std::string method(parser.get().method_string());
    const std::string target(parser.get().target());
    if (!takes_upload(method, std::string_view(target).substr(0, target.find('?')))) {
        if (parser.content_length().value_or(0) > kRequestBodyMax)
            co_return make_error_code(http::error::body_limit);
        parser.body_limit(kRequestBodyMax);
    }
    const auto [broken, more] = co_await http::async_read(stream, buffer, parser, kNoThrow);
    co_return broken;
}

/// Clears a text when its time is over.
class WipedAtEnd {
public:
    explicit WipedAtEnd(std::string& text) noexcept : text_(text) {}

    WipedAtEnd(const WipedAtEnd&) = delete;
    WipedAtEnd& operator=(const WipedAtEnd&) = delete;

    ~WipedAtEnd() { shared::wipe(text_); }

private:
    std::string& text_;
};

template <class Sent>
void write_head(http::response<Sent>& message, const PageResponse& page, bool keep_alive)
{
    message.version(11);
    message.result(page.status);
    for (const shared::http::Header& header : page.headers)
        message.set(header.name, header.value);
    message.keep_alive(keep_alive);
    if (page.status != 304) message.content_length(page.body.size());
}

/// Returns whether the connection can be used again.
asio::awaitable<bool> write_response(Stream& stream, PageResponse page, bool head, bool keep_alive)
{
    stream.expires_after(kIdleTimeout);
    if (head || page.status == 304) {
        http::response<http::empty_body> message;
        write_head(message, page, keep_alive);
        const auto [error, size] = co_await http::async_write(stream, message, kNoThrow);
        co_return !error && keep_alive;
    }
    http::response<http::string_body> message;
    write_head(message, page, keep_alive);
    message.body() = std::move(page.body);
    const auto [error, size] = co_await http::async_write(stream, message, kNoThrow);
    co_return !error && keep_alive;
}

/// Notices that the client left, also while nothing is sent. Two owners: the coroutine that sends and the handler that
/// waits for the socket.
struct Departure {
    explicit Departure(const asio::any_io_executor& executor) : timer(executor) {}

    asio::steady_timer timer; ///< cancelled when the client leaves
    bool left = false;
};

void watch_departure(Stream& stream, const std::shared_ptr<Departure>& departure)
{
    stream.socket().async_wait(
        asio::local::stream_protocol::socket::wait_read, [departure](const error_code& error) {
            if (error == asio::error::operation_aborted) return;
            // Nobody has anything to say after this request: whatever comes is the end.
            departure->left = true;
            departure->timer.cancel();
        });
}

/// Where one endless answer gets its text from, and when it has to end.
class StreamReader {
public:
    StreamReader(Routes& routes, const PageResponse& page, bool from_workers)
        : routes_(routes),
          events_(page.events),
          live_(page.live),
          from_workers_(from_workers),
          others_(routes.draining_workers())
    {}

    [[nodiscard]] std::string next()
    {
        if (live_) return routes_.more_live(*live_, shared::now_unix(), shared::now_monotonic_us());
        return routes_.more_events(*events_);
    }

    [[nodiscard]] std::string_view sign_of_life() const noexcept
    {
        const bool sse = live_ || events_->form == EventForm::sse;
        return sse ? std::string_view(": \n\n") : std::string_view();
    }

    /// A stream would keep a worker from draining; its reader comes back through the next one.
    [[nodiscard]] bool ends() const
    {
        const bool follows = live_ || events_->follows;
        if (!follows || !from_workers_) return !follows;
        const std::vector<std::uint32_t> draining = routes_.draining_workers();
        return std::any_of(draining.begin(), draining.end(), [this](std::uint32_t worker) {
            return std::find(others_.begin(), others_.end(), worker) == others_.end();
        });
    }

private:
    Routes& routes_;
    std::optional<EventCursor> events_;
    std::optional<LiveCursor> live_;
    bool from_workers_;
    std::vector<std::uint32_t> others_; ///< drained before it began: it came by another one
};

asio::awaitable<bool> write_text(Stream& stream, std::string text)
{
    stream.expires_after(kIdleTimeout);
    const auto [error, size] = co_await asio::async_write(stream, asio::buffer(text), kNoThrow);
    stream.expires_never();
    co_return !error;
}

std::string chunk_of(std::string_view text)
{
    return fmt::format("{:x}\r\n{}\r\n", text.size(), text);
}

/// Sends events as they come until the client leaves or the reader ends; then the connection is done with.
asio::awaitable<void> write_events(Stream& stream, const PageResponse& page, StreamReader& reader)
{
    std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n";
    for (const shared::http::Header& header : page.headers)
        head += header.name + ": " + header.value + "\r\n";
    head += "\r\n";
    const auto departure = std::make_shared<Departure>(stream.get_executor());
    watch_departure(stream, departure);
    bool open = co_await write_text(stream, std::move(head));
    auto silent_since = std::chrono::steady_clock::now();
    while (open && !departure->left) {
        std::string text = reader.next();
        const bool more = !text.empty();
        const auto now = std::chrono::steady_clock::now();
        if (!more && now - silent_since >= kSignOfLifeEvery) text = reader.sign_of_life();
        if (!text.empty()) {
            silent_since = now;
            std::string chunk = chunk_of(text);
            open = co_await write_text(stream, std::move(chunk));
        }
        if (more) continue;
        if (reader.ends()) {
            std::string end = "0\r\n\r\n";
            open = co_await write_text(stream, std::move(end));
            break;
        }
        departure->timer.expires_after(kEventsEvery);
        co_await departure->timer.async_wait(kNoThrow);
    }
    error_code ignored;
    stream.socket().cancel(ignored);
}

} // namespace

Server::Server(asio::io_context& loop, int listen_fd, Routes& routes, Ask ask, Deadlines deadlines)
    : loop_(loop),
      acceptor_(loop, asio::local::stream_protocol(), listen_fd),
      routes_(routes),
      ask_(std::move(ask)),
      deadlines_(deadlines),
      last_request_(static_cast<std::uint64_t>(shared::now_monotonic_us())),
      drain_end_(loop)
{}

Server::~Server()
{
    drain_->on_idle = nullptr;
}

/// Counts while it lives.
class Server::UnderWay {
public:
    explicit UnderWay(std::shared_ptr<Drain> drain) : drain_(std::move(drain))
    {
        ++drain_->under_way;
    }

    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;

    ~UnderWay()
    {
        --drain_->under_way;
        drain_->check();
    }

private:
    std::shared_ptr<Drain> drain_;
};

void Server::Drain::check()
{
    if (under_way == 0 && on_idle) std::exchange(on_idle, nullptr)();
}

void Server::drain(std::function<void()> on_idle)
{
    drain_->on_idle = std::move(on_idle);
    error_code ignored;
    acceptor_.close(ignored);
    if (owners_acceptor_) owners_acceptor_->close(ignored);
    drain_end_.expires_after(kDrainMax);
    drain_end_.async_wait([drain = drain_](const error_code& error) {
        if (!error && drain->on_idle) std::exchange(drain->on_idle, nullptr)();
    });
    drain_->check();
}

void Server::listen_also(int fd)
{
    owners_acceptor_.emplace(loop_, asio::local::stream_protocol(), fd);
}

void Server::start()
{
    asio::co_spawn(loop_, accept_all(acceptor_, true), asio::detached);
    if (owners_acceptor_)
        asio::co_spawn(loop_, accept_all(*owners_acceptor_, false), asio::detached);
}

asio::awaitable<void> Server::accept_all(Acceptor& acceptor, bool from_workers)
{
    asio::steady_timer pause(loop_);
    for (;;) {
        auto [error, socket] = co_await acceptor.async_accept(kNoThrow);
        if (error == asio::error::operation_aborted) co_return;
        if (error) {
            shared::log::warn("event=accept_failed reason=\"{}\"", error.message());
            pause.expires_after(kAcceptPause);
            co_await pause.async_wait(kNoThrow);
            continue;
        }
        if (!is_own_user(socket.native_handle())) {
            shared::log::warn("event=foreign_user_refused");
            continue;
        }
        if (sessions_ >= kSessionsMax) {
            shared::log::warn("event=too_many_sessions limit={}", kSessionsMax);
            continue;
        }
        ++sessions_;
        const auto ended = [this](const std::exception_ptr& thrown) {
            --sessions_;
            if (!thrown) return;
            try {
                std::rethrow_exception(thrown);
            } catch (const std::exception& e) {
                shared::log::error("event=session_failed reason=\"{}\"", e.what());
            }
        };
        asio::co_spawn(loop_, session(std::move(socket), from_workers), ended);
    }
}

asio::awaitable<void> Server::session(Socket socket, bool from_workers)
{
    Stream stream(std::move(socket));
    Buffer buffer;
    bool go_on = true;
    std::optional<UnderWay> under_way(std::in_place, drain_);
    while (go_on) {
        Parser parser;
        parser.header_limit(kHeadBytesMax);
        parser.body_limit(kUploadBodyMax);
        stream.expires_after(kIdleTimeout);
        const error_code error = co_await read_request(stream, buffer, parser);
        PageRequest request;
        const WipedAtEnd wiped(request.body);
        if (error) {
            const bool is_bad =
                error.category() == http::make_error_code(http::error::bad_method).category() &&
                error != http::error::end_of_stream;
            if (!is_bad) co_return;
            const unsigned status = error == http::error::body_limit ? 413 : 400;
            PageResponse refusal = error_response(request, status, error.message());
            co_await write_response(stream, std::move(refusal), false, false);
            co_return;
        }
        if (!under_way) under_way.emplace(drain_);
        request = to_page_request(parser.get());
        const auto& body = parser.get().body();
        request.body.assign(body.data(), body.size());
        const bool keep_alive = parser.get().keep_alive();
        stream.expires_never();
        PageResponse page = co_await answer(request);
        const bool endless = page.events || page.live;
        const bool too_many = endless && event_streams_ >= kEventStreamsMax;
        if (too_many) page = error_response(request, 503, "Too many watch already.");
        if (endless && !too_many && request.method == "GET") {
            under_way.reset();
            ++event_streams_;
            StreamReader reader(routes_, page, from_workers);
            co_await write_events(stream, page, reader);
            --event_streams_;
            co_return;
        }
        go_on =
            co_await write_response(stream, std::move(page), request.method == "HEAD", keep_alive);
        under_way.reset();
    }
}

asio::awaitable<PageResponse> Server::answer(const PageRequest& request)
{
    PageResponse page = routes_.answer(request, shared::now_unix(), shared::now_monotonic_us());
    if (!page.question) co_return page;
    Question question = std::move(*page.question);
    co_return co_await ask(request, std::move(question));
}

asio::awaitable<PageResponse> Server::ask(const PageRequest& request, Question question)
{
    const bool reload = question.message.type == shared::MessageType::reload;
    const bool options = question.message.action == shared::AccountAction::options;
    Waiter waiter{asio::steady_timer(loop_), ++last_request_, std::nullopt};
    if (options && !leave_wish(routes_.segment(), question, waiter.request)) {
        co_return error_response(request, 409, "Another change is being made; try again.");
    }
    const bool upgrade = question.message.type == shared::MessageType::upgrade;
    waiter.timer.expires_after(
        reload    ? deadlines_.reload
        : upgrade ? deadlines_.upgrade
                  : deadlines_.action);
    waiters_.push_back(&waiter);
    shared::Message message = question.message;
    message.request = waiter.request;
    ask_(message, question.upload.get());
    co_await waiter.timer.async_wait(kNoThrow);
    waiters_.remove(&waiter);
    if (options) withdraw_wish(routes_.segment(), waiter.request);
    if (!waiter.answer) co_return Routes::no_answer(request, question);
    co_return routes_.answer_response(request, question, *waiter.answer, shared::now_unix());
}

void Server::answered(const shared::Message& answer)
{
    for (Waiter* waiter : waiters_) {
        if (waiter->request != answer.request) continue;
        waiter->answer = answer;
        waiter->timer.cancel();
    }
}

} // namespace admin_ui
