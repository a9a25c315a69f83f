/// The supervisor's side of drainers: processes of an earlier program that go on with that program's segment, whose
/// layout this one does not know. One that dies is started again: what it had not written is still in its segment.
#pragma once

#include "shared/ipc/control_channel.hpp"
#include "supervisor/handover.hpp"
#include "supervisor/notify.hpp"
#include "supervisor/owned_fd.hpp"

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include <sys/types.h>

namespace supervisor {

class Drainers {
public:
    /// Pins and evidence of the segment of one that was released: a SavedState's copy, in this descriptor.
    using OnState = std::function<void(int state_fd)>;

    /// All references outlive it; `on_end` runs when one has ended.
    Drainers(
        boost::asio::io_context& loop,
        const Notifier& notifier,
        std::function<void()> on_end,
        OnState on_state);

    /// Starts this program's own drainer, held: the workers are ours until release(). The descriptors stay the
    /// caller's.
    [[nodiscard]] shared::Result<bool> start(int program_fd, int segment_fd, int config_fd);
    /// One that another program handed over.
    void adopt(const Handover::Drainer& drainer);
    /// One of a supervisor that is lost: all that is left of it is its control socket.
    void adopt(OwnedFd control);
    [[nodiscard]] std::vector<Handover::Drainer> describe();

    /// The workers of those that are held are theirs from now on: they end with the last one. Each says first what its
    /// segment knows now.
    void release();
    /// Ends those that are held, and waits for it: this program goes on with its segment itself.
    void take_back();

    /// After SIGCHLD.
    void reap();
    /// Those that died; every second.
    void restart_dead();

    /// A stop has waited long enough: those whose workers are no children of ours end them.
    void hurry();
    void kill_all();

    [[nodiscard]] std::size_t count() const noexcept { return drainers_.size(); }

private:
    struct Drainer {
        pid_t pid = 0; ///< 0 = no child of ours; -1 = it died and is to be started again
        bool held = false;
        OwnedFd program;
        OwnedFd segment;
        OwnedFd config;
        OwnedFd state;
        std::unique_ptr<shared::ControlChannel> channel;
    };

    [[nodiscard]] shared::Result<bool> launch(Drainer& drainer);
    void connect(Drainer& drainer, int control_fd);
    void forget(std::list<Drainer>::iterator drainer);
    static void tell(const Drainer& drainer, shared::MessageType type, std::uint64_t value = 0);

    boost::asio::io_context& loop_;
    const Notifier& notifier_;
    std::function<void()> on_end_;
    OnState on_state_;
    std::list<Drainer> drainers_;
};

} // namespace supervisor
