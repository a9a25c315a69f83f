/// A child's or the supervisor's end of a control socket (SOCK_SEQPACKET). EOF means: the peer died.
#pragma once

#include "shared/ipc/messages.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <functional>
#include <memory>

namespace shared {

class ControlChannel {
public:
    using OnMessage = std::function<void(const Message&)>;
    using OnClosed = std::function<void()>;

    /// Takes ownership of `fd`.
    ControlChannel(boost::asio::io_context& loop, int fd);

    /// Starts reading; the callbacks run on the loop. `on_closed` runs at most once.
    void start(OnMessage on_message, OnClosed on_closed);
    /// Never blocks; a message that finds the peer gone is dropped (its EOF is reported by on_closed).
    void send(const Message& message);
    void close();

    /// To hand it to the program that takes over; -1 = closed.
    [[nodiscard]] int fd();

private:
    void wait();

    boost::asio::posix::stream_descriptor descriptor_;
    OnMessage on_message_;
    OnClosed on_closed_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); ///< queued handlers check it
};

} // namespace shared
