#include "worker/request_body.hpp"

#include "worker/session.hpp"
#include "worker/worker_state.hpp"

#include <array>
#include <charconv>

namespace worker {

using shared::http::BodyKind;
using shared::net::IoResult;
using shared::net::IoStatus;

namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

} // namespace

RequestBody::RequestBody(WorkerState& worker, Session& session) noexcept
    : worker_(worker), session_(session), max_(worker.config.max_body_bytes)
{}

RequestBody::End RequestBody::begin(const shared::http::RequestHead& head, std::string_view early)
{
    kind_ = head.body;
    length_ = head.body == BodyKind::length ? head.content_length : 0;
    tracker_ = shared::http::BodyTracker(kind_, length_);
    expects_continue_ = head.expects_continue && kind_ != BodyKind::none && early.empty();
    if (kind_ == BodyKind::length) {
        if (length_ > max_) {
            settled_ = true;
            return End::too_large;
        }
        if (length_ <= worker_.config.max_replay_bytes)
            buffer_.reserve(static_cast<std::size_t>(length_));
        else
            too_long_ = true;
    }
    return take(early);
}

RequestBody::End RequestBody::take(std::string_view bytes)
{
    // The read that crosses the limit is kept whole: it is streamed from here.
    const std::size_t hard_max =
        static_cast<std::size_t>(worker_.config.max_replay_bytes) + 2 * WorkerState::kBufferBytes;
    const std::size_t used = tracker_.consume(bytes, [&](std::string_view payload) {
        too_long_ = !buffer_.append(payload, hard_max) || too_long_;
    });
    too_long_ = too_long_ || buffer_.size() > worker_.config.max_replay_bytes;
    if (used < bytes.size() && !tracker_.failed()) session_.keep_for_later(bytes.substr(used));
    return state();
}

RequestBody::End RequestBody::state() noexcept
{
    settled_ = true;
    if (tracker_.failed()) return End::malformed;
    if (tracker_.payload_bytes() > max_) return End::too_large;
    if (tracker_.finished()) return End::whole;
    if (too_long_) return End::too_long;
    settled_ = false;
    return End::gone; // not an answer yet: see settled()
}

shared::net::Task<RequestBody::End> RequestBody::hold()
{
    if (std::exchange(expects_continue_, false)) {
        iovec piece = shared::net::piece(kContinue);
        std::string rest;
        if (!session_.write_now({&piece, 1}, rest)) co_return End::gone;
    }
    while (true) {
        session_.set_deadline(worker_.config.client_body_timeout_seconds);
        const bool waited = co_await session_.stream().readable();
        if (!waited || session_.gone()) co_return End::gone;
        session_.clear_deadline();
        const bool direct = kind_ == BodyKind::length;
        // A body of known length is received straight into its place.
        char* into = direct ? buffer_.free_space() : worker_.buffer.get();
        const std::size_t size = direct ? buffer_.room() : WorkerState::kBufferBytes;
        const IoResult got = session_.stream().read_some(into, size);
        if (got.status == IoStatus::wait_read) continue;
        if (!got.ok()) co_return End::gone;
        End end = End::gone;
        if (direct) {
            buffer_.commit(got.bytes);
            static_cast<void>(tracker_.consume({into, got.bytes}, [](std::string_view) {}));
            end = state();
        } else {
            const std::string_view bytes(into, got.bytes);
            end = take(bytes);
        }
        if (settled_) co_return end;
    }
}

OutgoingBody RequestBody::outgoing() const noexcept
{
    OutgoingBody out;
    if (kind_ == BodyKind::none) return out;
    // What is held whole has a length, however it came.
    out.kind =
        kind_ == BodyKind::length || tracker_.finished() ? BodyKind::length : BodyKind::chunked;
    out.length = kind_ == BodyKind::length ? length_ : tracker_.payload_bytes();
    return out;
}

void RequestBody::frame(std::string_view payload, std::string& out) const
{
    if (kind_ == BodyKind::length) {
        out += payload;
        return;
    }
    if (payload.empty()) return;
    std::array<char, 24> digits{};
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), payload.size(), 16);
    out.append(digits.data(), end.ptr).append("\r\n").append(payload).append("\r\n");
}

std::string RequestBody::stream_beginning()
{
    std::string out;
    frame(buffer_.view(), out);
    buffer_.release();
    if (std::exchange(expects_continue_, false)) {
        iovec piece = shared::net::piece(kContinue);
        std::string rest;
        static_cast<void>(session_.write_now({&piece, 1}, rest));
    }
    return out;
}

RequestBody::End RequestBody::stream_more(std::string& out)
{
    const IoResult got =
        session_.stream().read_some(worker_.buffer.get(), WorkerState::kBufferBytes);
    if (got.status == IoStatus::wait_read) return End::too_long;
    if (!got.ok()) return End::gone;
    const std::string_view bytes(worker_.buffer.get(), got.bytes);
    const std::size_t used =
        tracker_.consume(bytes, [&](std::string_view payload) { frame(payload, out); });
    if (tracker_.failed()) return End::malformed;
    if (tracker_.payload_bytes() > max_) return End::too_large;
    if (used < bytes.size()) session_.keep_for_later(bytes.substr(used));
    if (!tracker_.finished()) return End::too_long;
    if (kind_ == BodyKind::chunked) out += "0\r\n\r\n";
    return End::whole;
}

} // namespace worker
