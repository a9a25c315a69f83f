/// HttpClient: one connection per request, a deadline over everything, TLS verified.
///
/// Not for the hot path: the answer is collected in memory. Beast only parses here, all reading and
/// writing is ours; that keeps one instantiation per kind of stream small.
// g++ 12 warns of Asio's own headers once they are inlined here at -O2; neither warning is true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#include "shared/net/http_client.hpp"

#include "shared/net/socks5.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace shared::net {
namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Tls = asio::ssl::stream<tcp::socket&>;
using TlsInTls = asio::ssl::stream<Tls&>;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::uint32_t kHeadBytesMax = 64 * 1024;
constexpr std::size_t kConnectAnswerMax = 16 * 1024;
constexpr int kInterimAnswersMax = 8;

/// The socket and the timer that closes it. Two owners: the coroutine of the request and the timer's handler,
/// which may already be queued when the request ends.
struct Connection {
    explicit Connection(const asio::any_io_executor& executor) : socket(executor), timer(executor)
    {}

    tcp::socket socket;
    asio::steady_timer timer;
    bool expired = false;
};

void start_deadline(const std::shared_ptr<Connection>& connection, Clock::time_point at)
{
    connection->timer.expires_at(at);
    connection->timer.async_wait([connection](const error_code& error) {
        if (error) return;
        connection->expired = true;
        error_code ignored;
        connection->socket.close(ignored);
    });
}

/// A name look-up in progress. Two owners: the waiting coroutine and the resolver's handler; getaddrinfo cannot be
/// interrupted, so the coroutine may give up first.
struct Lookup {
    explicit Lookup(const asio::any_io_executor& executor) : resolver(executor), timer(executor) {}

    tcp::resolver resolver;
    asio::steady_timer timer;
    bool done = false;
    error_code error;
    std::vector<tcp::endpoint> endpoints;
};

asio::awaitable<Result<std::vector<tcp::endpoint>>>
resolve(std::string host, std::uint16_t port, Clock::time_point deadline)
{
    error_code not_numeric;
    const asio::ip::address address = asio::ip::make_address(host, not_numeric);
    if (!not_numeric) {
        std::vector<tcp::endpoint> one(1, tcp::endpoint(address, port));
        co_return one;
    }
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    auto lookup = std::make_shared<Lookup>(executor);
    lookup->timer.expires_at(deadline);
    lookup->resolver.async_resolve(
        host,
        std::to_string(port),
        [lookup](const error_code& error, const tcp::resolver::results_type& found) {
            lookup->done = true;
            lookup->error = error;
            for (const auto& entry : found)
                lookup->endpoints.push_back(entry.endpoint());
            lookup->timer.cancel();
        });
    co_await lookup->timer.async_wait(kNoThrow);
    if (!lookup->done) {
        lookup->resolver.cancel();
        co_return Problem{host, "the name was not resolved in time", "check the name service"};
    }
    if (lookup->error || lookup->endpoints.empty()) {
        const std::string why =
            lookup->error ? lookup->error.message() : std::string("no address found");
        co_return Problem{host, "cannot resolve the name: " + why, "check the name service"};
    }
    co_return lookup->endpoints;
}

asio::awaitable<error_code>
connect_any(std::shared_ptr<Connection> connection, std::vector<tcp::endpoint> endpoints)
{
    error_code last = asio::error::host_unreachable;
    for (const tcp::endpoint& endpoint : endpoints) {
        if (connection->expired) co_return asio::error::timed_out;
        error_code ignored;
        connection->socket.close(ignored);
        const auto [error] = co_await connection->socket.async_connect(endpoint, kNoThrow);
        if (!error) {
            connection->socket.set_option(tcp::no_delay(true), ignored);
            co_return error_code{};
        }
        last = error;
    }
    co_return last;
}

/// Handshake with SNI (names only) and verification of chain and host name.
template <class Stream>
asio::awaitable<error_code> handshake(Stream& stream, std::string host)
{
    error_code not_numeric;
    (void)asio::ip::make_address(host, not_numeric);
    if (not_numeric) SSL_set_tlsext_host_name(stream.native_handle(), host.c_str());
    error_code error;
    stream.set_verify_mode(asio::ssl::verify_peer, error);
    if (error) co_return error;
    stream.set_verify_callback(asio::ssl::host_name_verification(host), error);
    if (error) co_return error;
    const auto [failed] = co_await stream.async_handshake(asio::ssl::stream_base::client, kNoThrow);
    co_return failed;
}

bool breaks_line(std::string_view text)
{
    return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

/// The request as bytes; nothing if a field could smuggle a line.
std::optional<std::string> serialize(const ClientRequest& request)
{
    if (breaks_line(request.method) || breaks_line(request.path)) return std::nullopt;
    if (request.path.find(' ') != std::string::npos) return std::nullopt;
    std::string text = request.method + ' ' + request.base.prefix + request.path +
                       " HTTP/1.1\r\nHost: " + request.base.authority() + "\r\n";
    for (const http::Header& header : request.headers) {
        if (breaks_line(header.name) || breaks_line(header.value)) return std::nullopt;
        text += header.name + ": " + header.value + "\r\n";
    }
    if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
        text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
    }
    text += "Connection: close\r\n\r\n";
    text += request.body;
    return text;
}

ClientResponse to_response(beast_http::response<beast_http::string_body>&& message)
{
    ClientResponse response;
    response.status = message.result_int();
    for (const auto& field : message) {
        response.headers.push_back({std::string(field.name_string()), std::string(field.value())});
    }
    response.body = std::move(message.body());
    return response;
}

/// One request over a connected socket: what stands between it and the upstream decides the layers.
struct Job {
    ClientRequest request;
    std::string text;
    const http::BaseUrl* proxy = nullptr;
    std::string proxy_authorization;
    std::size_t body_max = 0;

    [[nodiscard]] const ForwardProxy* socks() const noexcept
    {
        const bool is_socks =
            request.proxy && request.proxy->protocol == ForwardProxy::Protocol::socks5;
        return is_socks ? &*request.proxy : nullptr;
    }
};

/// Sends the job's text and collects the final answer.
template <class Stream>
asio::awaitable<Result<ClientResponse>> exchange(Stream& stream, const Job& job)
{
    const bool is_head = job.request.method == "HEAD";
    if (job.request.before_send && !job.request.before_send()) {
        co_return Problem{"", "given up before it was sent", ""};
    }
    // A server may answer and close before it has read the whole request: its answer counts then.
    const auto [write_error, written] =
        co_await asio::async_write(stream, asio::buffer(job.text), kNoThrow);
    if (job.request.after_send) job.request.after_send();

    using Parser = beast_http::response_parser<beast_http::string_body>;
    boost::beast::flat_buffer buffer;
    for (int interim = 0; interim < kInterimAnswersMax; ++interim) {
        Parser parser;
        parser.eager(true);
        parser.skip(is_head);
        parser.header_limit(kHeadBytesMax);
        parser.body_limit(job.body_max);
        while (!parser.is_done()) {
            error_code error;
            if (buffer.size() != 0) buffer.consume(parser.put(buffer.data(), error));
            if (error == beast_http::error::body_limit) {
                co_return Problem{"", "the answer is larger than expected", ""};
            }
            if (error && error != beast_http::error::need_more) {
                co_return Problem{"", "the answer is not valid HTTP: " + error.message(), ""};
            }
            if (parser.is_done()) break;
            const auto [read_error, count] =
                co_await stream.async_read_some(buffer.prepare(kReadBytes), kNoThrow);
            buffer.commit(count);
            if (!read_error) continue;
            error_code incomplete;
            if (read_error == asio::error::eof && parser.got_some()) parser.put_eof(incomplete);
            if (parser.is_done()) break;
            const error_code shown = write_error ? write_error : read_error;
            co_return Problem{"", "the connection broke: " + shown.message(), ""};
        }
        if (parser.get().result_int() / 100 != 1) co_return to_response(parser.release());
    }
    co_return Problem{"", "the answer never came after its interim answers", ""};
}

/// Asks the forward proxy for a tunnel; the answer's head is read byte by byte so that nothing behind it is taken.
template <class Stream>
asio::awaitable<Result<bool>>
open_tunnel(Stream& stream, std::string authority, std::string authorization)
{
    std::string text = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
    if (!authorization.empty()) text += "Proxy-Authorization: " + authorization + "\r\n";
    text += "\r\n";
    const auto [write_error, written] =
        co_await asio::async_write(stream, asio::buffer(text), kNoThrow);
    if (write_error) co_return Problem{"", "cannot ask the proxy: " + write_error.message(), ""};
    std::string head;
    while (!head.ends_with("\r\n\r\n")) {
        char byte = 0;
        const auto [error, count] =
            co_await stream.async_read_some(asio::buffer(&byte, 1), kNoThrow);
        if (error) co_return Problem{"", "the proxy hung up: " + error.message(), ""};
        head.push_back(byte);
        if (head.size() > kConnectAnswerMax) {
            co_return Problem{"", "the proxy's answer has no end", ""};
        }
    }
    const std::size_t space = head.find(' ');
    const std::string status = space == std::string::npos ? "" : head.substr(space + 1, 3);
    if (!status.starts_with('2')) {
        co_return Problem{
            "", "the proxy refused the tunnel with status " + status, "check HTTPS_PROXY"};
    }
    co_return true;
}

/// Asks a SOCKS5 proxy for a connection; reads exactly what it has to say.
template <class Stream>
asio::awaitable<Result<bool>>
open_socks(Stream& stream, const ForwardProxy& proxy, const http::BaseUrl& base)
{
    Socks5 talk(proxy, base.host, base.port);
    std::string buffer;
    while (!talk.done()) {
        const auto [write_error, written] =
            co_await asio::async_write(stream, asio::buffer(talk.outgoing()), kNoThrow);
        if (write_error)
            co_return Problem{"", "cannot ask the proxy: " + write_error.message(), ""};
        buffer.resize(talk.expects());
        const auto [error, count] =
            co_await asio::async_read(stream, asio::buffer(buffer), kNoThrow);
        if (error) co_return Problem{"", "the proxy hung up: " + error.message(), ""};
        talk.take(buffer);
    }
    if (!talk.problem().empty())
        co_return Problem{"", talk.problem(), "check the account's proxy_url"};
    co_return true;
}

Problem handshake_problem(const std::string& host, const error_code& error)
{
    return {
        host,
        "TLS handshake failed: " + error.message(),
        "the certificate must be valid for this name and known to the system's store "
        "(SSL_CERT_FILE)"};
}

template <class Lower>
asio::awaitable<Result<ClientResponse>>
exchange_in_tls(Lower& lower, asio::ssl::context& tls, const Job& job)
{
    asio::ssl::stream<Lower&> stream(lower, tls);
    const error_code failed = co_await handshake(stream, job.request.base.host);
    if (failed) co_return handshake_problem(job.request.base.host, failed);
    co_return co_await exchange(stream, job);
}

template <class Lower>
asio::awaitable<Result<ClientResponse>>
exchange_in_tunnel(Lower& lower, asio::ssl::context& tls, const Job& job)
{
    const std::string& host = job.request.base.host;
    std::string authority = host.find(':') == std::string::npos ? host : '[' + host + ']';
    authority += ':' + std::to_string(job.request.base.port);
    const ForwardProxy* socks = job.socks();
    Result<bool> open = true;
    if (socks != nullptr)
        open = co_await open_socks(lower, *socks, job.request.base);
    else
        open = co_await open_tunnel(lower, authority, job.proxy_authorization);
    if (!open.has_value()) co_return open.error();
    if (job.request.base.tls) co_return co_await exchange_in_tls(lower, tls, job);
    co_return co_await exchange(lower, job);
}

asio::awaitable<Result<ClientResponse>>
exchange_on(tcp::socket& socket, asio::ssl::context& tls, const Job& job)
{
    if (job.proxy == nullptr) {
        if (job.request.base.tls) co_return co_await exchange_in_tls(socket, tls, job);
        co_return co_await exchange(socket, job);
    }
    if (!job.proxy->tls) co_return co_await exchange_in_tunnel(socket, tls, job);
    Tls to_proxy(socket, tls);
    const error_code failed = co_await handshake(to_proxy, job.proxy->host);
    if (failed) co_return handshake_problem(job.proxy->host, failed);
    co_return co_await exchange_in_tunnel(to_proxy, tls, job);
}

/// asio::ssl::context takes ownership of what it is given, so it gets a reference of its own.
asio::ssl::context share(TlsContext& tls)
{
    SSL_CTX_up_ref(tls.get());
    return asio::ssl::context(tls.get());
}

} // namespace

HttpClient::HttpClient(TlsContext& tls, const ProxySettings& proxy) : tls_(tls), proxy_(proxy) {}

asio::awaitable<Result<ClientResponse>>
HttpClient::send(ClientRequest request, std::chrono::milliseconds deadline, std::size_t body_max)
{
    const std::string place = request.base.authority();
    std::optional<std::string> text = serialize(request);
    if (!text) co_return Problem{place, "the request holds a line break where none may be", ""};
    Job job;
    job.proxy = proxy_.proxy_for(request.base);
    job.proxy_authorization = proxy_.authorization;
    job.body_max = body_max;
    job.text = std::move(*text);
    job.request = std::move(request);
    if (job.request.proxy) {
        job.proxy = &job.request.proxy->address;
        job.proxy_authorization = job.request.proxy->authorization;
        if (job.proxy->host.empty())
            co_return Problem{place, "this account's proxy_url cannot be used", "mend it"};
    }

    const Clock::time_point give_up = Clock::now() + deadline;
    const http::BaseUrl& next = job.proxy != nullptr ? *job.proxy : job.request.base;
    const auto endpoints = co_await resolve(next.host, next.port, give_up);
    if (!endpoints.has_value()) co_return endpoints.error();

    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    auto connection = std::make_shared<Connection>(executor);
    start_deadline(connection, give_up);
    const error_code refused = co_await connect_any(connection, *endpoints);
    Result<ClientResponse> answer = Problem{};
    if (refused) {
        answer = Problem{"", "cannot connect: " + refused.message(), ""};
    } else {
        asio::ssl::context tls = share(tls_);
        answer = co_await exchange_on(connection->socket, tls, job);
    }
    connection->timer.cancel();
    if (answer.has_value()) co_return answer;
    Problem problem = answer.error();
    if (problem.where.empty()) problem.where = next.authority();
    if (connection->expired) {
        problem.what =
            "no whole answer within " + std::to_string(deadline.count()) + " milliseconds";
        problem.remedy.clear();
    }
    co_return problem;
}

} // namespace shared::net
