#include "worker/tunnel.hpp"

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/http/websocket.hpp"
#include "worker/limit_words.hpp"
#include "worker/tunnel_turn.hpp"

#include <algorithm>
#include <random>
#include <utility>

namespace worker {
namespace {

using shared::RequestOutcome;
using shared::http::FrameTracker;
using shared::http::Opcode;
using shared::net::Deadline;
using shared::net::IoResult;
using shared::net::IoStatus;
using shared::net::Stream;
using shared::net::Task;

/// A frame up to this size may be held until it is whole, so that an error can be replaced; errors are small.
constexpr std::uint64_t kHeldFrameBytesMax = 64 * 1024;
constexpr std::string_view kPingPayload = "codex-pool";

// RFC 6455, 7.4.1
constexpr std::uint16_t kCloseNormal = 1000;
constexpr std::uint16_t kCloseGoingAway = 1001;
constexpr std::uint16_t kCloseProtocolError = 1002;
constexpr std::uint16_t kClosePolicy = 1008;
constexpr std::uint16_t kCloseTooBig = 1009;
constexpr std::uint16_t kCloseInternalError = 1011;
constexpr std::uint16_t kCloseServiceRestart = 1012;

/// One direction: follows frames, decides what is passed on.
struct Direction {
    explicit Direction(bool masked) : tracker(masked) {}

    FrameTracker tracker;
    std::string held;    ///< raw bytes of the frame that may still be replaced or dropped
    bool holding = true; ///< until a frame's head is whole, and longer for small frames
    std::string control; ///< payload of a control frame
    std::string message; ///< client's text message, as far as it is kept
    bool text_message = false;
    std::uint64_t message_bytes = 0;
    std::string out;       ///< what goes on to the other side
    std::string inject;    ///< frames of our own, sent at the next boundary
    bool dropping = false; ///< client's message that its user's limits did not let in
    bool keeping = false;  ///< client's message that waits, whole, for the name of its model
    std::string kept;      ///< it, as raw bytes
    bool close_seen = false;
};

class Tunnel {
public:
    Tunnel(WorkerState& state, Stream& client, Stream& upstream, const TunnelStart& start)
        : state_(state),
          client_(client),
          upstream_(upstream),
          start_(start),
          turns_(state, start),
          beat_(
              state.deadlines,
              [](void* self) noexcept { static_cast<Tunnel*>(self)->on_beat(); },
              this)
    {}

    Task<> run();

private:
    Task<>
    pump(Stream& from, Stream& to, Direction& direction, bool from_client, std::string first);
    Task<bool> write_all(Stream& to, std::string& bytes);
    void take(Direction& d, bool from_client, std::string_view bytes);
    void on_head(Direction& d, bool from_client);
    void on_payload(Direction& d, bool from_client, std::string_view raw);
    void on_frame_end(Direction& d, bool from_client);
    void on_upstream_message(Direction& d);
    void on_client_message(Direction& d);
    void refuse_message(const shared::LimitHit& met);
    void on_source_closed(bool from_client);
    [[nodiscard]] std::string limit_frame(const shared::LimitHit& met) const;
    void finish(
        RequestOutcome outcome,
        std::uint16_t to_client,
        std::uint16_t to_upstream,
        std::string_view reason);
    void say_goodbye();
    void on_beat() noexcept;
    [[nodiscard]] std::string masked(Opcode opcode, std::string_view payload);

    WorkerState& state_;
    Stream& client_;
    Stream& upstream_;
    const TunnelStart& start_;
    TunnelTurns turns_;
    Deadline beat_;
    Direction up_{true};    ///< client to upstream
    Direction down_{false}; ///< upstream to client
    bool over_ = false;
    std::string last_to_client_; ///< written without waiting when all is over
    std::string last_to_upstream_;
    std::int64_t last_byte_us_ = shared::now_monotonic_us();
    std::int64_t last_ping_us_ = shared::now_monotonic_us();
    std::minstd_rand mask_{std::random_device{}()};
};

Task<> Tunnel::run()
{
    beat_.set_next_tick(); // once a second
    Task<> up = pump(client_, upstream_, up_, true, start_.client_bytes);
    Task<> down = pump(upstream_, client_, down_, false, start_.upstream_bytes);
    co_await up;
    co_await down;
    beat_.clear();
    say_goodbye();
}

Task<> Tunnel::pump(Stream& from, Stream& to, Direction& d, bool from_client, std::string first)
{
    if (!first.empty()) take(d, from_client, first);
    first = {};
    while (true) {
        if (!d.out.empty() && !co_await write_all(to, d.out)) {
            on_source_closed(!from_client); // the other side no longer takes anything
            break;
        }
        if (over_) break;
        if (!d.inject.empty() && d.tracker.at_boundary()) {
            d.out = std::exchange(d.inject, {});
            continue;
        }
        (void)co_await from.readable(); // false: woken by on_beat() or finish()
        if (over_) break;
        const IoResult read = from.read_some(state_.buffer.get(), WorkerState::kBufferBytes);
        if (read.status == IoStatus::wait_read || read.status == IoStatus::wait_write) continue;
        if (!read.ok()) {
            on_source_closed(from_client);
            break;
        }
        last_byte_us_ = shared::now_monotonic_us();
        take(d, from_client, {state_.buffer.get(), read.bytes});
    }
}

/// Writes all of `bytes` and empties it; false if the peer takes no more.
Task<bool> Tunnel::write_all(Stream& to, std::string& bytes)
{
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        const iovec rest = shared::net::piece(std::string_view(bytes).substr(sent));
        const IoResult wrote = to.write_some({&rest, 1});
        if (wrote.ok()) {
            sent += wrote.bytes;
            continue;
        }
        if (wrote.status == IoStatus::wait_write) {
            (void)co_await to.writable();
        } else if (wrote.status == IoStatus::wait_read) {
            (void)co_await to.readable();
        } else {
            co_return false;
        }
        if (over_) break;
    }
    bytes.erase(0, sent);
    if (bytes.capacity() > kHeldFrameBytesMax) bytes.shrink_to_fit();
    co_return true;
}

void Tunnel::take(Direction& d, bool from_client, std::string_view bytes)
{
    while (true) {
        const FrameTracker::Step step = d.tracker.step(bytes);
        const std::string_view raw = bytes.substr(0, step.taken);
        bytes.remove_prefix(step.taken);
        switch (step.piece) {
        case FrameTracker::Piece::need_more:
            d.held.append(raw);
            return;
        case FrameTracker::Piece::head:
            d.held.append(raw);
            on_head(d, from_client);
            break;
        case FrameTracker::Piece::payload:
            on_payload(d, from_client, raw);
            break;
        case FrameTracker::Piece::end:
            on_frame_end(d, from_client);
            break;
        case FrameTracker::Piece::broken:
            finish(
                from_client ? RequestOutcome::client_gone : RequestOutcome::upstream_cut,
                from_client ? kCloseProtocolError : kCloseInternalError,
                from_client ? kCloseGoingAway : kCloseProtocolError,
                "malformed frame");
            return;
        }
        if (over_) return;
    }
}

void Tunnel::on_head(Direction& d, bool from_client)
{
    const auto& head = d.tracker.head();
    if (!head.is_control()) {
        if (head.opcode != Opcode::continuation) {
            d.text_message = head.opcode == Opcode::text;
            d.message_bytes = 0;
        }
        d.message_bytes += head.payload_bytes;
        if (d.message_bytes > state_.config.websocket_read_limit_bytes) {
            finish(RequestOutcome::refused, kCloseTooBig, kCloseTooBig, "message too big");
            return;
        }
    }
    if (from_client && head.opcode == Opcode::text) {
        const shared::LimitHit met = turns_.admit();
        d.dropping = met.kind != shared::LimitKind::none;
        d.keeping = !d.dropping && turns_.limits_models();
        if (d.dropping) refuse_message(met);
    }
    if (d.dropping && !head.is_control()) {
        d.held.clear();
        d.holding = false;
        return;
    }
    if (d.keeping && !head.is_control()) {
        d.kept.append(std::exchange(d.held, {}));
        d.holding = false;
        return;
    }
    const bool whole_small_message = !from_client && head.final && head.opcode == Opcode::text &&
                                     head.payload_bytes <= kHeldFrameBytesMax;
    d.holding = head.is_control() || whole_small_message;
    if (!d.holding) d.out.append(std::exchange(d.held, {}));
}

void Tunnel::on_payload(Direction& d, bool from_client, std::string_view raw)
{
    const auto& head = d.tracker.head();
    if (d.dropping && !head.is_control()) return;
    const bool waits = d.keeping && !head.is_control();
    if (waits && d.kept.size() + raw.size() > state_.config.max_replay_bytes) {
        finish(
            RequestOutcome::refused, kCloseTooBig, kCloseGoingAway, "too long to be looked into");
        return;
    }
    (waits ? d.kept : d.holding ? d.held : d.out).append(raw);
    if (head.is_control()) {
        FrameTracker::unmask(head, d.tracker.payload_offset(), raw, d.control);
    } else if (d.text_message && from_client) {
        // Like a request's body: more than could be held is not looked into.
        const auto most = static_cast<std::size_t>(state_.config.max_replay_bytes);
        const std::size_t room = most - std::min(most, d.message.size());
        const std::string_view kept = raw.substr(0, room);
        FrameTracker::unmask(head, d.tracker.payload_offset(), kept, d.message);
    } else if (d.text_message) {
        turns_.upstream_payload(raw);
    }
}

void Tunnel::on_frame_end(Direction& d, bool from_client)
{
    const auto& head = d.tracker.head();
    if (head.is_control()) {
        const bool answers_us = head.opcode == Opcode::pong && d.control == kPingPayload;
        if (!answers_us) d.out.append(d.held);
        if (head.opcode == Opcode::close) d.close_seen = true;
        d.control.clear();
    } else if (d.dropping) {
        if (head.final) d.dropping = false;
    } else if (head.final && d.text_message) {
        if (from_client) {
            on_client_message(d);
        } else {
            on_upstream_message(d);
        }
    }
    if (d.holding && !head.is_control()) d.out.append(d.held);
    d.held.clear();
    d.holding = true;
}

void Tunnel::on_client_message(Direction& d)
{
    const shared::LimitHit met = turns_.client_message(d.message);
    d.message = {};
    const bool kept = std::exchange(d.keeping, false);
    const std::string waiting = std::exchange(d.kept, {});
    if (met.kind == shared::LimitKind::none) {
        d.out.append(waiting);
    } else if (kept) {
        refuse_message(met);
    } else {
        // The limit came while it was on its way already: the connection ends with it.
        last_to_client_ = limit_frame(met);
        finish(RequestOutcome::refused, kClosePolicy, kCloseGoingAway, "model not allowed");
    }
}

/// The client is told in place of an answer, and may go on.
void Tunnel::refuse_message(const shared::LimitHit& met)
{
    down_.inject += limit_frame(met);
    upstream_.abort(); // wakes the pump that sends it
}

std::string Tunnel::limit_frame(const shared::LimitHit& met) const
{
    shared::PoolError error;
    error.kind = shared::PoolError::Kind::user_limit;
    error.message = limit_sentence(met);
    error.now = shared::now_unix();
    error.retry_at = ask_again_at(met, error.now);
    const std::string text = start_.provider->error_message(error);
    return shared::http::encode_frame(Opcode::text, text);
}

void Tunnel::on_upstream_message(Direction& d)
{
    const MessageFate fate = turns_.upstream_message_end();
    // What is partly on its way already cannot be replaced; errors are never that long.
    if (fate == MessageFate::relay || !d.holding) return;
    shared::PoolError error;
    error.kind = shared::PoolError::Kind::exhausted;
    error.message = "every account that could serve this is used up";
    error.retry_at = turns_.retry_at();
    error.now = shared::now_unix();
    const std::string text = fate == MessageFate::start_over
                                 ? start_.provider->start_over_message()
                                 : start_.provider->error_message(error);
    d.held = shared::http::encode_frame(Opcode::text, text);
    if (fate == MessageFate::exhausted) return;
    // The message goes out with the goodbye, before its close frame.
    last_to_client_ = d.out + std::exchange(d.held, {});
    d.out.clear();
    finish(RequestOutcome::refused, kCloseServiceRestart, kCloseNormal, "start over");
}

void Tunnel::on_source_closed(bool from_client)
{
    if (over_) return;
    if (from_client) {
        finish(RequestOutcome::client_gone, 0, up_.close_seen ? 0 : kCloseGoingAway, "client left");
        return;
    }
    // Without a close frame: after a finished turn that is an ordinary end, inside one it is not.
    std::uint16_t to_client = turns_.running() ? kCloseInternalError : kCloseNormal;
    if (down_.close_seen) to_client = 0;
    finish(RequestOutcome::upstream_cut, to_client, 0, "upstream closed");
}

/// Ends both pumps; close codes of 0 mean: nothing more to say to that side.
void Tunnel::finish(
    RequestOutcome outcome,
    std::uint16_t to_client,
    std::uint16_t to_upstream,
    std::string_view reason)
{
    if (over_) return;
    over_ = true;
    turns_.end(outcome);
    if (to_client != 0 && !down_.close_seen) {
        last_to_client_ += shared::http::encode_frame(
            Opcode::close, shared::http::close_payload(to_client, reason));
    }
    if (to_upstream != 0 && !up_.close_seen) {
        last_to_upstream_ = masked(Opcode::close, shared::http::close_payload(to_upstream, reason));
    }
    client_.abort();
    upstream_.abort();
}

/// Last frames, as far as the sockets take them at once. A frame that is half on its way cannot be completed: that side
/// gets a reset, so that it does not take what it has for whole.
void Tunnel::say_goodbye()
{
    const auto part = [](Stream& to, Direction& d, std::string& last) {
        const bool between_frames = d.tracker.at_boundary() || d.holding || d.keeping;
        if (!between_frames) {
            to.reset();
            return;
        }
        const std::string all = d.out + last;
        if (all.empty()) return;
        const iovec rest = shared::net::piece(all);
        (void)to.write_some({&rest, 1});
    };
    part(client_, down_, last_to_client_);
    part(upstream_, up_, last_to_upstream_);
}

void Tunnel::on_beat() noexcept
{
    beat_.set_next_tick(); // once a second
    if (over_) return;
    if (state_.draining && !turns_.running()) {
        finish(RequestOutcome::completed, kCloseServiceRestart, kCloseGoingAway, "restarting");
        return;
    }
    if (!turns_.user_may_call()) {
        const RequestOutcome cut = RequestOutcome::refused;
        finish(cut, kClosePolicy, kCloseGoingAway, "this pool user may not call any more");
        return;
    }
    const std::int64_t now = shared::now_monotonic_us();
    const std::int64_t idle_limit =
        std::int64_t{state_.config.websocket_idle_timeout_seconds} * 1'000'000;
    if (idle_limit > 0 && now - last_byte_us_ > idle_limit) {
        finish(RequestOutcome::upstream_cut, kClosePolicy, kClosePolicy, "idle for too long");
        return;
    }
    const std::int64_t period = std::int64_t{state_.config.websocket_heartbeat_seconds} * 1'000'000;
    if (period == 0 || now - last_ping_us_ < period) return;
    last_ping_us_ = now;
    // A slow receiver may not have taken the last ping yet: one at a time is enough.
    if (down_.inject.empty()) down_.inject = shared::http::encode_frame(Opcode::ping, kPingPayload);
    if (up_.inject.empty()) up_.inject = masked(Opcode::ping, kPingPayload);
    client_.abort();
    upstream_.abort();
}

std::string Tunnel::masked(Opcode opcode, std::string_view payload)
{
    std::array<std::uint8_t, 4> mask{};
    for (std::uint8_t& byte : mask)
        byte = static_cast<std::uint8_t>(mask_());
    return shared::http::encode_masked_frame(opcode, payload, mask);
}

} // namespace

Task<> run_tunnel(WorkerState& state, Stream& client, Stream& upstream, TunnelStart start)
{
    state.row().counters.websockets.fetch_add(1, std::memory_order_relaxed);
    Tunnel tunnel(state, client, upstream, start);
    co_await tunnel.run();
}

} // namespace worker
