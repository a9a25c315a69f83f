#include "worker/tunnel_turn.hpp"

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/evidence/learn.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/selection/select_account.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace worker {

using shared::AccountRecord;
using shared::Outcome;
using shared::RequestOutcome;
using shared::UnixMillis;

TunnelTurns::TunnelTurns(WorkerState& state, const TunnelStart& start)
    : state_(state),
      start_(start),
      provider_(*start.provider),
      picker_(provider_.event_paths()),
      pin_(start.pin)
{}

TunnelTurns::~TunnelTurns()
{
    end(RequestOutcome::upstream_cut);
    give_back();
}

shared::UserAsk TunnelTurns::user_ask() const
{
    shared::UserAsk ask;
    ask.provider = static_cast<std::uint8_t>(provider_.id());
    ask.slot = state_.slot;
    ask.now = shared::now_unix();
    return ask;
}

shared::LimitHit TunnelTurns::admit()
{
    if (!start_.pool_user.is_set() || admitted_) return {};
    shared::UserAsk ask = user_ask();
    ask.week_capacity = state_.week_capacity(ask.now);
    const shared::LimitHit met = shared::admit_user(state_.segment, start_.pool_user, ask);
    admitted_ = met.kind == shared::LimitKind::none;
    return met;
}

bool TunnelTurns::limits_models() const
{
    if (!start_.pool_user.is_set()) return false;
    const auto user = shared::read_user(state_.segment, start_.pool_user, shared::now_unix());
    return !user.limits.models.empty();
}

void TunnelTurns::give_back() noexcept
{
    if (std::exchange(admitted_, false))
        shared::leave_user(state_.segment, start_.pool_user, state_.slot);
}

bool TunnelTurns::user_may_call() const
{
    if (!start_.pool_user.is_set()) return true;
    return shared::user_standing(
               state_.segment, start_.pool_user, start_.generation, shared::now_unix()) ==
           shared::UserStanding::active;
}

shared::LimitHit TunnelTurns::client_message(std::string_view json)
{
    const shared::RequestFacts facts = provider_.inspect_message(json);
    if (!facts.stream) {
        give_back();
        return {};
    }
    end(RequestOutcome::completed); // the client goes on without having waited for a terminal event
    shared::UserAsk ask = user_ask();
    ask.model = facts.model.view();
    ask.counts = false;
    const shared::LimitHit met = shared::admit_user(state_.segment, start_.pool_user, ask);
    if (met.kind == shared::LimitKind::model) {
        give_back();
        return met;
    }
    begin(facts);
    return {};
}

void TunnelTurns::begin(const shared::RequestFacts& facts)
{
    const UnixMillis now = shared::now_unix();
    shared::UsageEntry entry = start_.first;
    entry.request_id = state_.ids.next();
    entry.started_at = now;
    entry.model = facts.model;
    entry.account = {};
    entry.status = 200;
    entry.websocket = 1;
    facts_ = {};
    begun_us_ = shared::now_monotonic_us();
    if (!facts.conversation_id.empty()) {
        const auto provider = static_cast<std::uint8_t>(provider_.id());
        pin_ = shared::pin_key(entry.user.view(), provider, facts.conversation_id);
    }
    entry.conversation = pin_ ? (*pin_)[0] : 0;
    auto row = shared::RunningRequest::begin(state_.segment, state_.slot, entry);
    if (row) row_.emplace(std::move(*row)); // else: too many run; this one is relayed uncounted
    if (row_) row_->assign(start_.first.account);
    if (row_ && std::exchange(admitted_, false)) row_->belongs_to(start_.pool_user);
    give_back();
    begin_decision(entry);
    state_.row().counters.requests.fetch_add(1, std::memory_order_relaxed);
}

void TunnelTurns::begin_decision(const shared::UsageEntry& entry)
{
    decision_ = {};
    decision_.begin(state_.segment, state_.slot, [&](shared::Decision& decision) {
        decision.request_id = entry.request_id;
        decision.parent_id = start_.first.request_id;
        decision.started_at = entry.started_at;
        decision.user = entry.user;
        decision.model = entry.model;
        decision.path = entry.path;
        decision.provider = entry.provider;
        decision.websocket = 1;
    });
    decision_.try_begins(start_.first.account);
}

void TunnelTurns::upstream_payload(std::string_view bytes)
{
    picker_.feed(bytes);
}

MessageFate TunnelTurns::upstream_message_end()
{
    const UnixMillis now = shared::now_unix();
    const bool failed_before = facts_.failure.has_value();
    if (picker_.malformed()) { // junk is the client's to judge; it teaches nothing
        picker_.reset();
        return MessageFate::relay;
    }
    provider_.read_event(picker_.values(), now, facts_);
    picker_.reset();
    shared::learn_quota(
        state_.segment, start_.first.account, facts_.quota, shared::EvidenceSource::stream, now);
    facts_.quota = {};
    if (!row_ && facts_.terminal && facts_.has_usage) {
        // The message that began this turn was too long to look into; what it cost counts all the same.
        shared::ResponseFacts facts = facts_;
        begin({});
        facts_ = facts;
    }
    note_usage();
    if (facts_.failure && !failed_before) {
        const MessageFate fate = after_failure(*facts_.failure, now);
        decision_.turn_failed(state_.segment, *facts_.failure, facts_.generated);
        if (fate == MessageFate::exhausted)
            decision_.refused(shared::PoolError::Kind::exhausted, retry_at_);
        if (fate == MessageFate::start_over) decision_.answered(shared::DecisionEnding::start_over);
        if (fate != MessageFate::relay)
            finish(RequestOutcome::refused, 429);
        else if (facts_.terminal)
            finish(RequestOutcome::completed, 502);
        return fate;
    }
    if (facts_.terminal) {
        if (row_ && !facts_.failure) {
            if (pin_) shared::set_pin(state_.segment, *pin_, start_.first.account, now);
            state_.segment.accounts[start_.first.account.value].with_lock(
                [&](AccountRecord& record) {
                    learn_verdict(record.routing, shared::Verdict(), now);
                });
        }
        finish(RequestOutcome::completed, 200);
        facts_ = {};
    }
    return MessageFate::relay;
}

MessageFate TunnelTurns::after_failure(const shared::Verdict& verdict, UnixMillis now)
{
    if (verdict.outcome == Outcome::served) return MessageFate::relay; // the client's own business
    state_.segment.accounts[start_.first.account.value].with_lock(
        [&](AccountRecord& record) { learn_verdict(record.routing, verdict, now); });
    if (verdict.outcome == Outcome::credential_rejected && state_.on_account_rejected) {
        state_.on_account_rejected(start_.first.account);
    }
    // A transient fault: the client reconnects by itself, and its next upgrade looks anew.
    if (verdict.outcome == Outcome::upstream_failed || facts_.generated) return MessageFate::relay;
    return another_can_serve(now) ? MessageFate::start_over : MessageFate::exhausted;
}

bool TunnelTurns::another_can_serve(UnixMillis now)
{
    const std::string_view model = row_ ? row_->entry().model.view() : std::string_view();
    state_.accounts.candidates(
        {provider_.id(), model, start_.first.user.view()}, state_.candidates);
    const std::array tried{start_.first.account};
    shared::SelectionQuery query;
    query.provider = provider_.id();
    query.legs = start_.legs;
    query.websocket = true;
    query.tried = tried;
    query.now = now;
    const shared::Selection selection = select_account(query, state_.candidates);
    retry_at_ = selection.retry_at;
    return selection.account.is_set();
}

void TunnelTurns::note_usage()
{
    if (!row_) return;
    shared::UsageEntry& entry = row_->entry();
    entry.input = facts_.usage.input.value;
    entry.cached_input = facts_.usage.cached_input.value;
    entry.cache_creation = facts_.usage.cache_creation.value;
    entry.output = facts_.usage.output.value;
    entry.reasoning = facts_.usage.reasoning.value;
    if (!facts_.model.empty()) entry.model = facts_.model;
    if (entry.first_byte_ms == 0) {
        entry.first_byte_ms =
            static_cast<std::uint32_t>((shared::now_monotonic_us() - begun_us_) / 1000);
    }
}

void TunnelTurns::end(RequestOutcome outcome)
{
    finish(outcome, 200);
}

void TunnelTurns::finish(RequestOutcome outcome, std::uint16_t status)
{
    if (!row_) return;
    shared::UsageEntry& entry = row_->entry();
    entry.status = status;
    const auto total_us = static_cast<std::uint64_t>(shared::now_monotonic_us() - begun_us_);
    entry.duration_ms = static_cast<std::uint32_t>(total_us / 1000);
    shared::WorkerSlot::Counters& counters = state_.row().counters;
    counters.total.observe(shared::kAnswerBoundsUs, total_us);
    if (entry.first_byte_ms > 0)
        counters.first_byte.observe(
            shared::kAnswerBoundsUs, std::uint64_t{entry.first_byte_ms} * 1000);
    if (outcome == RequestOutcome::completed && !facts_.failure)
        decision_.try_ended(state_.segment, AttemptEnd::answered, status, shared::Verdict());
    const UnixMillis now = shared::now_unix();
    decision_.ended(outcome, status, entry.duration_ms, entry.first_byte_ms, now);
    log_turn(entry);
    row_->finish(outcome, now);
    row_.reset();
}

void TunnelTurns::log_turn(const shared::UsageEntry& entry) const
{
    // What a client chose must not look like a field of its own.
    std::string model(entry.model.view());
    std::replace(model.begin(), model.end(), ' ', '_');
    shared::log::info(
        "event=request id={} user={} provider={} model={} account={} status={} websocket=1 "
        "input={} cached={} "
        "output={} first_byte_ms={} total_ms={}",
        std::string_view(entry.request_id.data(), entry.request_id.size()),
        entry.user.view(),
        provider_.name(),
        model,
        state_.accounts.get(start_.first.account).id,
        entry.status,
        entry.input,
        entry.cached_input,
        entry.output,
        entry.first_byte_ms,
        entry.duration_ms);
}

} // namespace worker
