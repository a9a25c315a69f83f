#include "worker/exchange.hpp"

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/base/wiping_allocator.hpp"
#include "shared/segment/worker_slots.hpp"
#include "worker/head_rewriter.hpp"
#include "worker/session.hpp"

#include <algorithm>

namespace worker {

using shared::Access;
using shared::PoolError;
using shared::Route;
using shared::http::BodyKind;
using shared::net::Task;

Exchange::Exchange(WorkerState& worker, Session& session, std::unique_ptr<RequestText> text)
    : worker_(worker),
      session_(session),
      text_(std::move(text)),
      deadline_(
          worker.deadlines,
          [](void* self) noexcept {
              auto& exchange = *static_cast<Exchange*>(self);
              exchange.expired_ = true;
              exchange.cancel_.cancel();
          },
          this)
{
    session_.set_cancel(&cancel_);
}

Exchange::~Exchange()
{
    session_.set_cancel(nullptr);
    worker_.give_text(std::move(text_));
}

Task<bool> Exchange::run(std::string_view early)
{
    timings_.begun = shared::now_monotonic_us();
    started_ = shared::now_unix();
    id_ = worker_.ids.next();
    const shared::http::RequestHead& request = head();
    http10_ = request.minor_version == 0;
    is_head_ = request.method == "HEAD";
    keep_ = request.keep_alive && !worker_.draining;
    path_.assign(request.path);
    request_bytes_ = request.head_bytes;
    waiting_ = std::make_unique<Waiting>(worker_, session_);

    const std::optional<OwnRoute> own = own_route(request.path);
    Access needed = Access::owner;
    if (own) {
        needed = own->access;
    } else {
        provider_ = &worker_.registry.match(request);
        waiting_->route = provider_->route(request);
        needed = waiting_->route.access;
    }
    const AccessDecision caller = approach(needed, own.has_value());
    if (caller.refusal != Refusal::none) co_return co_await turn_away(caller, early);
    if (needed == Access::open) waiting_->body.limit(kOpenBodyBytesMax);
    if (own) waiting_->body.limit(kOwnBodyBytesMax);
    if (own) waiting_->body.keep_secret(); // passwords and credential files pass through
    if (own) co_return co_await answer_own(*own, caller, early);
    if (waiting_->route.target == Route::Target::not_found)
        co_return co_await refuse_early(
            PoolError::Kind::not_found, "there is nothing at this path", early);

    const bool own_key = passes_through(caller);
    const RequestBody::End taken = waiting_->body.begin(request, early);
    if (!waiting_->body.settled() || taken != RequestBody::End::whole) {
        const bool read = co_await read_body(taken);
        if (!read) co_return can_go_on();
    }
    if (waiting_->route.target == Route::Target::local) co_return co_await answer_locally();
    if (own_key) co_return co_await pass_through();
    co_return co_await serve();
}

AccessDecision Exchange::approach(Access needed, bool own_route)
{
    Approach asked;
    asked.needed = needed;
    asked.own_route = own_route;
    asked.peer_is_loopback = session_.peer().is_loopback();
    asked.client = client_address(session_.peer(), head(), worker_.trusted_proxies);
    asked.now = started_;
    const AccessDecision caller = worker_.access.decide(asked, head());
    user_ = caller.user;
    pool_user_ = caller.pool_user;
    user_generation_ = caller.generation;
    return caller;
}

Task<bool> Exchange::turn_away(const AccessDecision& caller, std::string_view early)
{
    PoolError::Kind kind = PoolError::Kind::unauthorized;
    switch (caller.refusal) {
    case Refusal::forbidden:
        kind = PoolError::Kind::forbidden;
        break;
    case Refusal::user_disabled:
        kind = PoolError::Kind::user_disabled;
        break;
    case Refusal::slow_down:
        kind = PoolError::Kind::user_limit;
        break;
    case Refusal::starting:
        kind = PoolError::Kind::overloaded;
        break;
    case Refusal::none:
    case Refusal::unauthorized:
        break;
    }
    const std::string reason = caller.reason;
    const shared::UnixMillis retry_at = caller.retry_at;
    co_return co_await refuse_early(kind, reason, early, retry_at);
}

shared::LimitHit Exchange::admit()
{
    shared::UserAsk ask;
    ask.provider = static_cast<std::uint8_t>(provider_->id());
    ask.model = waiting_->facts.model.view();
    ask.slot = worker_.slot;
    ask.now = shared::now_unix();
    ask.week_capacity = pool_user_.is_set() ? worker_.week_capacity(ask.now) : 0;
    // An upgrade opens a connection: each turn on it is admitted by itself.
    ask.counts = waiting_->route.generates && !head().upgrades_to_websocket;
    const shared::LimitHit met = shared::admit_user(worker_.segment, pool_user_, ask);
    if (met.kind == shared::LimitKind::none && ask.counts) running_->belongs_to(pool_user_);
    return met;
}

Task<bool> Exchange::read_body(RequestBody::End taken)
{
    RequestBody::End end = taken;
    const std::int64_t begun_at = shared::now_monotonic_us();
    if (!waiting_->body.settled()) end = co_await waiting_->body.hold();
    timings_.queue += shared::now_monotonic_us() - begun_at;
    switch (end) {
    case RequestBody::End::whole:
    case RequestBody::End::too_long:
        co_return true;
    case RequestBody::End::too_large:
        keep_ = false;
        session_.must_linger();
        static_cast<void>(co_await refuse(
            PoolError::Kind::body_too_large, "the request body is larger than this pool allows"));
        co_return false;
    case RequestBody::End::malformed:
        keep_ = false;
        session_.must_linger();
        static_cast<void>(
            co_await refuse(PoolError::Kind::bad_request, "the chunked body is malformed"));
        co_return false;
    case RequestBody::End::gone:
        break;
    }
    keep_ = false;
    record(shared::RequestOutcome::client_gone);
    co_return false;
}

bool Exchange::can_go_on() noexcept
{
    return keep_ && !session_.gone() && (!worker_.draining || worker_.patient);
}

ClientHead Exchange::client_head(std::int64_t now_us) const noexcept
{
    ClientHead context;
    context.id = id_;
    context.timings = &timings_;
    context.now_us = now_us;
    context.close = !keep_;
    context.keep_alive_10 = http10_ && keep_;
    return context;
}

Task<bool> Exchange::answer(shared::LocalReply reply)
{
    const std::int64_t now_us = shared::now_monotonic_us();
    std::string out;
    if (worker_.draining) keep_ = false;
    // A body that was not read to its end stands between this answer and the next request.
    if (waiting_ && head().body != BodyKind::none && !waiting_->body.finished()) {
        keep_ = false;
        session_.must_linger();
    }
    const ClientHead context = client_head(now_us);
    append_local_answer(reply, context, is_head_, out);
    status_ = static_cast<std::uint16_t>(reply.status);
    timings_.answered = now_us;
    iovec piece = shared::net::piece(out);
    std::string rest;
    bool sent = session_.write_now({&piece, 1}, rest);
    if (sent && !rest.empty()) sent = co_await session_.write_rest(std::move(rest));
    if (sent) response_bytes_ += reply.body.size();
    co_return sent;
}

shared::LocalReply Exchange::error_reply(const PoolError& error) const
{
    if (provider_ != nullptr) return provider_->error_reply(error, head());
    shared::LocalReply reply;
    reply.status = error.status();
    reply.headers.push_back({"Content-Type", "application/json"});
    if (error.retry_at.is_set()) {
        const auto wait = std::chrono::ceil<std::chrono::seconds>(error.retry_at.since(error.now));
        const auto seconds = static_cast<long>(std::max<std::int64_t>(1, wait.count()));
        reply.headers.push_back({"Retry-After", std::to_string(seconds)});
    }
    if (error.kind == PoolError::Kind::unauthorized)
        reply.headers.push_back({"WWW-Authenticate", "Basic realm=\"codex-pool\""});
    // The message is ours: it has nothing that would have to be escaped.
    reply.body = R"({"error":{"type":"codex_pool_error","message":")" + error.message + "\"}}";
    return reply;
}

Task<bool> Exchange::refuse(PoolError::Kind kind, std::string message, shared::UnixMillis retry_at)
{
    PoolError error;
    error.kind = kind;
    error.message = std::move(message);
    error.retry_at = retry_at;
    error.now = shared::now_unix();
    shared::LocalReply reply = error_reply(error);
    const bool sent = co_await answer(std::move(reply));
    note_refusal(kind, retry_at);
    record(sent ? shared::RequestOutcome::refused : shared::RequestOutcome::client_gone);
    co_return can_go_on();
}

Task<bool> Exchange::refuse_early(
    PoolError::Kind kind, std::string message, std::string_view early, shared::UnixMillis retry_at)
{
    if (head().body == BodyKind::none ||
        (head().body == BodyKind::length && head().content_length == 0)) {
        static_cast<void>(waiting_->body.begin(head(), early));
    } else {
        keep_ = false;
        session_.must_linger();
    }
    co_return co_await refuse(kind, std::move(message), retry_at);
}

std::string_view Exchange::decoded_body()
{
    const std::string_view raw = waiting_->body.held();
    if (!waiting_->body.finished()) return {};
    const std::string_view coding = head().fields.find("content-encoding");
    if (coding.empty() || shared::http::iequals(coding, "identity")) return raw;
    const shared::http::DecodeStatus status =
        shared::http::decode_all(coding, raw, kDecodedBytesMax, waiting_->decoded);
    if (status == shared::http::DecodeStatus::ok) return waiting_->decoded;
    // It goes upstream as it is; we just do not know what is in it.
    shared::log::debug(
        "request={} decision=not_inspected coding={}", view(id_), coding.substr(0, 16));
    waiting_->decoded = std::string();
    return {};
}

void Exchange::inspect()
{
    Waiting& waiting = *waiting_;
    if (waiting.route.conversation)
        waiting.facts = provider_->inspect(waiting.route, head(), decoded_body());
    streams_ = waiting.facts.stream;
    const std::string_view conversation = waiting.facts.conversation_id.empty()
                                              ? std::string_view(waiting.facts.fingerprint)
                                              : std::string_view(waiting.facts.conversation_id);
    if (!conversation.empty()) {
        const auto provider = static_cast<std::uint8_t>(provider_->id());
        pin_key_ = worker_.pin_keys.ask(user_.view(), provider, conversation);
        has_pin_key_ = true;
    }
}

Task<bool> Exchange::answer_locally()
{
    if (!waiting_->body.finished()) {
        keep_ = false;
        session_.must_linger();
        co_return co_await refuse(
            PoolError::Kind::body_too_large, "the request body is larger than this path takes");
    }
    const shared::UnixMillis now = shared::now_unix();
    const std::string_view body = decoded_body();
    shared::LocalReply reply = provider_->answer_locally(
        waiting_->route, head(), body, worker_.summary(provider_->id(), now), now);
    begin_decision();
    decision_.answered(shared::DecisionEnding::local);
    const bool sent = co_await answer(std::move(reply));
    record(sent ? shared::RequestOutcome::completed : shared::RequestOutcome::client_gone);
    co_return can_go_on();
}

shared::LocalReply Exchange::healthz() const
{
    const shared::UnixMillis now = shared::now_unix();
    const shared::PoolSummary& pool = worker_.summary(shared::ProviderId::none, now);
    std::uint64_t running = 0;
    for (const shared::WorkerSlot& slot : shared::used_slots(worker_.segment))
        running += slot.running_requests.load(std::memory_order_relaxed);
    shared::LocalReply reply;
    reply.headers.push_back({"Content-Type", "application/json"});
    reply.headers.push_back({"Cache-Control", "no-store"});
    std::string& out = reply.body;
    out = R"({"ok":true,"status":"ok","uptime_seconds":)";
    append_number(
        out,
        static_cast<std::uint64_t>(std::max<std::int64_t>(
            0, now.since(worker_.segment.header.created_at).count() / 1000)));
    out += ",\"accounts\":";
    append_number(out, pool.all_accounts);
    out += ",\"healthy_accounts\":";
    append_number(out, pool.all_healthy);
    out += ",\"inflight\":";
    append_number(out, running);
    out += "}\n";
    return reply;
}

Task<bool>
Exchange::answer_own(const OwnRoute& own, const AccessDecision& caller, std::string_view early)
{
    const AccessDecision who = caller;
    quiet_ = true;
    const RequestBody::End taken = waiting_->body.begin(head(), early);
    if (!waiting_->body.settled() || taken != RequestBody::End::whole) {
        const bool read = co_await read_body(taken);
        if (!read) co_return can_go_on();
    }
    if (head().body != BodyKind::none)
        shared::wipe(worker_.buffer.get(), WorkerState::kBufferBytes);
    if (own.target == OwnTarget::admin) co_return co_await relay_to_admin(who);
    shared::LocalReply reply = healthz();
    const bool sent = co_await answer(std::move(reply));
    record(sent ? shared::RequestOutcome::completed : shared::RequestOutcome::client_gone);
    co_return can_go_on();
}

PageCaller Exchange::page_caller(const AccessDecision& caller) const
{
    PageCaller who;
    who.role = caller.role == Role::owner ? "owner" : caller.role == Role::user ? "user" : "nobody";
    who.user = caller.user;
    who.client = client_address(session_.peer(), head(), worker_.trusted_proxies).text();
    who.by_session = caller.by_session;
    who.https = worker_.server_tls != nullptr ||
                came_by_https(session_.peer(), head(), worker_.trusted_proxies);
    return who;
}

Task<bool> Exchange::relay_to_admin(const AccessDecision& caller)
{
    const PageCaller who = page_caller(caller);
    Waiting& waiting = *waiting_;
    const OutgoingBody body = waiting.body.outgoing();
    append_admin_head(head(), body, id_, who, waiting.head);
    UpstreamRequest request;
    request.method = head().method;
    request.head = waiting.head;
    if (waiting.body.finished())
        request.body[0] = waiting.body.held();
    else
        request.streamed = &waiting.body;
    request.first_byte = std::chrono::seconds(60);
    waiting.call.emplace(worker_, session_, cancel_, deadline_, timings_);
    const UpstreamCall::End end = co_await waiting.call->run(request);
    deadline_.clear();
    if (waiting.body.finished()) waiting.body.release();
    if (session_.gone()) {
        record(shared::RequestOutcome::client_gone);
        co_return false;
    }
    if (end != UpstreamCall::End::answered)
        co_return co_await refuse(
            PoolError::Kind::overloaded, "the pool's pages are not available at the moment");
    const RelayEnd relayed = co_await relay();
    if (relayed == RelayEnd::before_output)
        co_return co_await refuse(
            PoolError::Kind::overloaded, "the pool's pages are not available at the moment");
    record(
        relayed == RelayEnd::whole         ? shared::RequestOutcome::completed
        : relayed == RelayEnd::client_gone ? shared::RequestOutcome::client_gone
                                           : shared::RequestOutcome::upstream_cut);
    co_return can_go_on();
}

} // namespace worker
