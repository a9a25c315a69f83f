#include "shared/ipc/control_channel.hpp"

#include "shared/base/log.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/socket.h>

namespace shared {
namespace {

/// Room for the one descriptor that may come with a message.
struct alignas(cmsghdr) Ancillary {
    std::array<char, CMSG_SPACE(sizeof(int))> bytes{};
};

} // namespace

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

void ControlChannel::send(const Message& message, int attached)
{
    if (!descriptor_.is_open()) return;
    auto bytes = encode(message);
    iovec part{bytes.data(), bytes.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    Ancillary ancillary;
    if (attached >= 0) {
        header.msg_control = ancillary.bytes.data();
        header.msg_controllen = ancillary.bytes.size();
        cmsghdr* const rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(rights), &attached, sizeof(int));
    }
    const ssize_t sent =
        ::sendmsg(descriptor_.native_handle(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
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
            const ssize_t got = receive(buffer);
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
            if (alive.expired()) return;
            attached_.reset();
            if (descriptor_.is_open()) wait();
        });
}

long ControlChannel::receive(std::span<std::byte> into)
{
    iovec part{into.data(), into.size()};
    Ancillary ancillary;
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = ancillary.bytes.data();
    header.msg_controllen = ancillary.bytes.size();
    const ssize_t got =
        ::recvmsg(descriptor_.native_handle(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    attached_.reset();
    if (got <= 0) return got;
    const cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    const bool came = rights != nullptr && rights->cmsg_level == SOL_SOCKET &&
                      rights->cmsg_type == SCM_RIGHTS && rights->cmsg_len == CMSG_LEN(sizeof(int));
    if (came) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(rights), sizeof(int));
        attached_ = OwnedFd(fd);
    }
    return got;
}

} // namespace shared
