#include "worker/wait_room.hpp"

#include "shared/base/clock.hpp"
#include "shared/segment/account_table.hpp"
#include "worker/worker_state.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>

namespace worker {

using shared::AccountCondition;
using shared::ProviderId;

WaitRoom::WaitRoom(WorkerState& worker) : worker_(worker), timer_(worker.loop.get_executor()) {}

void WaitRoom::enter(Wait& wait)
{
    waiting_.push_back(wait);
    schedule();
}

void WaitRoom::schedule()
{
    if (scheduled_ || closed_ || waiting_.empty()) return;
    scheduled_ = true;
    timer_.expires_after(kLookEvery);
    timer_.async_wait([this](boost::system::error_code error) {
        scheduled_ = false;
        if (!error) look();
    });
}

void WaitRoom::place_freed()
{
    // Not from inside the ending request: its coroutine is not done yet.
    if (waiting_.empty() || std::exchange(looking_soon_, true)) return;
    boost::asio::post(worker_.loop, [this] {
        looking_soon_ = false;
        look();
    });
}

void WaitRoom::close()
{
    closed_ = true;
    wake(waiting_);
}

void WaitRoom::look()
{
    call_turns();
    call_others();
    List woken;
    for (auto it = waiting_.begin(); it != waiting_.end();) {
        Wait& wait = *it++;
        if (!wait.called_) continue;
        waiting_.erase(waiting_.iterator_to(wait));
        woken.push_back(wait);
    }
    wake(woken);
    schedule();
}

void WaitRoom::call_turns()
{
    std::array<bool, 16> looked{};
    const shared::MonotonicMillis now(shared::now_monotonic_us() / 1000);
    for (const Wait& first : waiting_) {
        if (!first.what_.ticket) continue;
        const auto provider = static_cast<std::size_t>(first.what_.provider) % looked.size();
        if (std::exchange(looked[provider], true)) continue;
        const Asking asking{.provider = first.what_.provider, .model = {}, .user = {}};
        worker_.accounts.candidates(asking, worker_.candidates);
        places_of(worker_.candidates, shared::now_unix(), worker_.places);
        std::array<std::uint16_t, kWokenMax> due{};
        const std::size_t count =
            shared::due_tickets(worker_.segment, worker_.slot, worker_.places, now, due);
        const auto end = due.begin() + static_cast<std::ptrdiff_t>(count);
        for (Wait& wait : waiting_) {
            if (wait.what_.ticket && std::find(due.begin(), end, *wait.what_.ticket) != end)
                wait.called_ = true;
        }
    }
}

void WaitRoom::call_others()
{
    const shared::MonotonicMillis now(shared::now_monotonic_us() / 1000);
    for (Wait& wait : waiting_) {
        const WaitFor& what = wait.what_;
        if (wait.called_) continue;
        if (what.token_of.is_set()) {
            const auto& version = worker_.segment.token_version[what.token_of.value];
            wait.called_ = version.load(std::memory_order_acquire) != what.token_version;
        }
        if (wait.cancel_.cancelled()) wait.called_ = true;
        if (!wait.called_ && now >= what.until) {
            wait.called_ = true;
            wait.end_ = WaitEnd::timed_out;
        }
    }
}

/// One after the other; each runs up to its next wait, which may be one here again.
void WaitRoom::wake(List& woken)
{
    List now;
    now.splice(now.end(), woken);
    while (!now.empty()) {
        Wait& wait = now.front();
        now.pop_front();
        wait.waiter_.resume();
    }
}

void places_of(
    std::span<const shared::Candidate> candidates,
    shared::UnixMillis now,
    std::vector<shared::AccountPlace>& out)
{
    out.clear();
    for (const shared::Candidate& candidate : candidates) {
        const AccountCondition condition = shared::condition(candidate.routing, now);
        if (condition != AccountCondition::ready && condition != AccountCondition::busy) continue;
        std::uint32_t cap = candidate.routing.max_concurrency;
        // One request finds out whether it serves again; the others wait for what it finds.
        if (shared::half_open(candidate.routing, now) && (cap == 0 || cap > candidate.in_flight))
            cap = candidate.in_flight + 1;
        out.push_back({candidate.slot, cap, candidate.in_flight});
    }
}

} // namespace worker
