#include "shared/net/stream.hpp"

#include "shared/boost/readiness.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>

#include <cerrno>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

namespace shared::net {

namespace {

bool is_tcp(int fd) noexcept
{
    int protocol = 0;
    socklen_t size = sizeof protocol;
    return ::getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
           protocol == IPPROTO_TCP;
}

/// As the descriptor is about to be added to the loop.
int followed(int fd) noexcept
{
    if (is_tcp(fd)) follow_readiness(fd);
    return fd;
}

} // namespace

Stream::Stream(Loop& loop, int fd) : descriptor_(loop.get_executor(), followed(fd)) {}

IoResult Stream::read_some(char* into, std::size_t size) noexcept
{
    if (tls_) {
        const IoResult got = tls_->read_some(into, size);
        dry_ = !got.ok();
        return got;
    }
    while (true) {
        const ssize_t got = ::recv(fd(), into, size, MSG_DONTWAIT);
        if (got > 0) {
            const auto bytes = static_cast<std::size_t>(got);
            if (bytes < size) ran_dry(fd());
            return {IoStatus::ok, bytes};
        }
        if (got == 0) return {IoStatus::end, 0};
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            ran_dry(fd());
            return {IoStatus::wait_read, 0};
        }
        return {IoStatus::failed, 0};
    }
}

IoResult Stream::write_some(std::span<const iovec> pieces) noexcept
{
    if (tls_) return tls_->write_some(pieces);
    while (true) {
        ssize_t sent = 0;
        if (pieces.size() == 1) {
            sent = ::send(fd(), pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else {
            msghdr message{};
            message.msg_iov = const_cast<iovec*>(pieces.data()); // NOLINT: not written through
            message.msg_iovlen = pieces.size();
            sent = ::sendmsg(fd(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        if (sent >= 0) return {IoStatus::ok, static_cast<std::size_t>(sent)};
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoStatus::wait_write, 0};
        return {IoStatus::failed, 0};
    }
}

void Stream::abort() noexcept
{
    boost::system::error_code ignored;
    descriptor_.cancel(ignored);
}

void Stream::reset() noexcept
{
    const linger hard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    boost::system::error_code ignored;
    descriptor_.close(ignored);
}

bool Stream::is_quiet() noexcept
{
    char byte = 0;
    const ssize_t got = ::recv(fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    if (got == 0 || !tls_) return false;
    // Session tickets come unasked; anything else, the peer's goodbye included, ends the quiet.
    return tls_->read_some(&byte, 1).status == IoStatus::wait_read;
}

void Stream::WaitFor::await_suspend(std::coroutine_handle<> caller)
{
    struct Handler {
        WaitFor* wait;
        std::coroutine_handle<> caller;

        void operator()(boost::system::error_code error) const
        {
            wait->aborted = static_cast<bool>(error);
            caller.resume();
        }
    };

    const BeginsToRead reads(what == Wait::wait_read ? stream.fd() : -1);
    stream.descriptor_.async_wait(what, Handler{this, caller});
}

void WaitAny::add(Stream& stream, Stream::Wait what) noexcept
{
    if (count_ == kConditionsMax) return;
    entries_[count_].stream = &stream;
    entries_[count_].what = what;
    ++count_;
}

void WaitAny::await_suspend(std::coroutine_handle<> caller)
{
    caller_ = caller;
    open_ = count_;
    for (std::size_t i = 0; i < count_; ++i) {
        Entry& entry = entries_[i];
        const BeginsToRead reads(entry.what == Stream::Wait::wait_read ? entry.stream->fd() : -1);
        entry.stream->descriptor().async_wait(
            entry.what,
            boost::asio::bind_cancellation_slot(
                entry.cancel.slot(),
                [this, i](boost::system::error_code error) { completed(i, !error); }));
    }
}

void WaitAny::completed(std::size_t index, bool ok)
{
    entries_[index].holds = ok;
    any_ = any_ || ok;
    const bool first = open_-- == count_;
    if (first) {
        for (std::size_t i = 0; i < count_; ++i) {
            if (i != index) entries_[i].cancel.emit(boost::asio::cancellation_type::terminal);
        }
    }
    if (open_ == 0) caller_.resume();
}

} // namespace shared::net
