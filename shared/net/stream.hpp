/// A connection: a non-blocking socket (TCP or Unix), with or without TLS on top.
///
/// Reading and writing are plain calls that never wait; waiting is done apart, for readiness, so that no
/// waiting connection holds a buffer. Whoever waits must be prepared to be told `false`: somebody called
/// abort().
#pragma once

#include "shared/net/loop.hpp"
#include "shared/net/tls.hpp"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <array>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include <sys/uio.h>

namespace shared::net {

class Stream {
public:
    using Descriptor = boost::asio::posix::basic_stream_descriptor<Executor>;
    using Wait = Descriptor::wait_type;

    /// Takes ownership of `fd`, which must be a non-blocking stream socket.
    Stream(Loop& loop, int fd);
    Stream(const Stream&) = delete;
    Stream(Stream&&) = delete;
    Stream& operator=(const Stream&) = delete;
    Stream& operator=(Stream&&) = delete;
    ~Stream() = default;

    [[nodiscard]] int fd() { return descriptor_.native_handle(); }

    /// Reads what is there, up to `size`; with TLS as many records as fit, so that a burst becomes one write
    /// further on.
    [[nodiscard]] IoResult read_some(char* into, std::size_t size) noexcept;
    /// Writes from `pieces` in order and as much as the socket takes; `bytes` may be less than their sum with
    /// status ok. With TLS a later call must go on at the byte where this one stopped.
    [[nodiscard]] IoResult write_some(std::span<const iovec> pieces) noexcept;

    /// Bytes, or the peer's goodbye, wait inside the TLS layer: read_some() will give them although the socket may
    /// never become readable.
    [[nodiscard]] bool has_buffered() const noexcept { return tls_ && tls_->has_buffered(); }

    /// The next read_some() is likely to give something without waiting: bytes wait inside the TLS layer, and the last
    /// read did not find them to be half a record.
    [[nodiscard]] bool has_unread() const noexcept { return !dry_ && has_buffered(); }

    /// `co_await stream.readable()`: true when it is (or has failed: the read will tell), false when aborted. At once
    /// if has_unread().
    [[nodiscard]] auto readable() noexcept { return WaitFor{*this, Wait::wait_read}; }

    /// The same for the socket itself, whatever waits inside the TLS layer: for its handshake.
    [[nodiscard]] auto descriptor_readable() noexcept
    {
        return WaitFor{*this, Wait::wait_read, true};
    }

    [[nodiscard]] auto writable() noexcept { return WaitFor{*this, Wait::wait_write}; }

    /// Ends every wait on this stream with `false`. Without a wait under way it does nothing.
    void abort() noexcept;
    /// Closes so that the peer gets a reset instead of an orderly end: what it has is not whole.
    void reset() noexcept;

    /// For an idle connection: nothing has arrived and the peer has not closed it.
    [[nodiscard]] bool is_quiet() noexcept;

    void start_tls(std::unique_ptr<TlsLayer> tls) noexcept
    {
        tls_ = std::move(tls);
        dry_ = false; // the handshake may have read ahead
    }

    [[nodiscard]] TlsLayer* tls() noexcept { return tls_.get(); }

    [[nodiscard]] std::unique_ptr<TlsLayer> take_tls() noexcept { return std::move(tls_); }

    [[nodiscard]] Descriptor& descriptor() noexcept { return descriptor_; }

    struct WaitFor {
        Stream& stream;
        Wait what;
        bool socket_only = false;
        bool aborted = false;

        [[nodiscard]] bool await_ready() const noexcept
        {
            return what == Wait::wait_read && !socket_only && stream.has_unread();
        }

        void await_suspend(std::coroutine_handle<> caller);

        [[nodiscard]] bool await_resume() const noexcept { return !aborted; }
    };

private:
    Descriptor descriptor_;
    std::unique_ptr<TlsLayer> tls_;
    bool dry_ = true; ///< the last read through TLS gave nothing
};

/// Waits for whichever comes first of up to three conditions; the others are called off.
class WaitAny {
public:
    void add(Stream& stream, Stream::Wait what) noexcept;

    [[nodiscard]] bool await_ready() const noexcept { return count_ == 0; }

    void await_suspend(std::coroutine_handle<> caller);

    /// False if every wait was aborted from outside.
    [[nodiscard]] bool await_resume() const noexcept { return any_; }

    /// Whether the n-th condition added holds.
    [[nodiscard]] bool holds(std::size_t index) const noexcept { return entries_[index].holds; }

    static constexpr std::size_t kConditionsMax = 3;

private:
    struct Entry {
        Stream* stream = nullptr;
        Stream::Wait what{};
        bool holds = false;
        boost::asio::cancellation_signal cancel;
    };

    void completed(std::size_t index, bool ok);

    std::array<Entry, kConditionsMax> entries_;
    std::size_t count_ = 0;
    std::size_t open_ = 0;
    bool any_ = false;
    std::coroutine_handle<> caller_;
};

[[nodiscard]] inline iovec piece(std::string_view bytes) noexcept
{
    // sendmsg does not write through it; the C interface just lacks the const.
    return {const_cast<char*>(bytes.data()), bytes.size()}; // NOLINT
}

} // namespace shared::net
