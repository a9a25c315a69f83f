/// The children as processes: starts them with their descriptors and slots, talks to them, reaps them. What to do about
/// it all is decided in supervisor.cpp. All on the supervisor's loop.
#pragma once

#include "shared/ipc/control_channel.hpp"
#include "shared/segment/layout.hpp"
#include "supervisor/child_table.hpp"
#include "supervisor/listeners.hpp"
#include "supervisor/usage_writer.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace supervisor {

/// What children are given; all of it outlives the tree.
struct TreeParts {
    shared::Segment& segment;
    int segment_fd;
    int config_fd; ///< the effective configuration, sealed
    Listeners& listeners;
    int admin_fd;   ///< the admin child's listening socket
    int control_fd; ///< control.sock, which it listens on too; -1 = there is none
    UsageWriter& writer;
    std::string program; ///< what to exec
};

/// A child that ended; `status` as waitpid() gives it.
struct EndedChild {
    Child child;
    int status = 0;
};

class ProcessTree {
public:
    using OnMessage = std::function<void(Child&, const shared::Message&)>;

    ProcessTree(
        boost::asio::io_context& loop, TreeParts parts, std::size_t workers, OnMessage on_message);

    [[nodiscard]] ChildTable& table() noexcept { return table_; }

    /// What children are given from now on; a descriptor as TreeParts::config_fd.
    void use_config(int config_fd) noexcept { parts_.config_fd = config_fd; }

    /// Starts a child in this place. False if there is no slot or no process to be had; said in the log.
    /// A worker with `hold` accepts nothing until it is told to serve.
    [[nodiscard]] bool start(std::size_t place, std::int64_t now_us, bool hold = false);

    /// Takes over a living child of this process; `control_fd` is our end of its control socket.
    void adopt(const Child& child, int control_fd);
    /// Our end of a child's control socket; -1 = it is closed.
    [[nodiscard]] int control_fd(const Child& child);

    [[nodiscard]] std::uint32_t last_generation() const noexcept { return last_generation_; }

    /// Children to come have higher ones.
    void raise_generation(std::uint32_t generation) noexcept
    {
        last_generation_ = std::max(last_generation_, generation);
    }

    /// Kills a child that has served nobody yet, and frees its slot.
    void discard(const Child& child);
    /// Tells a child to stop and waits for its end, which is not reported by reap(); kills it if it takes long.
    void end(const Child& child);

    void send(const Child& child, shared::MessageType type, std::uint64_t value = 0);
    /// The same with everything else in it; `generation` is set here. `attached`: a descriptor that goes along.
    void send(const Child& child, shared::Message message, int attached = -1);
    /// The descriptor that came with the message of this child that is being delivered; empty if none did.
    [[nodiscard]] shared::OwnedFd take_attached(const Child& child);

    /// Takes out every child that has ended. A worker's in-flight counts are zero then, and its slot is on its way to
    /// be closed.
    [[nodiscard]] std::vector<EndedChild> reap();

private:
    [[nodiscard]] shared::Result<Child> launch(std::size_t place, std::uint16_t slot, bool hold);
    void connect(const Child& child, int control_fd);
    void forget(const Child& child);

    boost::asio::io_context& loop_;
    TreeParts parts_;
    OnMessage on_message_;
    ChildTable table_;
    std::map<std::uint32_t, std::unique_ptr<shared::ControlChannel>> channels_; ///< by generation
    std::uint32_t last_generation_ = 0;
};

} // namespace supervisor
