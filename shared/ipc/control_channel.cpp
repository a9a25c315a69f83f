#include "shared/ipc/control_channel.hpp"

#include "shared/base/log.hpp"

#include <cerrno>
#include <utility>

#include <sys/socket.h>

namespace shared {

ControlChannel::ControlChannel(boost::asio::io_context& loop, int fd) : descriptor_(loop, fd)
{
    descriptor_.non_blocking(true);
}

void ControlChannel::start(OnMessage on_message, OnClosed on_closed)
{
    on_message_ = std::move(on_message);
    on_closed_ = std::move(on_closed);
    wait();
}

void ControlChannel::send(const Message& message)
{
    if (!descriptor_.is_open()) return;
    const auto bytes = encode(message);
    const ssize_t sent = ::send(
        descriptor_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    // EPIPE is reported by on_closed. A full socket means that the peer has not read for hundreds of
    // messages; the supervisor's heartbeat check deals with it.
    if (sent < 0 && errno != EPIPE && errno != ECONNRESET) {
        log::warn(
            "event=control_message_lost type={} errno={}", static_cast<int>(message.type), errno);
    }
}

int ControlChannel::fd()
{
    return descriptor_.is_open() ? descriptor_.native_handle() : -1;
}

void ControlChannel::close()
{
    boost::system::error_code ignored;
    descriptor_.close(ignored); // NOLINT(bugprone-unused-return-value): closing cannot be retried
    on_message_ = nullptr;
    on_closed_ = nullptr;
}

void ControlChannel::wait()
{
    descriptor_.async_wait(
        boost::asio::posix::stream_descriptor::wait_read,
        [this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
            if (error || alive.expired() || !descriptor_.is_open()) return; // closed by us
            std::array<std::byte, 2 * sizeof(Message)> buffer;
            const ssize_t got =
                ::recv(descriptor_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (got < 0 && (errno == EAGAIN || errno == EINTR)) return wait();
            if (got <= 0) {
                const OnClosed closed = on_closed_;
                close();
                if (closed) closed();
                return;
            }
            const auto message = decode(std::span(buffer).first(static_cast<std::size_t>(got)));
            if (!message) {
                log::warn("event=bad_control_message bytes={}", got);
            } else if (const OnMessage deliver = on_message_; deliver) {
                deliver(*message); // may destroy this channel
            }
            if (!alive.expired() && descriptor_.is_open()) wait();
        });
}

} // namespace shared
