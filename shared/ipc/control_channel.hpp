/// A child's or the supervisor's end of a control socket (SOCK_SEQPACKET). EOF means: the peer died.
#pragma once

#include "shared/base/owned_fd.hpp"
#include "shared/ipc/messages.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <functional>
#include <memory>
#include <span>
#include <utility>

namespace shared {

class ControlChannel {
public:
    using OnMessage = std::function<void(const Message&)>;
    using OnClosed = std::function<void()>;

    /// Takes ownership of `fd`.
    ControlChannel(boost::asio::io_context& loop, int fd);

    /// Starts reading; the callbacks run on the loop. `on_closed` runs at most once.
    void start(OnMessage on_message, OnClosed on_closed);
    /// Never blocks; a message that finds the peer gone is dropped (its EOF is reported by on_closed). The peer gets a
    /// descriptor of its own for `attached`, which stays the caller's; -1 = none.
    void send(const Message& message, int attached = -1);

    /// The descriptor that came with the message that is being delivered; empty if none did. One that nobody takes is
    /// closed after the delivery.
    [[nodiscard]] OwnedFd take_attached() { return std::move(attached_); }

    void close();

    /// To hand it to the program that takes over; -1 = closed.
    [[nodiscard]] int fd();

private:
    void wait();
    /// Bytes of one message as recv() says them; what came along goes to `attached_`.
    [[nodiscard]] long receive(std::span<std::byte> into);

    boost::asio::posix::stream_descriptor descriptor_;
    OnMessage on_message_;
    OnClosed on_closed_;
    OwnedFd attached_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); ///< queued handlers check it
};

} // namespace shared
