#include "admin_ui/pool_view.hpp"

#include "shared/segment/pin_table.hpp"
#include "shared/segment/worker_slots.hpp"

#include <algorithm>

namespace admin_ui {
namespace {

using shared::AccountCondition;
using shared::UnixMillis;

TokenSums read_totals(const shared::AccountTotals& from)
{
    TokenSums sums;
    sums.requests = from.requests.load(std::memory_order_relaxed);
    sums.failed_requests = from.failed_requests.load(std::memory_order_relaxed);
    sums.input = from.input.load(std::memory_order_relaxed);
    sums.cached_input = from.cached_input.load(std::memory_order_relaxed);
    sums.cache_creation = from.cache_creation.load(std::memory_order_relaxed);
    sums.output = from.output.load(std::memory_order_relaxed);
    sums.reasoning = from.reasoning.load(std::memory_order_relaxed);
    sums.last_used = {from.last_used_ms.load(std::memory_order_relaxed)};
    return sums;
}

void add(HistogramView& sum, const shared::Histogram& from)
{
    for (std::size_t i = 0; i < sum.counts.size(); ++i)
        sum.counts[i] += from.counts[i].load(std::memory_order_relaxed);
    sum.sum_us += from.sum_us.load(std::memory_order_relaxed);
}

void add_counters(PoolView& pool, const shared::WorkerSlot::Counters& from)
{
    pool.requests += from.requests.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < pool.by_status_class.size(); ++i) {
        pool.by_status_class[i] += from.by_status_class[i].load(std::memory_order_relaxed);
    }
    pool.retries += from.retries.load(std::memory_order_relaxed);
    pool.websockets += from.websockets.load(std::memory_order_relaxed);
    pool.upstream_connects += from.upstream_connects.load(std::memory_order_relaxed);
    pool.upstream_reuses += from.upstream_reuses.load(std::memory_order_relaxed);
    pool.pins_moved += from.pins_moved.load(std::memory_order_relaxed);
    add(pool.first_byte, from.first_byte);
    add(pool.total, from.total);
    add(pool.own, from.own);
}

AccountView
view_of(const shared::AccountSnapshot& snapshot, shared::Segment& segment, UnixMillis now)
{
    AccountView view;
    view.identity = snapshot.identity;
    view.routing = snapshot.routing;
    view.in_flight = snapshot.in_flight;
    view.status = shared::account_status(snapshot.routing, snapshot.in_flight, now);
    segment.accounts[snapshot.slot.value].with_lock([&](const shared::AccountRecord& record) {
        view.short_forecast =
            shared::forecast(record.routing.short_window, record.short_learning, now);
        view.long_forecast =
            shared::forecast(record.routing.long_window, record.long_learning, now);
    });
    view.penalty = shared::penalty_now(snapshot.routing, now) / 1000.0;
    view.short_used = shared::used_now(snapshot.routing.short_window, now);
    view.long_used = shared::used_now(snapshot.routing.long_window, now);
    const UnixMillis expires = snapshot.identity.expires_at;
    view.token_expired = expires.is_set() && expires <= now;
    view.totals = read_totals(segment.totals[snapshot.slot.value]);
    const shared::PinMoves& moves = segment.pin_moves;
    view.moved_away = moves.away[snapshot.slot.value].load(std::memory_order_relaxed);
    view.moved_here = moves.here[snapshot.slot.value].load(std::memory_order_relaxed);
    return view;
}

std::string plural(std::size_t n, std::string_view one, std::string_view many)
{
    return std::to_string(n) + ' ' + std::string(n == 1 ? one : many);
}

/// "1 cooling, 2 failing, 1 needs login": what those do that cannot serve.
std::string others(const PoolView& pool)
{
    std::string text;
    for (const shared::StateInfo& state : shared::state_table()) {
        const bool shown = state.condition != AccountCondition::ready &&
                           state.condition != AccountCondition::removed;
        const std::size_t n = shown ? pool.count(state.condition) : 0;
        if (n == 0) continue;
        if (!text.empty()) text += ", ";
        text += std::to_string(n) + ' ' + state_words(state.name);
    }
    return text;
}

} // namespace

std::string state_words(std::string_view name)
{
    std::string words(name);
    std::replace(words.begin(), words.end(), '_', ' ');
    return words;
}

std::size_t PoolView::count(AccountCondition condition) const noexcept
{
    return static_cast<std::size_t>(
        std::count_if(accounts.begin(), accounts.end(), [condition](const AccountView& account) {
            return account.status.condition == condition;
        }));
}

std::uint32_t PoolView::in_flight() const noexcept
{
    std::uint32_t sum = 0;
    for (const AccountView& account : accounts)
        sum += account.in_flight;
    return sum;
}

PoolView observe(shared::Segment& segment, UnixMillis now, std::int64_t monotonic_us)
{
    PoolView pool;
    pool.now = now;
    pool.started_at = segment.header.created_at;
    pool.info = segment.info.with_lock([](shared::PoolInfo& info) { return info; });
    for (const shared::AccountSnapshot& snapshot : shared::snapshot_accounts(segment)) {
        pool.accounts.push_back(view_of(snapshot, segment, now));
    }
    std::sort(
        pool.accounts.begin(), pool.accounts.end(), [](const AccountView& a, const AccountView& b) {
            return a.identity.id.view() < b.identity.id.view();
        });
    add_counters(pool, segment.retired);
    pool.waiting = shared::waiting_requests(segment);
    const std::span<const shared::WorkerSlot> slots = shared::used_slots(segment);
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const shared::WorkerSlot& slot = slots[i];
        const shared::SlotState state = slot.state.load(std::memory_order_relaxed);
        if (state == shared::SlotState::free) continue;
        WorkerView worker;
        worker.slot = static_cast<std::uint16_t>(i);
        worker.pid = slot.pid.load(std::memory_order_relaxed);
        worker.listener = slot.listener.load(std::memory_order_relaxed);
        worker.generation = slot.generation.load(std::memory_order_relaxed);
        worker.state = state;
        worker.open_connections = slot.open_connections.load(std::memory_order_relaxed);
        worker.running_requests = slot.running_requests.load(std::memory_order_relaxed);
        const std::int64_t heartbeat = slot.heartbeat_us.load(std::memory_order_relaxed);
        if (heartbeat != 0) {
            worker.silent_ms = std::max<std::int64_t>(0, (monotonic_us - heartbeat) / 1000);
        }
        pool.workers.push_back(worker);
        add_counters(pool, slot.counters);
    }
    pool.worker_restarts = segment.worker_restarts.load(std::memory_order_relaxed);
    pool.rows_waiting = segment.usage_rows_waiting.load(std::memory_order_relaxed);
    pool.rows_folded = segment.usage_rows_folded.load(std::memory_order_relaxed);
    pool.pins = shared::count_pins(segment);
    return pool;
}

void add_models(PoolView& pool, const std::vector<ModelSums>& sums)
{
    for (AccountView& account : pool.accounts) {
        for (const ModelSums& model : sums) {
            if (account.identity.id == model.account) account.models.push_back(model);
        }
        std::sort(
            account.models.begin(),
            account.models.end(),
            [](const ModelSums& a, const ModelSums& b) {
                const std::int64_t left = a.sums.input + a.sums.output;
                const std::int64_t right = b.sums.input + b.sums.output;
                return left != right ? left > right : a.model < b.model;
            });
    }
}

std::string_view to_string(shared::SlotState state) noexcept
{
    switch (state) {
    case shared::SlotState::free:
        return "free";
    case shared::SlotState::starting:
        return "starting";
    case shared::SlotState::serving:
        return "serving";
    case shared::SlotState::draining:
        return "draining";
    }
    return "unknown";
}

Verdict verdict(const PoolView& pool)
{
    const std::size_t gone = pool.count(AccountCondition::removed);
    const std::size_t all = pool.accounts.size() - gone;
    if (all == 0) {
        return {
            "empty", "There is no account. Put credential files into the pool folder and reload."};
    }
    const std::size_t ready = pool.count(AccountCondition::ready);
    if (ready == all) {
        const std::string which =
            all == 1 ? "The only account" : "All " + std::to_string(all) + " accounts";
        return {"ok", which + " can serve."};
    }
    if (ready > 0) {
        return {
            "degraded",
            plural(ready, "account", "accounts") + " of " + std::to_string(all) + " can serve (" +
                others(pool) + ")."};
    }
    UnixMillis earliest;
    for (const AccountView& account : pool.accounts) {
        const UnixMillis until = account.status.until;
        if (!until.is_set()) continue;
        if (!earliest.is_set() || until < earliest) earliest = until;
    }
    std::string sentence = "No account can serve (" + others(pool) + ").";
    if (earliest.is_set())
        sentence += " The first is back " + relative_time(earliest, pool.now) + '.';
    return {"exhausted", sentence};
}

} // namespace admin_ui
