// g++ 12 warns of Asio's own headers once they are inlined here at -O2; neither warning is true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#include "admin_ui/server.hpp"

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <string>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

namespace admin_ui {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Stream = beast::basic_stream<asio::local::stream_protocol>;
using boost::system::error_code;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::uint32_t kHeadBytesMax = 80 * 1024;
constexpr std::chrono::seconds kIdleTimeout{75};
constexpr std::chrono::milliseconds kAcceptPause{100};

/// Whether the peer is a process of our own user (or root).
bool is_own_user(int fd)
{
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    return peer.uid == geteuid() || peer.uid == 0;
}

PageRequest to_page_request(const http::request<http::string_body>& message)
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
    request.origin = field(http::field::origin);
    request.fetch_site = std::string(message["Sec-Fetch-Site"]);
    request.if_none_match = field(http::field::if_none_match);
    return request;
}

template <class Body>
void write_head(http::response<Body>& message, const PageResponse& page, bool keep_alive)
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

} // namespace

Server::Server(
    asio::io_context& loop,
    int listen_fd,
    Routes& routes,
    std::function<void()> ask_for_reload,
    std::chrono::milliseconds reload_deadline)
    : loop_(loop),
      acceptor_(loop, asio::local::stream_protocol(), listen_fd),
      routes_(routes),
      ask_for_reload_(std::move(ask_for_reload)),
      reload_deadline_(reload_deadline)
{}

void Server::start()
{
    asio::co_spawn(loop_, accept_all(), asio::detached);
}

asio::awaitable<void> Server::accept_all()
{
    asio::steady_timer pause(loop_);
    for (;;) {
        auto [error, socket] = co_await acceptor_.async_accept(kNoThrow);
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
        asio::co_spawn(loop_, session(std::move(socket)), [this](const std::exception_ptr& thrown) {
            --sessions_;
            if (!thrown) return;
            try {
                std::rethrow_exception(thrown);
            } catch (const std::exception& e) {
                shared::log::error("event=session_failed reason=\"{}\"", e.what());
            }
        });
    }
}

asio::awaitable<void> Server::session(Socket socket)
{
    Stream stream(std::move(socket));
    beast::flat_buffer buffer;
    bool go_on = true;
    while (go_on) {
        http::request_parser<http::string_body> parser;
        parser.header_limit(kHeadBytesMax);
        parser.body_limit(kRequestBodyMax);
        stream.expires_after(kIdleTimeout);
        const auto [error, size] = co_await http::async_read(stream, buffer, parser, kNoThrow);
        PageRequest request;
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
        request = to_page_request(parser.get());
        const bool keep_alive = parser.get().keep_alive();
        stream.expires_never();
        PageResponse page = co_await answer(request);
        go_on =
            co_await write_response(stream, std::move(page), request.method == "HEAD", keep_alive);
    }
}

asio::awaitable<PageResponse> Server::answer(const PageRequest& request)
{
    PageResponse page = routes_.answer(request, shared::now_unix(), shared::now_monotonic_us());
    if (page.reload) co_return co_await reload(request);
    co_return page;
}

asio::awaitable<PageResponse> Server::reload(const PageRequest& request)
{
    ReloadWaiter waiter{asio::steady_timer(loop_), std::nullopt};
    waiter.timer.expires_after(reload_deadline_);
    waiters_.push_back(&waiter);
    ask_for_reload_();
    co_await waiter.timer.async_wait(kNoThrow);
    waiters_.remove(&waiter);
    if (!waiter.broken_files) co_return Routes::reload_failed(request);
    co_return routes_.reload_response(request, *waiter.broken_files);
}

void Server::reloaded(std::uint64_t broken_files)
{
    for (ReloadWaiter* waiter : waiters_) {
        waiter->broken_files = broken_files;
        waiter->timer.cancel();
    }
}

} // namespace admin_ui
