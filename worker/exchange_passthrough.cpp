/// A request that goes out with the client's own credential (allow_passthrough): one attempt, no account. Nothing is
/// learnt from it and no limit is touched; what it used is a row like any other.
#include "shared/providers/own_credential.hpp"
#include "worker/exchange.hpp"
#include "worker/session.hpp"

#include <algorithm>

namespace worker {

using shared::PoolError;
using shared::RequestOutcome;
using shared::net::Task;

bool Exchange::passes_through(const AccessDecision& caller) const
{
    if (!worker_.config.allow_passthrough || provider_ == nullptr) return false;
    // In a shared pool who is calling is said beside the credential, never by leaving it out.
    const bool known = !worker_.config.shared_mode || caller.beside;
    return known && waiting_->route.target == shared::Route::Target::upstream &&
           shared::own_credential(*provider_, head()).has_value();
}

Task<bool> Exchange::pass_through()
{
    passes_ = true;
    inspect();
    has_pin_key_ = false;
    request_bytes_ += waiting_->body.bytes();
    if (!begin_row())
        co_return co_await refuse(
            PoolError::Kind::overloaded, "this pool runs as many requests as it can");
    // A tunnel's turns are an account's; every CLI goes on without one.
    if (head().upgrades_to_websocket) co_return co_await refuse_upgrade();
    const shared::OwnCredential own = *shared::own_credential(*provider_, head());
    const auto& legs = waiting_->route.legs;
    const auto leg = std::find_if(legs.begin(), legs.end(), [&own](const shared::Leg& each) {
        return each.kind == own.kind;
    });
    if (leg == legs.end())
        co_return co_await refuse(
            PoolError::Kind::bad_request, "this path does not take the kind of key that was sent");
    const UpstreamCall::End end = co_await call_with(*leg, own);
    deadline_.clear();
    if (end == UpstreamCall::End::body_failed || session_.gone()) {
        keep_ = false;
        record(RequestOutcome::client_gone);
        co_return false;
    }
    if (end == UpstreamCall::End::body_malformed)
        co_return co_await refuse(PoolError::Kind::bad_request, "the chunked body is malformed");
    if (end == UpstreamCall::End::body_too_large)
        co_return co_await refuse(
            PoolError::Kind::body_too_large, "the request body is larger than this pool allows");
    if (end != UpstreamCall::End::answered) {
        const bool late = end == UpstreamCall::End::stopped && expired_;
        co_return co_await refuse(
            late ? PoolError::Kind::deadline : PoolError::Kind::upstream_failed,
            "the upstream could not be reached with the key that was sent");
    }
    const RelayEnd relayed = co_await relay();
    if (relayed == RelayEnd::before_output)
        co_return co_await refuse(PoolError::Kind::upstream_failed, "the upstream broke off");
    record(
        relayed == RelayEnd::whole         ? RequestOutcome::completed
        : relayed == RelayEnd::client_gone ? RequestOutcome::client_gone
                                           : RequestOutcome::upstream_cut);
    co_return can_go_on();
}

Task<UpstreamCall::End>
Exchange::call_with(const shared::Leg& leg, const shared::OwnCredential& own)
{
    Waiting& waiting = *waiting_;
    // An error in a stream is the client's own business: nothing is held back.
    waiting.retry.replayable = false;
    shared::AccountCredential credential;
    credential.kind = own.kind;
    credential.token = own.token;
    origin_ = &worker_.config.upstream(worker_.registry, leg.upstream);
    UpstreamRequest request;
    const OutgoingBody body = waiting.body.outgoing();
    if (waiting.body.finished())
        request.body[0] = waiting.body.held();
    else
        request.streamed = &waiting.body;
    waiting.head.clear();
    append_upstream_head(
        *provider_,
        leg,
        *origin_,
        head(),
        credential,
        body,
        worker_.request_memos(*provider_),
        waiting.head,
        true);
    request.origin = origin_;
    request.method = head().method;
    request.head = waiting.head;
    request.first_byte = std::chrono::seconds(
        streams_ ? worker_.config.first_byte_timeout_seconds
                 : worker_.config.nonstream_timeout_seconds);
    waiting.call.emplace(worker_, session_, cancel_, deadline_, timings_);
    return waiting.call->run(request);
}

} // namespace worker
