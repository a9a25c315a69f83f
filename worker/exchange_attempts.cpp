/// Accounts one after the other, until one serves or nobody can.
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/evidence/learn.hpp"
#include "shared/selection/claim.hpp"
#include "worker/exchange.hpp"
#include "worker/limit_words.hpp"
#include "worker/session.hpp"

#include <algorithm>

namespace worker {

using shared::Outcome;
using shared::PoolError;
using shared::RequestOutcome;
using shared::Selection;
using shared::SelectionQuery;
using shared::Verdict;
using shared::net::Task;

namespace {

/// Whether anything in `legs` can be upgraded.
bool any_websocket(const std::vector<shared::Leg>& legs) noexcept
{
    return std::any_of(
        legs.begin(), legs.end(), [](const shared::Leg& leg) { return leg.websocket; });
}

/// An answer that may be the account's fault or the request's: only another account can tell.
bool is_refusal(const Verdict& verdict) noexcept
{
    return verdict.outcome == Outcome::account_refused || verdict.about_request;
}

} // namespace

Task<bool> Exchange::serve()
{
    Waiting& waiting = *waiting_;
    inspect();
    request_bytes_ += waiting.body.bytes();

    if (!begin_row())
        co_return co_await refuse(
            PoolError::Kind::overloaded, "this pool runs as many requests as it can");
    if (const shared::LimitHit met = admit(); met.kind != shared::LimitKind::none)
        co_return co_await refuse(
            PoolError::Kind::user_limit,
            limit_sentence(met),
            ask_again_at(met, shared::now_unix()));
    waiting.ask.slot = worker_.slot;
    if (waiting.route.generates) {
        waiting.ask.user = worker_.fair_user(user_.view(), provider_->id());
        running_->count_for(waiting.ask.user);
    }

    begin_decision();
    const shared::Config& config = worker_.config;
    waiting.retry.max_attempts = config.max_attempts;
    waiting.retry.started_at = started_;
    waiting.retry.all_attempts_timeout_seconds =
        streams_ ? config.all_attempts_timeout_seconds : config.nonstream_timeout_seconds;
    waiting.retry.replayable = waiting.body.finished();
    if (head().upgrades_to_websocket && !any_websocket(waiting.route.legs))
        co_return co_await refuse_upgrade();

    AttemptEnd attempt = AttemptEnd::answered;
    Verdict verdict;
    while (true) {
        if (session_.gone()) {
            record(RequestOutcome::client_gone);
            co_return false;
        }
        Selection selection = select();
        if (!served_at_once(selection)) selection = co_await wait_for_account(selection);
        if (session_.gone()) continue;
        if (!selection.account.is_set()) {
            if (waiting.tried.empty() || selection.limited)
                co_return co_await nobody_serves(selection);
            co_return co_await give_up(attempt, verdict);
        }
        if (attempts_ > 0) worker_.row().counters.retries.fetch_add(1, std::memory_order_relaxed);
        ++attempts_;
        waiting.tried.push_back(account_);
        if (token_is_renewed()) co_await wait_for_token();
        if (session_.gone()) continue;
        decision_.try_begins(account_);

        const UpstreamCall::End end = co_await call_upstream(selection);
        deadline_.clear();
        if (end == UpstreamCall::End::body_failed || session_.gone()) {
            keep_ = false;
            record(RequestOutcome::client_gone);
            co_return false;
        }
        if (end == UpstreamCall::End::body_malformed)
            co_return co_await refuse(
                PoolError::Kind::bad_request, "the chunked body is malformed");
        if (end == UpstreamCall::End::body_too_large)
            co_return co_await refuse(
                PoolError::Kind::body_too_large,
                "the request body is larger than this pool allows");
        attempt = attempt_end(end);
        verdict = Verdict();
        if (attempt == AttemptEnd::answered) {
            waiting.error_body.clear();
            if (waiting.call->head().status >= 400) co_await read_error_body();
            verdict = judge();
            if (session_.gone()) {
                record(RequestOutcome::client_gone);
                co_return false;
            }
        } else {
            learn_fault(attempt);
        }

        const unsigned status = attempt == AttemptEnd::answered ? waiting.call->head().status : 0;
        decision_.try_ended(worker_.segment, attempt, status, verdict);
        const shared::UnixMillis now = shared::now_unix();
        RetryDecision decision = decide(attempt, verdict, now, waiting.retry);
        if (attempt == AttemptEnd::answered && is_refusal(verdict)) {
            const Selection next = select();
            const bool nobody_left = decision == RetryDecision::give_up || !next.account.is_set();
            waiting.relays_refusal = nobody_left && !next.limited;
            if (waiting.relays_refusal) {
                decision = RetryDecision::relay;
                decision_.answered(shared::DecisionEnding::relayed_refusal);
            }
        }
        if (decision == RetryDecision::relay) {
            if (waiting.call->head().status == 101) {
                co_await tunnel();
                co_return false;
            }
            const RelayEnd relayed = co_await relay();
            if (relayed != RelayEnd::before_output) {
                record(
                    relayed == RelayEnd::whole         ? RequestOutcome::completed
                    : relayed == RelayEnd::client_gone ? RequestOutcome::client_gone
                                                       : RequestOutcome::upstream_cut);
                co_return can_go_on();
            }
            // Nothing has reached the client: the stream's failure counts like an answer's.
            const std::optional<Verdict> failure =
                scanner_ ? scanner_->facts().failure : std::nullopt;
            attempt = failure ? AttemptEnd::answered : AttemptEnd::broken_off;
            verdict = failure ? *failure : Verdict();
            if (failure)
                learn(verdict);
            else
                learn_fault(attempt);
            decision_.stream_failed(worker_.segment, attempt, verdict);
            decision = decide(attempt, verdict, shared::now_unix(), waiting.retry);
        }
        shared::log::debug(
            "request={} decision={} attempt={} end={} reason={}",
            view(id_),
            static_cast<int>(decision),
            attempts_,
            static_cast<int>(attempt),
            verdict.reason.view());
        waiting.call->recycle(origin_);
        waiting.call.reset();
        rearm();
        if (decision != RetryDecision::next_account) co_return co_await give_up(attempt, verdict);
    }
}

bool Exchange::begin_row()
{
    shared::UsageEntry first;
    first.request_id = id_;
    first.started_at = started_;
    first.user = user_;
    first.model = waiting_->facts.model;
    first.provider = static_cast<std::uint8_t>(provider_->id());
    first.path.assign(head().path);
    if (has_pin_key_) first.conversation = pin_key_[0];
    first.websocket = head().upgrades_to_websocket ? 1 : 0;
    std::optional<shared::RunningRequest> row =
        shared::RunningRequest::begin(worker_.segment, worker_.slot, first);
    if (!row) return false;
    running_.emplace(std::move(*row));
    return true;
}

void Exchange::rearm() noexcept
{
    expired_ = false;
    cancel_.rearm();
    scanner_.reset();
    decoder_.reset();
}

void Exchange::load_candidates()
{
    const Asking asking{provider_->id(), waiting_->facts.model.view(), user_.view()};
    worker_.accounts.candidates(asking, worker_.candidates);
    leave_places_to_others();
}

SelectionQuery Exchange::query()
{
    Waiting& waiting = *waiting_;
    SelectionQuery query;
    query.provider = provider_->id();
    query.strategy = worker_.config.strategy_for(*provider_);
    query.legs = waiting.route.legs;
    query.ordered_legs = waiting.route.ordered_legs;
    query.websocket = head().upgrades_to_websocket;
    query.tried = waiting.tried;
    query.now = shared::now_unix();
    query.rotation = worker_.rotation++;
    if (has_pin_key_ && waiting.tried.empty()) {
        waiting.pinned = shared::find_pin(
            worker_.segment, pin_key_, query.now, std::chrono::hours(worker_.config.pin_ttl_hours));
    }
    query.pinned = waiting.pinned;
    return query;
}

Selection Exchange::select()
{
    Waiting& waiting = *waiting_;
    const std::int64_t begun_at = shared::now_monotonic_us();
    load_candidates();
    const SelectionQuery asked = query();
    const Selection selection = select_account(asked, worker_.candidates, worker_.notes);
    decision_.selected(asked, selection, worker_.candidates, worker_.notes, has_pin_key_);
    timings_.pick += shared::now_monotonic_us() - begun_at;
    if (shared::log::is_on(shared::log::Level::debug)) {
        shared::log::debug(
            "request={} decision=select account={} score={:.3f} pinned={} moved={} candidates={}",
            view(id_),
            selection.account.is_set()
                ? std::string_view(worker_.accounts.get(selection.account).id)
                : "-",
            selection.score,
            waiting.pinned.has_value(),
            selection.pin_moved,
            worker_.candidates.size());
    }
    return selection;
}

bool Exchange::claim(const Selection& selection)
{
    const shared::UnixMillis now = shared::now_unix();
    if (selection.capped) {
        const shared::MonotonicMillis moment(shared::now_monotonic_us() / 1000);
        const bool taken = shared::take_place(
            worker_.segment, waiting_->ask, selection.account, worker_.places, *running_, moment);
        if (!taken) return false;
    }
    const std::chrono::seconds probe_for(worker_.config.first_byte_timeout_seconds);
    if (!shared::claim(worker_.segment, selection, *running_, now, probe_for)) {
        running_->assign(shared::AccountSlot{});
        return false;
    }
    end_probe();
    account_ = selection.account;
    probes_ = selection.probe;
    waiting_->moved_because = selection.pinned.reason;
    if (waiting_->pinned != account_) worker_.accounts.note_turn(account_);
    return true;
}

void Exchange::end_probe()
{
    if (std::exchange(probes_, false)) shared::end_probe(worker_.segment, account_);
}

Task<UpstreamCall::End> Exchange::call_upstream(const Selection& selection)
{
    Waiting& waiting = *waiting_;
    const shared::Leg& leg = waiting.route.legs[selection.leg];
    const CachedAccount& account = worker_.accounts.get(selection.account);
    shared::AccountCredential credential;
    credential.kind = account.kind;
    credential.token = account.token;
    credential.account_id = account.account_id;
    origin_ = &worker_.config.upstream(worker_.registry, leg.upstream);

    UpstreamRequest request;
    OutgoingBody body = waiting.body.outgoing();
    if (waiting.body.finished()) {
        request.body[0] = waiting.body.held();
        const shared::RequestFacts& facts = waiting.facts;
        const bool foreign = facts.project_length > 0 && !account.project.empty() &&
                             facts.project != account.project &&
                             worker_.accounts.owns_project(facts.project);
        if (foreign) {
            // Only this value changes. In a compressed body it cannot be reached: that goes out decoded.
            const bool decoded = !waiting.decoded.empty();
            const std::string_view whole =
                decoded ? std::string_view(waiting.decoded) : waiting.body.held();
            waiting.project = "\"" + account.project + "\"";
            request.body[0] = whole.substr(0, facts.project_offset);
            request.body[1] = waiting.project;
            request.body[2] = whole.substr(facts.project_offset + facts.project_length);
            body.decoded = decoded;
            body.length = whole.size() - facts.project_length + waiting.project.size();
        }
    } else {
        request.streamed = &waiting.body;
    }
    waiting.head.clear();
    append_upstream_head(
        *provider_,
        leg,
        *origin_,
        head(),
        credential,
        body,
        worker_.request_memos(*provider_),
        waiting.head);
    request.origin = origin_;
    proxy_ = account.proxy;
    request.proxy = proxy_;
    request.method = head().method;
    request.head = waiting.head;
    request.first_byte = std::chrono::seconds(
        streams_ || head().upgrades_to_websocket ? worker_.config.first_byte_timeout_seconds
                                                 : worker_.config.nonstream_timeout_seconds);
    waiting.call.emplace(worker_, session_, cancel_, deadline_, timings_);
    return waiting.call->run(request);
}

AttemptEnd Exchange::attempt_end(UpstreamCall::End end) const noexcept
{
    switch (end) {
    case UpstreamCall::End::answered:
        return AttemptEnd::answered;
    case UpstreamCall::End::connect_failed:
        return AttemptEnd::connect_failed;
    case UpstreamCall::End::stopped:
        return expired_ ? AttemptEnd::deadline : AttemptEnd::client_gone;
    default:
        return AttemptEnd::broken_off;
    }
}

Task<> Exchange::read_error_body()
{
    UpstreamCall& call = *waiting_->call;
    std::string& body = waiting_->error_body;
    call.keep_head();
    co_await call.read_error_body(body);
    deadline_.clear();
    // A body that does not end is no reason to give up: what was seen of it decides.
    if (expired_ && !session_.gone()) {
        expired_ = false;
        cancel_.rearm();
    }
    const std::string_view coding = call.head().fields.find("content-encoding");
    if (!coding.empty() && !shared::http::iequals(coding, "identity")) {
        std::string decoded;
        static_cast<void>(
            shared::http::decode_all(coding, body, UpstreamCall::kErrorBodyBytesMax, decoded));
        body = std::move(decoded);
    }
    if (body.size() > UpstreamCall::kErrorBodyBytesMax)
        body.resize(UpstreamCall::kErrorBodyBytesMax);
}

Verdict Exchange::judge()
{
    const UpstreamCall& call = *waiting_->call;
    const shared::UnixMillis now = shared::now_unix();
    Verdict verdict = provider_->classify(call.head(), waiting_->error_body, now);
    const shared::QuotaUpdate quota = provider_->quota_from_headers(call.head(), now);
    const bool served = verdict.outcome == Outcome::served;
    shared::learn_quota(worker_.segment, account_, quota, shared::EvidenceSource::header, now);
    // A stream has served when it has brought output: release() learns that, and what refusals meant.
    if (is_refusal(verdict))
        waiting_->refusals.emplace_back(account_, verdict);
    else if (!served)
        learn(verdict);
    return verdict;
}

void Exchange::learn(const Verdict& verdict)
{
    learn_about(account_, verdict);
}

void Exchange::learn_about(shared::AccountSlot account, const Verdict& verdict)
{
    const shared::UnixMillis now = shared::now_unix();
    worker_.segment.accounts[account.value].with_lock(
        [&](shared::AccountRecord& record) { learn_verdict(record.routing, verdict, now); });
    if (account == account_) probes_ = false;
    if (verdict.outcome == Outcome::served) return;
    shared::log::debug(
        "request={} decision=learn account={} outcome={} reason={}",
        view(id_),
        worker_.accounts.get(account).id,
        static_cast<int>(verdict.outcome),
        verdict.reason.view());
    if (verdict.outcome == Outcome::credential_rejected && worker_.on_account_rejected)
        worker_.on_account_rejected(account);
}

void Exchange::learn_fault(AttemptEnd end)
{
    if (end == AttemptEnd::client_gone) return;
    const shared::UnixMillis now = shared::now_unix();
    worker_.segment.accounts[account_.value].with_lock(
        [&](shared::AccountRecord& record) { learn_network_fault(record.routing, now); });
    shared::log::warn(
        "request={} account={} event=upstream_fault kind={} detail=\"{}\"",
        view(id_),
        worker_.accounts.get(account_).id,
        end == AttemptEnd::connect_failed ? "connect"
        : end == AttemptEnd::deadline     ? "deadline"
                                          : "broken_off",
        waiting_->call ? waiting_->call->problem() : std::string());
}

Task<bool> Exchange::give_up(AttemptEnd end, const Verdict& verdict)
{
    if (end == AttemptEnd::client_gone) {
        keep_ = false;
        record(RequestOutcome::client_gone);
        co_return false;
    }
    if (head().upgrades_to_websocket && http_could_serve()) co_return co_await refuse_upgrade();
    // Whose accounts are all used up by now is told when to come back, whatever the last attempt ended with.
    const Selection selection = select();
    if (!selection.account.is_set() && selection.limited)
        co_return co_await nobody_serves(selection);
    if (end == AttemptEnd::deadline)
        co_return co_await refuse(PoolError::Kind::deadline, "the upstream did not answer in time");
    if (end == AttemptEnd::answered && verdict.outcome != Outcome::upstream_failed &&
        !selection.account.is_set())
        co_return co_await nobody_serves(selection);
    co_return co_await refuse(
        PoolError::Kind::upstream_failed, "the upstream failed on every attempt");
}

Task<bool> Exchange::nobody_serves(const Selection& selection)
{
    running_->assign(shared::AccountSlot{});
    account_ = {};
    if (head().upgrades_to_websocket && http_could_serve()) co_return co_await refuse_upgrade();
    if (waiting_->route.local_if_unserved && waiting_->tried.empty())
        co_return co_await answer_locally();
    if (worker_.waits.closed())
        co_return co_await refuse(PoolError::Kind::overloaded, "this pool is being stopped");
    if (waiting_->queue_full)
        co_return co_await refuse(
            PoolError::Kind::overloaded, "too many requests wait for an account already");
    if (selection.busy && !selection.retry_at.is_set())
        co_return co_await refuse(
            PoolError::Kind::overloaded, "every account that could serve this is busy");
    if (selection.limited)
        co_return co_await refuse(
            PoolError::Kind::exhausted,
            "every account that could serve this is used up or cooling down",
            selection.retry_at);
    co_return co_await refuse(
        PoolError::Kind::no_account, "the pool has no account that can serve this");
}

bool Exchange::http_could_serve()
{
    SelectionQuery query;
    query.provider = provider_->id();
    query.legs = waiting_->route.legs;
    query.now = shared::now_unix();
    const Asking asking{query.provider, waiting_->facts.model.view(), user_.view()};
    worker_.accounts.candidates(asking, worker_.candidates);
    return select_account(query, worker_.candidates).account.is_set();
}

Task<bool> Exchange::refuse_upgrade()
{
    decision_.answered(shared::DecisionEnding::upgrade_refused);
    // 426 is the one status that sends Codex to HTTP at once.
    shared::LocalReply reply;
    reply.status = 426;
    reply.headers.push_back({"Content-Type", "application/json"});
    reply.body =
        R"({"error":{"type":"upgrade_not_supported","message":"only HTTP is served here"}})";
    const bool sent = co_await answer(std::move(reply));
    record(sent ? RequestOutcome::refused : RequestOutcome::client_gone);
    co_return can_go_on();
}

} // namespace worker
