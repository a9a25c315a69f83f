#include "worker/upstream_call.hpp"

#include "shared/base/clock.hpp"
#include "worker/session.hpp"
#include "worker/worker_state.hpp"

#include <algorithm>

namespace worker {

using shared::http::ParseStatus;
using shared::net::IoResult;
using shared::net::IoStatus;
using shared::net::Stream;
using shared::net::Task;
using End = UpstreamCall::End;

UpstreamCall::UpstreamCall(
    WorkerState& worker,
    Session& session,
    shared::net::CancelToken& cancel,
    shared::net::Deadline& deadline,
    Timings& timings) noexcept
    : worker_(worker), session_(session), cancel_(cancel), deadline_(deadline), timings_(timings)
{}

Task<bool> UpstreamCall::connect(const UpstreamRequest& request)
{
    deadline_.set(kConnectMax);
    shared::net::Connection connection;
    if (request.origin != nullptr) {
        connection = co_await worker_.connector.connect(*request.origin, cancel_, request.proxy);
        worker_.row().counters.upstream_connects.fetch_add(1, std::memory_order_relaxed);
    } else {
        const std::string_view name = worker_.segment.header.admin_socket.view();
        connection = co_await worker_.connector.connect_unix(name, cancel_);
    }
    stream_ = std::move(connection.stream);
    problem_ = std::move(connection.problem);
    co_return stream_ != nullptr;
}

Task<End> UpstreamCall::run(UpstreamRequest request)
{
    method_ = request.method;
    proxy_ = request.proxy;
    for (bool fresh = false;; fresh = true) {
        const std::int64_t begun_at = shared::now_monotonic_us();
        reused_ = false;
        if (!fresh && request.origin != nullptr) {
            stream_ = worker_.pool.take(
                *request.origin,
                worker_.deadlines.now_ms(),
                request.streamed != nullptr,
                request.proxy);
            reused_ = stream_ != nullptr;
        }
        if (reused_) {
            worker_.row().counters.upstream_reuses.fetch_add(1, std::memory_order_relaxed);
        } else {
            const bool connected = co_await connect(request);
            if (!connected) {
                timings_.connect += shared::now_monotonic_us() - begun_at;
                co_return cancel_.cancelled() ? End::stopped : End::connect_failed;
            }
        }
        sent_at_ = shared::now_monotonic_us();
        timings_.connect += sent_at_ - begun_at;
        cancel_.watch(stream_.get());
        deadline_.set(request.first_byte);

        std::array<iovec, 4> pieces{};
        std::size_t count = 0;
        std::size_t total = 0;
        pieces[count++] = shared::net::piece(request.head);
        total += request.head.size();
        for (const std::string_view part : request.body) {
            if (part.empty()) continue;
            pieces[count++] = shared::net::piece(part);
            total += part.size();
        }
        const IoResult sent = stream_->write_some({pieces.data(), count});
        End end = End::answered;
        if (sent.status == IoStatus::failed || sent.status == IoStatus::end) {
            end = End::broken_off;
        } else if (sent.bytes < total || request.streamed != nullptr) {
            std::string rest;
            std::size_t skip = sent.bytes;
            rest.reserve(total - skip);
            for (std::size_t i = 0; i < count; ++i) {
                const std::size_t skipped = std::min(skip, pieces[i].iov_len);
                skip -= skipped;
                rest.append(
                    static_cast<const char*>(pieces[i].iov_base) + skipped,
                    pieces[i].iov_len - skipped);
            }
            if (request.streamed != nullptr) rest += request.streamed->stream_beginning();
            end = co_await send_rest(std::move(rest), request.streamed);
        }
        // A server that refuses a body may answer before it hangs up: look for the answer either way.
        if (end == End::answered || end == End::broken_off) {
            reusable_ = end == End::answered && reusable_;
            end = co_await read_head();
        }
        timings_.upstream += shared::now_monotonic_us() - sent_at_;
        cancel_.watch(static_cast<Stream*>(nullptr));
        const bool stale = end == End::broken_off && reused_ && !heard_ &&
                           request.streamed == nullptr && !cancel_.cancelled();
        if (!stale) co_return end;
        stream_.reset();
        reusable_ = true;
    }
}

bool UpstreamCall::stash_answer()
{
    const IoResult got = stream_->read_some(worker_.buffer.get(), WorkerState::kBufferBytes);
    if (got.ok()) {
        storage_.append(worker_.buffer.get(), got.bytes);
        heard_ = true;
        return true;
    }
    return got.status == IoStatus::end || got.status == IoStatus::failed;
}

Task<End> UpstreamCall::send_rest(std::string rest, RequestBody* streamed)
{
    std::string_view left = rest;
    while (!left.empty() || (streamed != nullptr && !streamed->finished())) {
        if (!left.empty()) {
            const iovec piece = shared::net::piece(left);
            const IoResult sent = stream_->write_some({&piece, 1});
            if (sent.status == IoStatus::failed || sent.status == IoStatus::end)
                co_return End::broken_off;
            left.remove_prefix(sent.bytes);
            if (left.empty()) continue;
        }
        // An upstream that answers early must be heard, or both sides wait for each other.
        shared::net::WaitAny wait;
        const bool unread = left.empty() && session_.stream().has_unread();
        if (unread) {
            // The next bytes are here already: the client's socket need not become readable.
        } else if (left.empty()) {
            session_.set_deadline(worker_.config.client_body_timeout_seconds);
            wait.add(session_.stream(), Stream::Wait::wait_read);
        } else {
            wait.add(*stream_, Stream::Wait::wait_write);
        }
        bool waited = true;
        if (!unread) {
            wait.add(*stream_, Stream::Wait::wait_read);
            waited = co_await wait;
        }
        session_.clear_deadline();
        if (cancel_.cancelled()) co_return End::stopped;
        if (session_.gone() || session_.timed_out()) co_return End::body_failed;
        if (!waited) co_return End::stopped;
        if (!unread && wait.holds(1) && stash_answer()) {
            reusable_ = false;
            co_return End::answered;
        }
        if (!unread && (!left.empty() || !wait.holds(0))) continue;
        rest.clear();
        const RequestBody::End end = streamed->stream_more(rest);
        left = rest;
        if (end == RequestBody::End::gone) co_return End::body_failed;
        if (end == RequestBody::End::malformed) co_return End::body_malformed;
        if (end == RequestBody::End::too_large) co_return End::body_too_large;
    }
    co_return End::answered;
}

Task<End> UpstreamCall::read_head()
{
    bool more = true;
    if (!storage_.empty()) {
        const End end = take_head({}, more);
        if (!more) co_return end;
    }
    while (true) {
        if (!stream_->has_buffered()) {
            const bool waited = co_await stream_->readable();
            if (!waited || cancel_.cancelled()) co_return End::stopped;
        }
        const IoResult got = stream_->read_some(worker_.buffer.get(), WorkerState::kBufferBytes);
        if (got.status == IoStatus::wait_read) {
            // TLS bookkeeping came, nothing for us; has_buffered() must not make this a busy loop.
            const bool waited = co_await stream_->readable();
            if (!waited || cancel_.cancelled()) co_return End::stopped;
            continue;
        }
        if (got.status == IoStatus::wait_write) {
            const bool waited = co_await stream_->writable();
            if (!waited || cancel_.cancelled()) co_return End::stopped;
            continue;
        }
        if (!got.ok()) co_return End::broken_off;
        heard_ = true;
        const std::string_view fresh(worker_.buffer.get(), got.bytes);
        const End end = take_head(fresh, more);
        if (!more) co_return end;
    }
}

End UpstreamCall::take_head(std::string_view fresh, bool& more)
{
    if (!storage_.empty()) {
        storage_.append(fresh);
        fresh = storage_;
    }
    shared::http::ResponseHead& head = worker_.response;
    more = false;
    while (true) {
        const ParseStatus status = shared::http::parse_response(fresh, method_, head);
        if (status == ParseStatus::incomplete) break;
        if (status != ParseStatus::complete) return End::bad_answer;
        const std::string_view after = fresh.substr(head.head_bytes);
        const bool interim = head.status / 100 == 1 && head.status != 101;
        if (!interim) {
            head_ = &head;
            early_ = after;
            return End::answered;
        }
        fresh = after;
        if (fresh.empty()) break;
    }
    more = true;
    storage_ = std::string(fresh);
    return End::answered;
}

void UpstreamCall::keep_head()
{
    if (own_head_) return;
    // The views of the parsed head point into bytes that the next wait destroys: copy them, and parse the copy.
    const shared::http::ResponseHead& head = *head_;
    const std::size_t early_bytes = early_.size();
    const char* first = early_.data() - head.head_bytes;
    std::string copy(first, head.head_bytes + early_bytes);
    storage_ = std::move(copy);
    own_head_ = std::make_unique<shared::http::ResponseHead>();
    static_cast<void>(shared::http::parse_response(storage_, method_, *own_head_));
    head_ = own_head_.get();
    early_ = std::string_view(storage_).substr(own_head_->head_bytes);
}

Task<> UpstreamCall::read_error_body(std::string& body)
{
    shared::http::BodyTracker tracker(head_->body, head_->content_length);
    const auto append = [&body](std::string_view payload) { body.append(payload); };
    bool excess = tracker.consume(early_, append) < early_.size();
    deadline_.set(kErrorBodyMax);
    cancel_.watch(stream_.get());
    while (!tracker.finished() && !tracker.failed() && body.size() < kErrorBodyBytesMax) {
        if (!stream_->has_buffered()) {
            const bool waited = co_await stream_->readable();
            if (!waited || cancel_.cancelled()) break;
        }
        const IoResult got = stream_->read_some(worker_.buffer.get(), kErrorBodyBytesMax);
        if (got.status == IoStatus::wait_read) {
            const bool waited = co_await stream_->readable();
            if (!waited || cancel_.cancelled()) break;
            continue;
        }
        if (!got.ok()) break;
        const std::string_view bytes(worker_.buffer.get(), got.bytes);
        excess = tracker.consume(bytes, append) < bytes.size() || excess;
        storage_.append(bytes);
    }
    cancel_.watch(static_cast<Stream*>(nullptr));
    whole_ = tracker.finished() && !excess;
    // Appending may have moved the storage: the views are made anew.
    static_cast<void>(shared::http::parse_response(storage_, method_, *own_head_));
    early_ = std::string_view(storage_).substr(own_head_->head_bytes);
}

void UpstreamCall::recycle(const shared::http::BaseUrl* origin)
{
    if (!whole_ || !stream_ || origin == nullptr || !reusable()) return;
    worker_.pool.give(*origin, std::move(stream_), worker_.deadlines.now_ms(), proxy_);
}

} // namespace worker
