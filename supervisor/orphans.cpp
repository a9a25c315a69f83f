#include "supervisor/orphans.hpp"

#include "shared/base/log.hpp"
#include "shared/segment/worker_slots.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>

#include <sys/syscall.h>
#include <unistd.h>

namespace supervisor {
namespace {

int open_process(pid_t pid) noexcept
{
    return static_cast<int>(
        syscall(SYS_pidfd_open, pid, 0)); // glibc 2.36 has it, its header not everywhere
}

/// Whether the living process of this number is the slot's worker. Its slot must not be given away then.
bool is_the_worker(
    const shared::WorkerSlot& row, pid_t pid, std::uint64_t ticks, std::int64_t now_us)
{
    const std::uint64_t seen = started_ticks(pid);
    if (seen != 0) return seen == ticks;
    // A sandbox may hide the processes of an earlier start from us. A worker's heart beats once a second.
    constexpr std::int64_t kBeatMaxUs = 10'000'000;
    return now_us - row.heartbeat_us.load(std::memory_order_relaxed) <= kBeatMaxUs;
}

} // namespace

std::uint64_t started_ticks(pid_t pid)
{
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    // The name in parentheses may contain anything; the 22nd field is the 20th after it.
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) return 0;
    std::istringstream fields(text.substr(name_end + 1));
    constexpr int kBefore = 19;
    std::string state;
    std::string skipped;
    fields >> state;
    if (state == "Z") return 0;
    for (int i = 1; i < kBefore; ++i)
        fields >> skipped;
    std::uint64_t ticks = 0;
    fields >> ticks;
    return ticks;
}

Orphans::Orphans(
    boost::asio::io_context& loop,
    shared::Segment& segment,
    UsageWriter& writer,
    std::function<void()> on_end)
    : loop_(loop), segment_(segment), writer_(writer), on_end_(std::move(on_end))
{}

bool Orphans::adopt(std::uint16_t slot, std::int64_t now_us)
{
    const shared::WorkerSlot& row = segment_.workers[slot];
    const pid_t pid = row.pid.load(std::memory_order_relaxed);
    const std::uint64_t ticks = row.started_ticks.load(std::memory_order_relaxed);
    // First the descriptor, then the question whose it is: the number cannot change hands in between.
    const int fd = pid > 0 ? open_process(pid) : -1;
    if (fd < 0 || ticks == 0 || !is_the_worker(row, pid, ticks, now_us)) {
        if (fd >= 0) ::close(fd);
        shared::clear_in_flight(segment_, slot);
        writer_.close(slot);
        return false;
    }
    writer_.watch(slot);
    orphans_.push_back({slot, pid, now_us, boost::asio::posix::stream_descriptor(loop_, fd)});
    shared::log::info("event=orphan_found pid={} slot={}: it finishes what it has", pid, slot);
    wait(std::prev(orphans_.end()));
    return true;
}

void Orphans::wait(std::list<Orphan>::iterator orphan)
{
    orphan->process.async_wait(
        boost::asio::posix::stream_descriptor::wait_read,
        [this, orphan](const boost::system::error_code& error) {
            if (error) return;
            shared::log::info("event=orphan_ended pid={} slot={}", orphan->pid, orphan->slot);
            shared::clear_in_flight(segment_, orphan->slot);
            writer_.close(orphan->slot);
            orphans_.erase(orphan);
            on_end_();
        });
}

void Orphans::check(std::int64_t now_us, std::int64_t drain_us, std::int64_t hang_us)
{
    for (Orphan& orphan : orphans_) {
        const std::int64_t heartbeat =
            segment_.workers[orphan.slot].heartbeat_us.load(std::memory_order_relaxed);
        if (now_us - orphan.since_us >= drain_us)
            kill_it(orphan, "drain_hours is over");
        else if (hang_us != 0 && now_us - std::max(heartbeat, orphan.since_us) > hang_us)
            kill_it(orphan, "it is silent");
    }
}

void Orphans::kill_all()
{
    for (Orphan& orphan : orphans_)
        kill_it(orphan, "the pool stops");
}

void Orphans::kill_it(Orphan& orphan, const char* why)
{
    shared::log::warn("event=killing_orphan pid={} why=\"{}\"", orphan.pid, why);
    // By the descriptor: never another process that has the number by now.
    (void)syscall(SYS_pidfd_send_signal, orphan.process.native_handle(), SIGKILL, nullptr, 0);
}

} // namespace supervisor
