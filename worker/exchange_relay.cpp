/// The answer on its way to the client: bytes go through as they come, framing is only followed, the scanner
/// looks on.
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/evidence/learn.hpp"
#include "worker/exchange.hpp"
#include "worker/session.hpp"
#include "worker/tunnel.hpp"

#include <algorithm>
#include <array>
#include <atomic>

namespace worker {

using shared::http::BodyKind;
using shared::net::IoResult;
using shared::net::IoStatus;
using shared::net::Task;

namespace {

/// Pieces in which a compressed body is given to its decoder: bounds what one step can blow up to.
constexpr std::size_t kDecodeStepBytes = 4096;
/// A decoder whose step gives more than this is given up; only usage is lost.
constexpr std::size_t kDecodedStepBytesMax = std::size_t{64} << 20U;

void store(std::int64_t& field, std::int64_t value) noexcept
{
    std::atomic_ref(field).store(value, std::memory_order_relaxed);
}

} // namespace

void Exchange::scan(std::string_view payload)
{
    response_bytes_ += payload.size();
    if (!scanner_ || payload.empty()) return;
    const shared::UnixMillis now = shared::now_unix();
    if (!decoder_) {
        scanner_->feed(payload, now);
        return;
    }
    std::string decoded;
    while (!payload.empty() && decoder_) {
        const std::string_view step = payload.substr(0, kDecodeStepBytes);
        payload.remove_prefix(step.size());
        decoded.clear();
        const bool fine = decoder_->feed(step, decoded);
        scanner_->feed(decoded, now);
        decoded_bytes_ += decoded.size();
        // A bomb would keep the whole worker from its other requests.
        if (!fine || decoded.size() > kDecodedStepBytesMax || decoded_bytes_ > kDecodedBytesMax) {
            shared::log::debug("request={} decision=not_scanned", view(id_));
            decoder_.reset();
            scanner_->finish(now);
            return;
        }
    }
}

void Exchange::publish_usage()
{
    if (!scanner_ || !running_ || !scanner_->facts().has_usage) return;
    const shared::Usage& usage = scanner_->facts().usage;
    shared::UsageEntry& entry = running_->entry();
    store(entry.input, usage.input.value);
    store(entry.cached_input, usage.cached_input.value);
    store(entry.cache_creation, usage.cache_creation.value);
    store(entry.output, usage.output.value);
    store(entry.reasoning, usage.reasoning.value);
}

std::string_view Exchange::take(std::string_view raw)
{
    if (unchunk_) {
        // An HTTP/1.0 client gets the payload alone, put together in the worker's scratch string.
        std::string& payload = worker_.head;
        payload.clear();
        static_cast<void>(tracker_.consume(raw, [&](std::string_view piece) {
            scan(piece);
            payload += piece;
        }));
        publish_usage();
        return payload;
    }
    const std::size_t used = tracker_.consume(raw, [&](std::string_view piece) { scan(piece); });
    excess_ = excess_ || used < raw.size();
    publish_usage();
    return raw.substr(0, used);
}

void Exchange::prepare_relay(const shared::http::ResponseHead& response)
{
    const shared::Config& config = worker_.config;
    const bool success = response.status / 100 == 2;
    status_ = static_cast<std::uint16_t>(response.status);
    tracker_ = shared::http::BodyTracker(response.body, response.content_length);
    excess_ = false;
    unchunk_ = http10_ && response.body == BodyKind::chunked;
    if (response.body == BodyKind::until_close || unchunk_ || worker_.draining) keep_ = false;
    if (head().body != BodyKind::none && !waiting_->body.finished()) {
        // An early answer: the client still sends what nobody reads.
        keep_ = false;
        session_.must_linger();
    }
    if (running_) {
        running_->entry().upstream_request_id.assign(upstream_request_id(response));
        if (waiting_->route.generates && success) {
            scanner_.emplace(*provider_, response.fields.find("content-type"));
            decoder_ = shared::http::make_stream_decoder(response.fields.find("content-encoding"));
        }
    }
    const bool event_stream = scanner_ && scanner_->is_event_stream();
    const std::uint32_t total_seconds =
        event_stream ? config.stream_timeout_seconds : config.request_timeout_seconds;
    idle_seconds_ = event_stream ? config.stream_idle_timeout_seconds : 0;
    stream_ends_at_ms_ =
        total_seconds == 0 ? 0 : worker_.deadlines.now_ms() + std::int64_t{total_seconds} * 1000;
}

void Exchange::build_client_head(const shared::http::ResponseHead& response, std::string& out)
{
    const std::int64_t now_us = shared::now_monotonic_us();
    ClientHead context = client_head(now_us);
    context.body_unchunked = unchunk_;
    context.provider = provider_;
    context.now = shared::now_unix();
    context.own_quota = passes_;
    if (!passes_ && provider_ != nullptr && has_quota_fields(*provider_, response))
        context.pool = &worker_.summary(provider_->id(), context.now);
    out.clear();
    const auto provider = provider_ == nullptr ? 0 : static_cast<std::size_t>(provider_->id());
    append_client_head(response, context, worker_.response_names[provider], out);
    timings_.answered = now_us;
}

bool Exchange::must_hold() const noexcept
{
    const shared::ResponseFacts& facts = scanner_->facts();
    return !facts.generated && !facts.terminal && !facts.failure && !tracker_.finished();
}

bool Exchange::failed_before_output() const noexcept
{
    if (!scanner_) return false;
    const shared::ResponseFacts& facts = scanner_->facts();
    return facts.failure && !facts.generated && facts.failure->outcome != shared::Outcome::served;
}

void Exchange::set_stream_deadline() noexcept
{
    std::int64_t at = stream_ends_at_ms_;
    if (idle_seconds_ != 0) {
        deadline_.set(std::chrono::seconds(idle_seconds_));
        at = at == 0 ? deadline_.at_ms() : std::min(at, deadline_.at_ms());
    }
    deadline_.set_at(at);
}

void Exchange::release()
{
    if (running_ && account_.is_set() && !waiting_->relays_refusal) {
        for (const auto& [account, verdict] : waiting_->refusals)
            if (!verdict.about_request) learn_about(account, verdict);
        learn(shared::Verdict());
        if (status_ / 100 == 2 && has_pin_key_) note_pin(account_);
    }
    // From here on only the stream is left: let go of everything another attempt would have needed.
    waiting_.reset();
    worker_.give_text(std::move(text_));
    set_stream_deadline();
}

Task<Exchange::RelayEnd> Exchange::relay()
{
    std::unique_ptr<shared::net::Stream> stream = waiting_->call->take_stream();
    const bool reusable = waiting_->call->reusable();
    cancel_.watch(stream.get());
    const RelayEnd end = co_await relay_from(*stream);
    cancel_.watch(static_cast<shared::net::Stream*>(nullptr));
    deadline_.clear();
    if (scanner_ && end != RelayEnd::before_output) finish_scan();
    if (end == RelayEnd::cut) {
        keep_ = false;
        // Where the close itself is the end of the body, only a reset tells that it is not whole.
        if (tracker_.may_end_by_close() || unchunk_) session_.must_reset();
    }
    if (end == RelayEnd::client_gone) keep_ = false;
    if (end == RelayEnd::whole && reusable && !excess_ && tracker_.finished() && origin_ != nullptr)
        worker_.pool.give(*origin_, std::move(stream), worker_.deadlines.now_ms(), proxy_);
    co_return end;
}

Task<Exchange::RelayEnd> Exchange::relay_from(shared::net::Stream& stream)
{
    const shared::http::ResponseHead& response = waiting_->call->head();
    prepare_relay(response);
    bool holding = scanner_ && scanner_->is_event_stream() && waiting_->retry.replayable;
    bool head_sent = false;
    std::string
        held; // head and stream so far, while they are held back; later what the client did not take
    const bool own_string = holding || unchunk_;
    build_client_head(response, own_string ? held : worker_.head);
    std::string_view out_head = own_string ? std::string_view(held) : worker_.head;
    // Views into the worker's buffers: sent or copied before the next wait.
    std::string_view body = take(waiting_->call->early());
    if (holding)
        deadline_.set(std::chrono::seconds(worker_.config.first_byte_timeout_seconds));
    else
        deadline_.clear();

    bool closed = false;
    while (true) {
        const bool finished = tracker_.finished() || (closed && tracker_.may_end_by_close());
        const bool broken = tracker_.failed() || (closed && !finished);
        if (!head_sent && (broken || (holding && failed_before_output())))
            co_return RelayEnd::before_output;
        if (!head_sent && holding && must_hold() && !finished &&
            held.size() + body.size() < kHoldBackBytesMax) {
            held.append(body);
        } else {
            std::array<iovec, 2> pieces{shared::net::piece(body), iovec{}};
            std::size_t count = body.empty() ? 0 : 1;
            if (!head_sent) {
                out_head = own_string ? std::string_view(held) : worker_.head;
                pieces = {shared::net::piece(out_head), shared::net::piece(body)};
                ++count;
            }
            std::string rest;
            if (!session_.write_now({pieces.data(), count}, rest)) co_return RelayEnd::client_gone;
            if (!head_sent) {
                head_sent = true;
                holding = false;
                held = std::string();
                release();
            }
            // Backpressure: the upstream is not read while the client does not take what there is.
            if (!rest.empty()) {
                const bool written = co_await session_.write_rest(std::move(rest));
                if (!written) co_return RelayEnd::client_gone;
            }
        }
        if (finished) co_return RelayEnd::whole;
        if (broken) co_return RelayEnd::cut;

        // The next bytes. `body` is empty if they are only due after some TLS bookkeeping.
        body = {};
        if (!stream.has_buffered() || std::exchange(tls_quiet_, false)) {
            const bool waited = co_await stream.readable();
            if (session_.gone()) co_return RelayEnd::client_gone;
            if (!waited || cancel_.cancelled()) {
                if (!holding || head_sent) co_return RelayEnd::cut;
                // No output for so long, but no error either: thinking is not failing. The client gets what
                // there is.
                expired_ = false;
                cancel_.rearm();
                holding = false;
                continue;
            }
        }
        const IoResult got = stream.read_some(worker_.buffer.get(), WorkerState::kBufferBytes);
        if (got.ok()) {
            if (head_sent && idle_seconds_ != 0) set_stream_deadline();
            body = take(std::string_view(worker_.buffer.get(), got.bytes));
        } else if (got.status == IoStatus::wait_write) {
            const bool waited = co_await stream.writable();
            if (!waited) co_return head_sent ? RelayEnd::cut : RelayEnd::before_output;
        } else if (got.status == IoStatus::wait_read) {
            tls_quiet_ = true;
        } else {
            // An orderly end may be the end of the body; a broken connection never is.
            closed = true;
            if (got.status == IoStatus::failed)
                co_return head_sent ? RelayEnd::cut : RelayEnd::before_output;
        }
    }
}

void Exchange::finish_scan()
{
    const shared::UnixMillis now = shared::now_unix();
    scanner_->finish(now);
    publish_usage();
    const shared::ResponseFacts& facts = scanner_->facts();
    if (running_ && running_->entry().model.empty()) running_->entry().model = facts.model;
    if (!account_.is_set()) return;
    shared::learn_quota(
        worker_.segment, account_, facts.quota, shared::EvidenceSource::stream, now);
    if (facts.failure && facts.failure->outcome != shared::Outcome::served) learn(*facts.failure);
}

Task<> Exchange::tunnel()
{
    UpstreamCall& call = *waiting_->call;
    status_ = 101;
    keep_ = false;
    TunnelStart start;
    start.provider = provider_;
    start.legs = waiting_->route.legs;
    start.first = running_->entry();
    if (has_pin_key_) start.pin = pin_key_;
    start.pool_user = pool_user_;
    start.generation = user_generation_;
    start.client_bytes = session_.take_leftover();
    start.upstream_bytes = call.early();
    std::string out;
    build_client_head(call.head(), out);
    const std::unique_ptr<shared::net::Stream> upstream = call.take_stream();
    iovec piece = shared::net::piece(out);
    std::string rest;
    bool sent = session_.write_now({&piece, 1}, rest);
    release();
    if (sent && !rest.empty()) sent = co_await session_.write_rest(std::move(rest));
    // The upgrade ends here as a request; each turn on the connection is one of its own.
    record(sent ? shared::RequestOutcome::completed : shared::RequestOutcome::client_gone);
    if (!sent) co_return;
    cancel_.watch(upstream.get());
    co_await run_tunnel(worker_, session_.stream(), *upstream, std::move(start));
    cancel_.watch(static_cast<shared::net::Stream*>(nullptr));
}

} // namespace worker
