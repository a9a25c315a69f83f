/// One client connection: reads request heads one after the other and gives each to an Exchange.
///
/// The session owns the socket, the client's deadlines and the bytes that arrived beyond the current message
/// (pipelining). It notices a client that is gone (reset, or vanished: keep-alive probes) at any moment, and
/// tells whoever works for it; a client that has only finished sending still gets its answer.
#pragma once

#include "shared/base/ip_address.hpp"
#include "shared/net/deadlines.hpp"
#include "shared/net/stream.hpp"
#include "shared/net/task.hpp"
#include "worker/worker_state.hpp"

#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace worker {

class Session;
/// A session leaves the list by itself when it ends.
using SessionHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
using SessionList = boost::intrusive::list<
    Session,
    boost::intrusive::base_hook<SessionHook>,
    boost::intrusive::constant_time_size<false>>;

class Session : public SessionHook {
public:
    static constexpr int kLingerSeconds = 5; ///< for a client that still sends
    static constexpr std::size_t kLingerBytesMax = std::size_t{64}
                                                   << 20U; ///< read and thrown away then
    /// A worker that was replaced waits so long for one more request on an idle connection.
    static constexpr int kLastRequestSeconds = 5;
    /// A client that takes no byte for so long is cut off.
    static constexpr int kClientStallSeconds = 600;

    /// Takes the accepted socket and runs until the connection ends; deletes itself.
    static void start(WorkerState& worker, SessionList& all, int fd, const shared::IpAddress& peer);

    Session(const Session&) = delete;
    Session(Session&&) = delete;
    Session& operator=(const Session&) = delete;
    Session& operator=(Session&&) = delete;
    ~Session();

    // -- for the exchange --------------------------------------------------------------------------

    [[nodiscard]] shared::net::Stream& stream() noexcept { return stream_; }

    [[nodiscard]] const shared::IpAddress& peer() const noexcept { return peer_; }

    /// The connection was reset, the peer vanished, or we gave up on it: nothing more can be sent.
    [[nodiscard]] bool gone() const noexcept { return gone_; }

    /// Waits on the client end after this time; 0 = never.
    void set_deadline(std::uint32_t seconds) noexcept;

    void clear_deadline() noexcept { deadline_.clear(); }

    [[nodiscard]] bool timed_out() const noexcept { return timed_out_; }

    /// Whom to cancel when the client is gone; null = nobody.
    void set_cancel(shared::net::CancelToken* cancel) noexcept { cancel_ = cancel; }

    /// Bytes that belong to the next message.
    void keep_for_later(std::string_view bytes) { leftover_.append(bytes); }

    [[nodiscard]] std::string take_leftover() noexcept { return std::exchange(leftover_, {}); }

    /// The client's body was not read: it must be thrown away before closing, or the reset could overtake our
    /// answer.
    void must_linger() noexcept { linger_ = true; }

    /// The answer is cut short: the close must be a reset, so that the client cannot take it for whole.
    void must_reset() noexcept { reset_ = true; }

    /// Sends at once what the socket takes; the rest is put into `rest`. False if the client is gone.
    [[nodiscard]] bool write_now(std::span<iovec> pieces, std::string& rest);
    /// Waits until `rest` is sent. False if the client is gone.
    [[nodiscard, gnu::cold]] shared::net::Task<bool> write_rest(std::string rest);

    // -- for the server ----------------------------------------------------------------------------

    /// Ends the connection after the request that is under way. If there is none: now, or, if `patient`, when none
    /// comes soon, so that a request on its way to us is answered.
    [[gnu::cold]] void drain(bool patient) noexcept;
    /// Ends it in any case.
    [[gnu::cold]] void abort() noexcept;

private:
    enum class HeadEnd : std::uint8_t { complete, closed, refused };

    Session(WorkerState& worker, SessionList& all, int fd, const shared::IpAddress& peer);

    shared::net::Detached run();
    /// Where the pool serves https. False: there is nobody to talk to.
    [[nodiscard, gnu::cold]] shared::net::Task<bool> begin_tls();
    [[nodiscard]] shared::net::Task<HeadEnd> read_head();
    [[nodiscard]] HeadEnd take_head_bytes(std::string_view fresh, bool& more);
    [[nodiscard, gnu::cold]] HeadEnd refuse_head(unsigned status, const char* reason);
    [[nodiscard, gnu::cold]] shared::net::Task<> linger();
    void watch_for_departure();
    [[gnu::cold]] void departed(bool really) noexcept;
    void finish();

    WorkerState& worker_;
    shared::net::Stream stream_;
    shared::net::Deadline deadline_;
    shared::net::CancelToken* cancel_ = nullptr;
    std::unique_ptr<RequestText> text_;
    std::string_view early_; ///< what came after the head; in the worker's buffer or in carried_
    std::string leftover_;
    std::string carried_;
    shared::IpAddress peer_;
    bool new_ = true;  ///< nothing was received yet
    bool idle_ = true; ///< between two requests
    bool gone_ = false;
    bool timed_out_ = false;
    bool linger_ = false;
    bool reset_ = false;
    bool watching_ = false; ///< the departure handler has not run yet
    bool finished_ = false; ///< the coroutine has ended
};

} // namespace worker
