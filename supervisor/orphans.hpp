/// Workers of a supervisor that is gone: they finish their streams, we empty their rings, and when they end their slots
/// are closed. They are no children of ours, so the kernel tells us of their end through a descriptor (pidfd).
#pragma once

#include "shared/segment/layout.hpp"
#include "supervisor/usage_writer.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>

#include <sys/types.h>

namespace supervisor {

/// When a process started, as the kernel counts it; 0 = there is no such process. With its number it names a process
/// for ever.
[[nodiscard]] std::uint64_t started_ticks(pid_t pid);

class Orphans {
public:
    /// All references outlive it; `on_end` runs when one has ended.
    Orphans(
        boost::asio::io_context& loop,
        shared::Segment& segment,
        UsageWriter& writer,
        std::function<void()> on_end);

    /// Takes the slot's process in if it is alive, else closes the slot. Returns whether it is alive.
    bool adopt(std::uint16_t slot, std::int64_t now_us);

    [[nodiscard]] std::size_t count() const noexcept { return orphans_.size(); }

    /// Kills those that drain for longer than `drain_us`, or that are silent for longer than `hang_us` (0 = never).
    void check(std::int64_t now_us, std::int64_t drain_us, std::int64_t hang_us);

    void kill_all();

private:
    struct Orphan {
        std::uint16_t slot;
        pid_t pid;
        std::int64_t since_us;
        boost::asio::posix::stream_descriptor process;
    };

    void wait(std::list<Orphan>::iterator orphan);
    static void kill_it(Orphan& orphan, const char* why);

    boost::asio::io_context& loop_;
    shared::Segment& segment_;
    UsageWriter& writer_;
    std::function<void()> on_end_;
    std::list<Orphan> orphans_;
};

} // namespace supervisor
