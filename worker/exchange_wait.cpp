/// Waiting for an account: when none can serve now but one will soon, when a conversation's own account is only busy,
/// and when its token is being renewed. Nothing is sent to the client meanwhile.
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/segment/account_table.hpp"
#include "worker/exchange.hpp"
#include "worker/session.hpp"

#include <algorithm>
#include <array>

namespace worker {

using shared::AccountSet;
using shared::AccountSlot;
using shared::Candidate;
using shared::CandidateNote;
using shared::MonotonicMillis;
using shared::PassedOver;
using shared::Selection;
using shared::SelectionQuery;
using shared::UnixMillis;
using shared::net::Task;

namespace {

/// A token that ends sooner is not sent upstream if another is on its way.
constexpr std::chrono::seconds kTokenLeftMin{30};
constexpr std::chrono::milliseconds kTokenWaitMax = std::chrono::seconds(15);
/// Somebody else was quicker so often: something is wrong, and trying on would block the worker.
constexpr int kClaimsMax = 16;

MonotonicMillis monotonic_now() noexcept
{
    return MonotonicMillis(shared::now_monotonic_us() / 1000);
}

/// When an account that cannot serve now is worth another look; unset = any moment.
UnixMillis next_look(const Candidate& candidate, UnixMillis now)
{
    const shared::AccountRouting& routing = candidate.routing;
    if (routing.cooling_until > now) return routing.cooling_until;
    UnixMillis at = shared::available_at(routing, now);
    for (const shared::WindowRecord* window : {&routing.short_window, &routing.long_window}) {
        const bool sooner = !at.is_set() || window->resets_at < at;
        if (window->resets_at > now && sooner) at = window->resets_at;
    }
    return at;
}

} // namespace

void Exchange::leave_places_to_others()
{
    bool capped = false;
    for (Candidate& candidate : worker_.candidates) {
        // What spends nothing is over at once: it neither waits nor makes others wait.
        if (!waiting_->route.generates) candidate.routing.max_concurrency = 0;
        capped = capped || candidate.routing.max_concurrency > 0;
    }
    worker_.places.clear();
    if (!capped) return;
    places_of(worker_.candidates, shared::now_unix(), worker_.places);
    const AccountSet closed =
        shared::closed_places(worker_.segment, waiting_->ask, worker_.places, monotonic_now());
    for (Candidate& candidate : worker_.candidates) {
        const std::uint32_t cap = candidate.routing.max_concurrency;
        if (closed.contains(candidate.slot))
            candidate.in_flight = std::max(candidate.in_flight, cap);
    }
}

bool Exchange::served_at_once(const Selection& selection)
{
    return selection.account.is_set() && !selection.pin_moved && claim(selection);
}

Task<Selection> Exchange::wait_for_account(Selection selection)
{
    bool claimed = false;
    for (int lost = 0; !session_.gone() && lost < kClaimsMax;) {
        const std::optional<MonotonicMillis> until = worth_waiting(selection);
        if (until) {
            co_await wait_for_turn(*until, selection.account.is_set());
        } else {
            if (!selection.account.is_set()) break;
            claimed = claim(selection);
            if (claimed) break;
            ++lost; // somebody else took its last place or its probe
        }
        selection = select();
    }
    if (!claimed) selection.account = {};
    shared::leave_queue(worker_.segment, waiting_->ask);
    co_return selection;
}

bool Exchange::comes_back_within(
    std::chrono::milliseconds time, const shared::PinnedStanding& pinned, UnixMillis now) const
{
    switch (pinned.reason) {
    case PassedOver::busy:
    case PassedOver::probing:
        return true;
    case PassedOver::exhausted:
    case PassedOver::reserved:
        return pinned.until.is_set() && pinned.until.since(now) <= time;
    case PassedOver::cooling:
        // A back-off of our own says when to try again, not when it serves again.
        for (const Candidate& candidate : worker_.candidates) {
            if (candidate.slot == *waiting_->pinned)
                return candidate.routing.cooling_end_known && pinned.until.since(now) <= time;
        }
        return false;
    default:
        return false;
    }
}

std::optional<MonotonicMillis> Exchange::worth_waiting(const Selection& selection)
{
    Waiting& waiting = *waiting_;
    if (!waiting.route.generates || waiting.queue_full || worker_.waits.closed()) return {};
    const MonotonicMillis now = monotonic_now();
    const UnixMillis now_wall = shared::now_unix();
    if (waiting.queue_until.count() == 0)
        waiting.queue_until = now + std::chrono::seconds(worker_.config.queue_timeout_seconds);

    if (selection.account.is_set()) {
        // Another account would serve: is the conversation's own worth the wait?
        if (!selection.pin_moved || !waiting.pinned) return {};
        if (waiting.pinned_until.count() == 0)
            waiting.pinned_until =
                now + std::chrono::seconds(worker_.config.max_wait_for_pinned_seconds);
        if (now >= waiting.pinned_until) return {};
        const auto left = waiting.pinned_until - now;
        if (!comes_back_within(left, selection.pinned, now_wall)) return {};
        waiting.ask.wants = {};
        waiting.ask.wants.add(*waiting.pinned);
        return waiting.pinned_until;
    }
    if (now >= waiting.queue_until) return {};
    const bool soon = selection.next_try_at.is_set() &&
                      selection.next_try_at.since(now_wall) <= waiting.queue_until - now;
    if (!selection.busy && !soon) return {};
    if (head().upgrades_to_websocket && http_could_serve()) return {};
    want_whoever_comes_soon(now_wall.plus(waiting.queue_until - now));
    if (waiting.ask.wants.empty()) return {};
    return waiting.queue_until;
}

void Exchange::want_whoever_comes_soon(UnixMillis horizon)
{
    Waiting& waiting = *waiting_;
    const UnixMillis now = shared::now_unix();
    load_candidates();
    // What refused for a while may be asked again after it; what failed or does not take this request, not.
    std::erase_if(waiting.tried, [&](AccountSlot tried) {
        const bool refused = std::any_of(
            waiting.refusals.begin(), waiting.refusals.end(), [tried](const auto& refusal) {
                return refusal.first == tried;
            });
        const auto at = std::find_if(
            worker_.candidates.begin(), worker_.candidates.end(), [tried](const Candidate& each) {
                return each.slot == tried;
            });
        return !refused && at != worker_.candidates.end() &&
               shared::condition(at->routing, now) == shared::AccountCondition::cooling;
    });
    std::array<CandidateNote, shared::kMaxAccounts> notes{};
    const Selection selection = select_account(query(), worker_.candidates, notes);
    waiting.ask.wants = {};
    for (std::size_t i = 0; i < selection.notes; ++i) {
        const auto at = std::find_if(
            worker_.candidates.begin(), worker_.candidates.end(), [&](const Candidate& each) {
                return each.slot == notes[i].account;
            });
        bool wanted = false;
        switch (notes[i].reason) {
        case PassedOver::busy:
        case PassedOver::probing:
        // Came free since the choice that found nobody: to be waited for as well, or the request would be refused.
        case PassedOver::picked:
        case PassedOver::lower_score:
        case PassedOver::lower_priority:
            wanted = true;
            break;
        case PassedOver::cooling:
        case PassedOver::exhausted:
        case PassedOver::reserved:
        case PassedOver::failing: {
            const UnixMillis look = next_look(*at, now);
            wanted = look.is_set() && look <= horizon;
            break;
        }
        default:
            break;
        }
        if (wanted) waiting.ask.wants.add(notes[i].account);
    }
}

Task<> Exchange::wait_for_turn(MonotonicMillis until, bool for_pinned)
{
    Waiting& waiting = *waiting_;
    end_probe();
    running_->assign(AccountSlot{});
    account_ = {};
    if (!shared::join_queue(worker_.segment, waiting.ask, monotonic_now())) {
        waiting.queue_full = true;
        co_return;
    }
    shared::log::debug("request={} decision=wait ticket={}", view(id_), *waiting.ask.ticket);
    WaitFor what;
    what.ticket = waiting.ask.ticket;
    what.provider = provider_->id();
    what.until = until;
    const std::uint32_t ms = co_await wait_for(what);
    if (for_pinned)
        decision_.waited_for_pinned(ms);
    else
        decision_.waited_in_queue(ms);
}

Task<std::uint32_t> Exchange::wait_for(const WaitFor& what)
{
    const std::int64_t begun_at = shared::now_monotonic_us();
    Wait wait(worker_.waits, what, cancel_);
    static_cast<void>(co_await wait);
    const std::int64_t waited = shared::now_monotonic_us() - begun_at;
    timings_.queue += waited;
    timings_.waited += waited;
    // Attempts have their time for themselves.
    const std::chrono::milliseconds ms(waited / 1000);
    waiting_->retry.started_at = waiting_->retry.started_at.plus(ms);
    co_return static_cast<std::uint32_t>(ms.count());
}

bool Exchange::token_is_renewed() const noexcept
{
    const auto& until = worker_.segment.refreshing_until[account_.value];
    return until.load(std::memory_order_acquire) > shared::now_unix().value;
}

Task<> Exchange::wait_for_token()
{
    // The version first: a token that is stored from here on is noticed.
    const std::uint64_t version =
        worker_.segment.token_version[account_.value].load(std::memory_order_acquire);
    const UnixMillis renewed_by{
        worker_.segment.refreshing_until[account_.value].load(std::memory_order_acquire)};
    const UnixMillis now = shared::now_unix();
    UnixMillis expires_at;
    worker_.segment.accounts[account_.value].with_lock(
        [&](shared::AccountRecord& record) { expires_at = record.routing.expires_at; });
    const bool about_to_end = expires_at.is_set() && expires_at.since(now) < kTokenLeftMin;
    if (!about_to_end || renewed_by <= now) co_return;
    WaitFor what;
    what.token_of = account_;
    what.token_version = version;
    what.until = monotonic_now() + std::min(renewed_by.since(now), kTokenWaitMax);
    const std::uint32_t ms = co_await wait_for(what);
    decision_.waited_for_token(ms);
}

void Exchange::note_pin(AccountSlot account)
{
    const std::optional<AccountSlot> before = waiting_->pinned;
    if (before && *before == account) return; // looking it up has renewed it
    shared::set_pin(worker_.segment, pin_key_, account, shared::now_unix());
    if (!before) return;
    worker_.row().counters.pins_moved.fetch_add(1, std::memory_order_relaxed);
    worker_.segment.pin_moves.count(*before, account);
    shared::log::info(
        "request={} event=pin_moved from={} to={} reason={}",
        view(id_),
        worker_.accounts.get(*before).id,
        worker_.accounts.get(account).id,
        shared::to_string(waiting_->moved_because));
}

} // namespace worker
