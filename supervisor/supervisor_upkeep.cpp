// The second half of SupervisorLoop: what happens with time, and the end.
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "supervisor/process_memory.hpp"
#include "supervisor/supervisor_loop.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <utility>

namespace supervisor {
namespace {

using namespace std::chrono_literals;
using shared::MessageType;

constexpr auto kTick = 1s;
constexpr std::int64_t kHourUs = 3'600'000'000;
constexpr std::uint64_t kMemoryEveryTicks = 5;
constexpr std::uint64_t kPinsEveryTicks = 10;
/// A worker that grows again at once is not replaced more often than this.
constexpr std::int64_t kReplaceEveryUs = 60'000'000;
/// A starting worker may take longer than a serving one may be silent.
constexpr std::int64_t kStartFactor = 3;
constexpr auto kStopWait =
    5s; // the refresher waits 4 s for an answer that holds an account's only token
constexpr auto kHurryWait = 500ms;
/// A worker that was told to stop has so long to do it.
constexpr std::int64_t kStopWaitUs = 5'000'000;

} // namespace

// ---- time -------------------------------------------------------------------------------------------------

void SupervisorLoop::wait_for_tick()
{
    tick_timer_.expires_after(kTick);
    tick_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        on_tick();
        wait_for_tick();
    });
}

void SupervisorLoop::on_tick()
{
    const std::int64_t now_us = shared::now_monotonic_us();
    // If this process itself did not run for a while (stopped, machine overloaded), the workers probably did
    // not either: they get time to tick before anybody is called hung.
    if (now_us - last_tick_us_ > 3'000'000) check_hangs_from_us_ = now_us + 5'000'000;
    last_tick_us_ = now_us;
    ++ticks_;
    drainers_.restart_dead();
    if (now_us >= check_hangs_from_us_) kill_hung_workers(now_us);
    if (phase_ != Phase::running) return;
    notifier_.alive();
    if (admin_to_be_replaced_) {
        // A tick after the reload: by then it has answered.
        Child* admin = tree_.table().current(Role::admin);
        const bool answered = asked_.empty() && !is_upgrading();
        if (admin != nullptr && admin->state == ChildState::ready && answered) {
            admin_to_be_replaced_ = false;
            replace(*admin);
        }
    }
    if (wanted_) try_upgrade();
    end_long_drains(now_us);
    orphans_.check(
        now_us,
        std::int64_t{config_.drain_hours} * kHourUs,
        std::int64_t{config_.worker_hang_seconds} * 1'000'000);
    if (ticks_ % kMemoryEveryTicks == 0 && !is_upgrading()) replace_large_workers(now_us);
    if (ticks_ % kPinsEveryTicks == 0) save_state();
}

void SupervisorLoop::kill_hung_workers(std::int64_t now_us)
{
    const std::int64_t limit_us = std::int64_t{config_.worker_hang_seconds} * 1'000'000;
    if (limit_us == 0) return;
    for (Child& child : tree_.table().children()) {
        if (tree_.table().place_of(child).role != Role::worker || child.killed_for_hanging)
            continue;
        if (child.foreign) continue; // its drainer looks after it
        const std::int64_t heartbeat =
            parts_.segment.workers[child.slot].heartbeat_us.load(std::memory_order_relaxed);
        const std::int64_t silent_us = now_us - std::max(heartbeat, child.started_us);
        if (silent_us <= (child.was_ready ? limit_us : limit_us * kStartFactor)) continue;
        shared::log::error(
            "event=worker_hangs name=\"{}\" pid={} silent_seconds={}: killing it",
            tree_.table().name(child),
            child.pid,
            silent_us / 1'000'000);
        child.killed_for_hanging = true;
        kill(child.pid, SIGKILL);
    }
}

void SupervisorLoop::replace_large_workers(std::int64_t now_us)
{
    const std::uint64_t limit = std::uint64_t{config_.worker_memory_mb} << 20U;
    if (limit == 0) return;
    for (std::size_t i = 0; i < tree_.table().places().size(); ++i) {
        Place& place = tree_.table().places()[i];
        const Child* child = tree_.table().current(i);
        if (place.role != Role::worker || child == nullptr || child->state != ChildState::ready)
            continue;
        if (place.replaced_at_us != 0 && now_us - place.replaced_at_us < kReplaceEveryUs) continue;
        const auto bytes = private_bytes(child->pid);
        if (!bytes || *bytes <= limit) continue;
        place.replaced_at_us = now_us;
        shared::log::warn(
            "event=worker_too_large name=\"{}\" pid={} mb={}: starting its replacement, then it "
            "drains",
            tree_.table().name(*child),
            child->pid,
            *bytes >> 20U);
        (void)tree_.start(i, now_us);
    }
}

void SupervisorLoop::drain(Child& child)
{
    child.state = ChildState::draining;
    child.draining_since_us = shared::now_monotonic_us();
    tree_.send(child, MessageType::drain, 1);
}

void SupervisorLoop::end_long_drains(std::int64_t now_us)
{
    const std::int64_t limit_us = std::int64_t{config_.drain_hours} * kHourUs;
    for (Child& child : tree_.table().children()) {
        if (tree_.table().place_of(child).role != Role::worker || child.draining_since_us == 0)
            continue;
        const std::int64_t drained_us = now_us - child.draining_since_us;
        if (child.state == ChildState::draining && drained_us >= limit_us) {
            shared::log::warn(
                "event=drain_hours_over name=\"{}\" pid={}: what still runs there is cut",
                tree_.table().name(child),
                child.pid);
            child.state = ChildState::stopping;
            tree_.send(child, MessageType::stop);
        } else if (child.state == ChildState::stopping && drained_us >= limit_us + kStopWaitUs) {
            kill(child.pid, SIGKILL);
        }
    }
}

void SupervisorLoop::save_state()
{
    parts_.writer.post([this] { saved_.save(shared::now_unix()); });
}

// ---- the end ----------------------------------------------------------------------------------------------

void SupervisorLoop::after(std::chrono::milliseconds delay, void (SupervisorLoop::*what)())
{
    end_timer_.expires_after(delay);
    end_timer_.async_wait([this, what](const boost::system::error_code& error) {
        if (!error) (this->*what)();
    });
}

void SupervisorLoop::begin_shutdown(std::string_view why, int exit_code)
{
    if (phase_ == Phase::draining || phase_ == Phase::stopping) return;
    if (std::exchange(taking_over_after_, std::nullopt)) {
        if (auto begun = upgrade_.begin_usage(); !begun)
            shared::log::error("{}", begun.error().text());
    }
    drainers_.release();
    phase_ = Phase::draining;
    exit_code_ = exit_code;
    constexpr unsigned kAfterGraceSeconds = 30; // the last usage on a slow disk
    notifier_.stopping(config_.shutdown_grace_seconds + kAfterGraceSeconds);
    shared::log::info(
        "event=stopping why=\"{}\" grace_seconds={}", why, config_.shutdown_grace_seconds);
    start_timer_.cancel();
    // Ours too: as long as anybody has them open the kernel goes on queueing connections.
    parts_.listeners.close_all();
    for (Child& child : tree_.table().children()) {
        if (tree_.table().place_of(child).role != Role::worker) continue;
        child.state = ChildState::draining;
        tree_.send(child, MessageType::drain);
    }
    after(std::chrono::seconds(config_.shutdown_grace_seconds), &SupervisorLoop::grace_over);
    advance_shutdown();
}

void SupervisorLoop::grace_over()
{
    hurry("shutdown_grace_seconds is over");
}

void SupervisorLoop::hurry(std::string_view why)
{
    if (std::exchange(hurried_, true)) return kill_all();
    orphans_.kill_all();
    drainers_.hurry();
    shared::log::warn(
        "event=stopping_now why=\"{}\" workers={}", why, tree_.table().count(Role::worker));
    for (Child& child : tree_.table().children()) {
        child.state = ChildState::stopping;
        tree_.send(child, MessageType::stop);
    }
    after(kHurryWait, &SupervisorLoop::kill_all);
}

void SupervisorLoop::stop_others()
{
    phase_ = Phase::stopping;
    for (Child& child : tree_.table().children()) {
        child.state = ChildState::stopping;
        tree_.send(child, MessageType::stop);
    }
    after(kStopWait, &SupervisorLoop::kill_all);
}

void SupervisorLoop::advance_shutdown()
{
    const bool workers_gone = tree_.table().count(Role::worker) == 0 && !any_left_behind();
    if (phase_ == Phase::draining && workers_gone) stop_others();
    // Not before the kernel has told of every worker left behind: its last usage is taken then.
    if (tree_.table().children().empty() && !any_left_behind()) loop_.stop();
}

bool SupervisorLoop::any_left_behind() const
{
    return orphans_.count() > 0 || drainers_.count() > 0;
}

void SupervisorLoop::kill_all()
{
    // Drainers end by themselves, with the last worker.
    if (tree_.table().children().empty() && orphans_.count() == 0) return drainers_.kill_all();
    after(kStopWait, &SupervisorLoop::kill_all);
    for (Child& child : tree_.table().children()) {
        shared::log::warn(
            "event=killing name=\"{}\" pid={}: it did not stop",
            tree_.table().name(child),
            child.pid);
        child.state = ChildState::stopping;
        kill(child.pid, SIGKILL);
    }
}

} // namespace supervisor
