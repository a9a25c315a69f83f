/// The client's request body: held whole where it fits, else passed on as it comes.
#pragma once

#include "shared/http/framing.hpp"
#include "shared/http/head.hpp"
#include "shared/net/task.hpp"
#include "worker/head_rewriter.hpp"
#include "worker/replay_buffer.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace worker {

class Session;
struct WorkerState;

class RequestBody {
public:
    enum class End : std::uint8_t {
        whole, ///< all of it is held
        too_long, ///< longer than max_replay_bytes: what is held is its beginning, the rest is to be streamed
        too_large, ///< longer than allowed
        malformed, ///< broken chunk framing
        gone,      ///< the client left or sent nothing for too long
    };

    RequestBody(WorkerState& worker, Session& session) noexcept;

    /// Less than max_body_bytes is allowed. Before begin().
    void limit(std::uint64_t bytes) noexcept { max_ = std::min(max_, bytes); }

    /// What is held is cleared before its memory is given back. Before begin().
    void keep_secret() noexcept { buffer_.keep_secret(); }

    /// Takes what came with the head. Bytes beyond the body go back to the session. Never waits.
    [[nodiscard]] End begin(const shared::http::RequestHead& head, std::string_view early);
    /// Reads on until begin()'s answer is final. Call if !settled().
    [[nodiscard]] shared::net::Task<End> hold();

    [[nodiscard]] bool settled() const noexcept { return settled_; }

    /// Every byte has been read from the client.
    [[nodiscard]] bool finished() const noexcept { return tracker_.finished(); }

    [[nodiscard]] std::string_view held() const noexcept { return buffer_.view(); }

    /// Payload bytes seen so far.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return tracker_.payload_bytes(); }

    void release() noexcept { buffer_.release(); }

    // -- streaming (after too_long) ------------------------------------------------------------------

    /// What goes upstream before anything more is read: the held beginning, framed.
    [[nodiscard]] std::string stream_beginning();
    /// Reads once, without waiting, and appends what goes upstream, framed. whole = the end was read; too_long
    /// = go on.
    [[nodiscard]] End stream_more(std::string& out);

    [[nodiscard]] OutgoingBody outgoing() const noexcept;

private:
    [[nodiscard]] End take(std::string_view bytes);
    [[nodiscard]] End state() noexcept;
    void frame(std::string_view payload, std::string& out) const;

    WorkerState& worker_;
    Session& session_;
    shared::http::BodyTracker tracker_;
    ReplayBuffer buffer_;
    shared::http::BodyKind kind_ = shared::http::BodyKind::none;
    std::uint64_t length_ = 0;
    std::uint64_t max_;
    bool too_long_ = false;
    bool settled_ = false;
    bool expects_continue_ = false;
};

} // namespace worker
