#include "worker/session.hpp"

#include "shared/base/log.hpp"
#include "shared/http/scan.hpp"
#include "worker/exchange.hpp"
#include "worker/head_rewriter.hpp"

#include <algorithm>
#include <array>

#include <sys/socket.h>

namespace worker {

using shared::http::ParseStatus;
using shared::net::IoResult;
using shared::net::IoStatus;

void Session::start(WorkerState& worker, SessionList& all, int fd, const shared::IpAddress& peer)
{
    // Owned by itself: freed in finish(), when the coroutine and the departure handler are both done.
    auto* session = new Session(worker, all, fd, peer); // NOLINT
    session->watch_for_departure();
    session->run();
}

Session::Session(WorkerState& worker, SessionList& all, int fd, const shared::IpAddress& peer)
    : worker_(worker),
      stream_(worker.loop, fd),
      deadline_(
          worker.deadlines,
          [](void* self) noexcept {
              auto& session = *static_cast<Session*>(self);
              session.timed_out_ = true;
              session.stream_.abort();
          },
          this),
      peer_(peer)
{
    all.push_back(*this);
    worker_.row().open_connections.fetch_add(1, std::memory_order_relaxed);
}

Session::~Session()
{
    unlink();
    worker_.row().open_connections.fetch_sub(1, std::memory_order_relaxed);
    if (worker_.on_session_end) worker_.on_session_end();
}

void Session::set_deadline(std::uint32_t seconds) noexcept
{
    deadline_.set(std::chrono::seconds(seconds));
}

void Session::watch_for_departure()
{
    // An error condition (reset, probes unanswered), not readability: neither pipelined requests nor a finished
    // sender end it, and it costs one system call per connection.
    watching_ = true;
    stream_.descriptor().async_wait(
        shared::net::Stream::Wait::wait_error,
        [this](boost::system::error_code error) { departed(!error); });
}

void Session::departed(bool really) noexcept
{
    watching_ = false;
    if (really) {
        gone_ = true;
        if (cancel_ != nullptr) cancel_->cancel();
        stream_.abort();
    }
    finish();
}

void Session::finish()
{
    if (finished_ && !watching_) delete this; // NOLINT: see start()
}

void Session::drain(bool patient) noexcept
{
    if (!idle_) return;
    if (patient)
        set_deadline(kLastRequestSeconds);
    else
        stream_.abort();
}

void Session::abort() noexcept
{
    gone_ = true;
    if (cancel_ != nullptr) cancel_->cancel();
    stream_.abort();
}

shared::net::Task<bool> Session::begin_tls()
{
    stream_.start_tls(shared::net::TlsLayer::accept(worker_.server_tls.get(), stream_.fd()));
    if (stream_.tls() == nullptr) co_return false;
    set_deadline(worker_.config.client_header_timeout_seconds);
    while (true) {
        const IoStatus status = stream_.tls()->handshake();
        if (status == IoStatus::ok) break;
        bool waited = false;
        if (status == IoStatus::wait_read) {
            waited = co_await stream_.descriptor_readable();
        } else if (status == IoStatus::wait_write) {
            waited = co_await stream_.writable();
        } else if (stream_.tls()->met_plain_http()) {
            stream_.start_tls(nullptr);
            static_cast<void>(refuse_head(400, "this address serves https; use https://"));
        }
        if (!waited || gone_) co_return false;
    }
    clear_deadline();
    co_return true;
}

shared::net::Detached Session::run()
{
    const bool secure = worker_.server_tls != nullptr;
    bool talks = true;
    if (secure) talks = co_await begin_tls();
    while (talks) {
        const HeadEnd end = co_await read_head();
        if (end == HeadEnd::closed) break;
        if (end == HeadEnd::refused) {
            linger_ = true;
            break;
        }
        auto exchange = std::make_unique<Exchange>(worker_, *this, std::move(text_));
        const bool again = co_await exchange->run(early_);
        exchange.reset();
        cancel_ = nullptr;
        if (!again || gone_ || timed_out_) break;
        idle_ = true;
        if (worker_.draining && !worker_.patient && leftover_.empty()) break;
    }
    if (linger_ && !gone_ && !timed_out_ && !reset_) co_await linger();
    deadline_.clear();
    finished_ = true;
    if (reset_)
        stream_.reset();
    else {
        const bool open = stream_.descriptor().is_open() && !gone_;
        if (secure && open && stream_.tls() != nullptr) stream_.tls()->say_goodbye();
        boost::system::error_code ignored;
        stream_.descriptor().close(ignored);
    }
    finish();
}

shared::net::Task<Session::HeadEnd> Session::read_head()
{
    const shared::Config& config = worker_.config;
    text_ = worker_.take_text();
    early_ = {};
    // A new connection must send its head in time; a kept one may be silent for longer.
    set_deadline(
        std::exchange(new_, false) || !leftover_.empty() ? config.client_header_timeout_seconds
                                                         : config.client_idle_timeout_seconds);
    if (worker_.draining && leftover_.empty()) set_deadline(kLastRequestSeconds);
    while (true) {
        std::string_view fresh;
        if (!leftover_.empty()) {
            carried_ = take_leftover();
            fresh = carried_;
        } else {
            const bool waited = co_await stream_.readable();
            if (!waited || gone_) {
                if (timed_out_ && !text_->bytes.empty()) {
                    timed_out_ = false;
                    co_return refuse_head(408, "the request head did not come in time");
                }
                co_return HeadEnd::closed;
            }
            const IoResult got = stream_.read_some(worker_.buffer.get(), WorkerState::kBufferBytes);
            if (got.status == IoStatus::wait_read) continue;
            if (!got.ok()) co_return HeadEnd::closed;
            fresh = {worker_.buffer.get(), got.bytes};
        }
        if (idle_) {
            idle_ = false;
            set_deadline(config.client_header_timeout_seconds);
        }
        bool more = false;
        const HeadEnd end = take_head_bytes(fresh, more);
        if (more) continue;
        deadline_.clear();
        co_return end;
    }
}

Session::HeadEnd Session::take_head_bytes(std::string_view fresh, bool& more)
{
    constexpr std::string_view kEnd = "\r\n\r\n";
    std::string& bytes = text_->bytes;
    // Some clients end a body with an empty line too many.
    while (bytes.empty() && fresh.starts_with("\r\n"))
        fresh.remove_prefix(2);

    const std::size_t before = bytes.size();
    const std::size_t look_from = before < 3 ? 0 : before - 3;
    const bool new_line = fresh.find('\n') != std::string_view::npos;
    std::size_t end = std::string_view::npos;
    if (before == 0) {
        // The usual case: all of it is here, and only the head is copied.
        const char* const past = fresh.data() + fresh.size();
        const char* const found = shared::http::scan::find_blank_line(fresh.data(), past);
        if (found != past) end = static_cast<std::size_t>(found - fresh.data());
        const std::size_t take = end == std::string_view::npos ? fresh.size() : end + kEnd.size();
        bytes.assign(fresh.substr(0, std::min(take, shared::http::kHeadBytesMax + 1)));
    } else {
        bytes.append(fresh.substr(0, shared::http::kHeadBytesMax + 1));
        end = bytes.find(kEnd, look_from);
        if (end != std::string_view::npos) bytes.resize(end + kEnd.size());
    }
    if (bytes.size() > shared::http::kHeadBytesMax)
        return refuse_head(431, "the request head is too large");
    if (end == std::string_view::npos && !new_line) {
        more = true;
        return HeadEnd::complete;
    }
    const char* reason = "malformed request";
    const ParseStatus status = shared::http::parse_request(bytes, text_->head, &reason);
    switch (status) {
    case ParseStatus::complete:
        early_ = fresh.substr(bytes.size() - before);
        return HeadEnd::complete;
    case ParseStatus::incomplete:
        more = true;
        return HeadEnd::complete;
    case ParseStatus::too_large:
        return refuse_head(431, "the request head is too large");
    case ParseStatus::bad_version:
        return refuse_head(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    case ParseStatus::bad_request:
        break;
    }
    return refuse_head(400, reason);
}

Session::HeadEnd Session::refuse_head(unsigned status, const char* reason)
{
    deadline_.clear();
    idle_ = false;
    shared::LocalReply reply;
    reply.status = status;
    reply.headers.push_back({"Content-Type", "application/json"});
    reply.body =
        std::string(R"({"error":{"type":"invalid_request_error","message":")") + reason + "\"}}";
    ClientHead context;
    context.id = worker_.ids.next();
    context.close = true;
    std::string out;
    append_local_answer(reply, context, false, out);
    iovec piece = shared::net::piece(out);
    std::string rest;
    // Whoever sends such a head does not get waited for.
    if (!write_now({&piece, 1}, rest)) gone_ = true;
    auto& counters = worker_.row().counters;
    counters.requests.fetch_add(1, std::memory_order_relaxed);
    counters.by_status_class[status / 100].fetch_add(1, std::memory_order_relaxed);
    shared::log::info(
        "request={} status={} outcome=refused reason=\"{}\"", view(context.id), status, reason);
    return HeadEnd::refused;
}

shared::net::Task<> Session::linger()
{
    ::shutdown(stream_.fd(), SHUT_WR);
    set_deadline(kLingerSeconds);
    std::size_t thrown_away = 0;
    while (thrown_away < kLingerBytesMax) {
        const bool waited = co_await stream_.readable();
        if (!waited) break;
        const IoResult got = stream_.read_some(worker_.buffer.get(), WorkerState::kBufferBytes);
        if (got.status == IoStatus::wait_read) continue;
        if (!got.ok()) break;
        thrown_away += got.bytes;
    }
}

bool Session::write_now(std::span<iovec> pieces, std::string& rest)
{
    if (gone_) return false;
    std::size_t total = 0;
    for (const iovec& piece : pieces)
        total += piece.iov_len;
    if (total == 0) return true;
    const IoResult sent = stream_.write_some(pieces);
    if (sent.status == IoStatus::failed || sent.status == IoStatus::end) {
        gone_ = true;
        return false;
    }
    if (sent.bytes == total) return true;
    std::size_t skip = sent.bytes;
    rest.reserve(total - skip);
    for (const iovec& piece : pieces) {
        const std::size_t skipped = std::min(skip, piece.iov_len);
        skip -= skipped;
        rest.append(static_cast<const char*>(piece.iov_base) + skipped, piece.iov_len - skipped);
    }
    return true;
}

shared::net::Task<bool> Session::write_rest(std::string rest)
{
    std::string_view left = rest;
    while (!left.empty()) {
        set_deadline(kClientStallSeconds);
        const bool waited = co_await stream_.writable();
        if (!waited || gone_) {
            gone_ = true;
            co_return false;
        }
        const iovec piece = shared::net::piece(left);
        const IoResult sent = stream_.write_some({&piece, 1});
        if (sent.status == IoStatus::failed) {
            gone_ = true;
            co_return false;
        }
        left.remove_prefix(sent.bytes);
    }
    deadline_.clear();
    co_return true;
}

} // namespace worker
