#include "shared/base/journal_socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace shared::log {
namespace {

constexpr std::size_t kAtOnce = 64;
/// As systemd's own clients ask for; the kernel gives what it may.
constexpr int kSendBuffer = 8 * 1024 * 1024;

} // namespace

JournalSocket::~JournalSocket()
{
    close();
}

bool JournalSocket::open(const std::string& path)
{
    close();
    path_ = path;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return false;
    std::copy(path.begin(), path.end(), address.sun_path);
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0) return false;
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        close();
        return false;
    }
    (void)::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
    return true;
}

void JournalSocket::close() noexcept
{
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

void JournalSocket::end_record()
{
    ends_.push_back(records_.size());
    if (waiting_bytes() > kWaitingMax) drop_oldest();
}

void JournalSocket::drop_oldest()
{
    while (waiting_bytes() > kWaitingMax / 2 && first_ < ends_.size()) {
        sent_ = ends_[first_++];
        ++dropped_;
    }
    forget_sent();
}

void JournalSocket::forget_sent()
{
    if (first_ == ends_.size()) {
        records_.clear();
        ends_.clear();
        first_ = 0;
        sent_ = 0;
        return;
    }
    if (sent_ < kWaitingMax / 4) return;
    records_.erase(0, sent_);
    ends_.erase(ends_.begin(), ends_.begin() + static_cast<std::ptrdiff_t>(first_));
    for (std::size_t& end : ends_)
        end -= sent_;
    first_ = 0;
    sent_ = 0;
}

void JournalSocket::send()
{
    if (fd_ < 0 && (path_.empty() || !open(path_))) return;
    while (first_ < ends_.size()) {
        std::array<iovec, kAtOnce> pieces{};
        std::array<mmsghdr, kAtOnce> messages{};
        const std::size_t count = std::min(kAtOnce, ends_.size() - first_);
        std::size_t begin = sent_;
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t end = ends_[first_ + i];
            pieces[i] = {records_.data() + begin, end - begin};
            messages[i].msg_hdr.msg_iov = &pieces[i];
            messages[i].msg_hdr.msg_iovlen = 1;
            begin = end;
        }
        const int sent = ::sendmmsg(
            fd_, messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS)) break; // later
        if (sent < 0 && (errno == ECONNREFUSED || errno == ENOTCONN || errno == ECONNRESET)) {
            close(); // journald was started anew without its old socket: the next time finds the new one
            break;
        }
        // One that cannot be sent at all (it is too large) must not hold up the others.
        const std::size_t done = sent > 0 ? static_cast<std::size_t>(sent) : 1;
        if (sent <= 0) ++dropped_;
        first_ += done;
        sent_ = ends_[first_ - 1];
    }
    forget_sent();
}

void JournalSocket::send_all(int patience_ms)
{
    send();
    pollfd ready{fd_, POLLOUT, 0};
    while (first_ < ends_.size() && ::poll(&ready, 1, patience_ms) > 0) {
        const std::size_t before = waiting_bytes();
        send();
        if (waiting_bytes() == before) break;
    }
}

std::uint64_t JournalSocket::take_dropped() noexcept
{
    return std::exchange(dropped_, 0);
}

} // namespace shared::log
