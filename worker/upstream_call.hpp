/// One request on one upstream connection, up to the response head.
///
/// A kept connection that turns out to be closed is replaced by a new one without anybody noticing, as long as
/// no byte of an answer was seen and the request can be sent again.
#pragma once

#include "shared/http/base_url.hpp"
#include "shared/http/head.hpp"
#include "shared/net/connector.hpp"
#include "shared/net/deadlines.hpp"
#include "shared/net/task.hpp"
#include "worker/request_body.hpp"
#include "worker/timings.hpp"

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace worker {

class Session;
struct WorkerState;

/// What is sent. All views outlive the call.
struct UpstreamRequest {
    const shared::http::BaseUrl* origin = nullptr; ///< null = the admin child
    const shared::net::ForwardProxy* proxy =
        nullptr; ///< the account's own; lives as long as the worker
    std::string_view method;
    std::string_view head;
    std::array<std::string_view, 3> body; ///< held whole, in pieces
    RequestBody* streamed = nullptr;      ///< or read from the client as it goes
    std::chrono::milliseconds first_byte{0};
};

class UpstreamCall {
public:
    static constexpr std::chrono::seconds kConnectMax{
        15}; ///< name, connection, proxy, TLS together
    static constexpr std::chrono::seconds kErrorBodyMax{5}; ///< for reading an error's body
    static constexpr std::size_t kErrorBodyBytesMax = std::size_t{64} * 1024;

    enum class End : std::uint8_t {
        answered,
        connect_failed,
        broken_off,     ///< closed or reset before the response head was complete
        bad_answer,     ///< what came is not HTTP
        stopped,        ///< cancelled: deadline or client gone
        body_failed,    ///< the client did not deliver its body
        body_malformed, ///< the client's chunk framing is broken
        body_too_large, ///< the client's body is longer than max_body_bytes
    };

    UpstreamCall(
        WorkerState& worker,
        Session& session,
        shared::net::CancelToken& cancel,
        shared::net::Deadline& deadline,
        Timings& timings) noexcept;

    [[nodiscard]] shared::net::Task<End> run(UpstreamRequest request);

    // -- after `answered` --------------------------------------------------------------------------

    /// Valid until the next wait, unless keep_head() was called.
    [[nodiscard]] const shared::http::ResponseHead& head() const noexcept { return *head_; }

    /// Body bytes that have arrived, raw; valid as long as head().
    [[nodiscard]] std::string_view early() const noexcept { return early_; }

    /// Copies the head and the early bytes, so that they survive waiting.
    [[gnu::cold]] void keep_head();

    /// Reads the beginning of the body (with the head kept), for a look at an error. The payload is appended to
    /// `body`; the raw bytes stay in early().
    [[nodiscard, gnu::cold]] shared::net::Task<> read_error_body(std::string& body);

    [[nodiscard]] shared::net::Stream& stream() noexcept { return *stream_; }

    /// The connection, to be kept for the next request or handed to a tunnel.
    [[nodiscard]] std::unique_ptr<shared::net::Stream> take_stream() noexcept
    {
        return std::move(stream_);
    }

    /// Another request may follow on this connection once the body was read to its end.
    [[nodiscard]] bool reusable() const noexcept { return reusable_ && head_->keep_alive; }

    /// An answer that goes nowhere: keeps the connection if all of the answer was read.
    [[gnu::cold]] void recycle(const shared::http::BaseUrl* origin);

    /// Why connecting failed.
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

private:
    [[nodiscard, gnu::cold]] shared::net::Task<bool> connect(const UpstreamRequest& request);
    [[nodiscard]] shared::net::Task<End> send_rest(std::string rest, RequestBody* streamed);
    [[nodiscard]] shared::net::Task<End> read_head();
    [[nodiscard]] End take_head(std::string_view fresh, bool& more);
    [[nodiscard, gnu::cold]] bool stash_answer();

    WorkerState& worker_;
    Session& session_;
    shared::net::CancelToken& cancel_;
    shared::net::Deadline& deadline_;
    Timings& timings_;
    std::unique_ptr<shared::net::Stream> stream_;
    const shared::http::ResponseHead* head_ = nullptr;
    std::unique_ptr<shared::http::ResponseHead> own_head_;
    std::string storage_; ///< head (and more) where it did not come in one read, or was kept
    std::string_view early_;
    std::string problem_;
    std::string_view method_;
    const shared::net::ForwardProxy* proxy_ = nullptr;
    std::int64_t sent_at_ = 0;
    bool reused_ = false;
    bool reusable_ = true; ///< the request went out whole
    bool whole_ = false;   ///< read_error_body() read all of it, and nothing more came
    bool heard_ = false;   ///< some byte of an answer came
};

} // namespace worker
