/// One blocking connection, plain or TLS, and HTTP/1.1 messages on it as text. Used by the fake upstreams and
/// by the tests' clients. Shares no code with the pool's own parser on purpose: a fault there must not hide itself.
///
/// Blocking, one thread a connection: faults at an exact place of the wire are then straight-line code.
#pragma once

#include <openssl/ossl_typ.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shared::fake_providers {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// First value of `name` (any case), or nullptr.
[[nodiscard]] const std::string* find_header(const Headers& headers, std::string_view name);
[[nodiscard]] std::string lower(std::string_view text);

/// A message as it came: head, then the body without its framing.
struct Message {
    std::string first_line;
    Headers headers;
    std::string body;
    Headers trailers;

    [[nodiscard]] const std::string* header(std::string_view name) const
    {
        return find_header(headers, name);
    }

    [[nodiscard]] std::string value(std::string_view name) const
    {
        const std::string* found = header(name);
        return found == nullptr ? std::string() : *found;
    }
};

/// Owns a connected socket. Every call fails (false, 0, nothing) once the peer is gone or the time is over.
class Wire {
public:
    Wire() = default;
    /// Takes the descriptor and, if not null, the TLS session on it.
    explicit Wire(int fd, SSL* ssl = nullptr);
    Wire(Wire&& other) noexcept;
    Wire& operator=(Wire&& other) noexcept;
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;
    ~Wire();

    /// Connects to a loopback port; an unopened Wire if nobody listens there.
    [[nodiscard]] static Wire connect(const std::string& host, std::uint16_t port);

    [[nodiscard]] bool open() const { return fd_ >= 0; }

    [[nodiscard]] int fd() const { return fd_; }

    void set_timeout(std::chrono::milliseconds timeout);
    /// Small socket buffers, so that backpressure shows early.
    void set_buffers(int bytes);

    bool write(std::string_view bytes);
    /// Reads what is there (at most 64 KiB) behind what is held already; false at the end.
    bool fill();

    [[nodiscard]] const std::string& held() const { return held_; }

    /// Takes n bytes (fewer at the end of the connection).
    std::string take(std::size_t n);
    /// Takes up to and including `end`; nothing if the connection ends before.
    std::optional<std::string> take_through(std::string_view end);

    /// Reads a head (first line and fields).
    bool read_head(Message& message);
    /// Reads the body that the head announces. `has_body` false for HEAD, 204, 304.
    /// `until_close` = a body without framing lasts until the connection ends (responses).
    bool read_body(Message& message, bool until_close);
    /// The next chunk of a chunked body (empty at the end, trailers read); nothing if broken.
    std::optional<std::string> read_chunk(Message& message);

    /// True once the peer has closed or reset (and nothing is left to read).
    [[nodiscard]] bool peer_gone();
    void half_close();
    /// Closes with RST.
    void reset();
    void close();
    /// Wakes a thread that blocks on this connection; callable from another thread.
    void interrupt() const;

private:
    int fd_ = -1;
    SSL* ssl_ = nullptr;
    std::string held_;
};

} // namespace shared::fake_providers
