/// TLS towards upstreams and clients: OpenSSL directly on the non-blocking socket, no buffers of our own in between.
#pragma once

#include "shared/net/tls_context.hpp"

#include <openssl/ossl_typ.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include <sys/uio.h>

struct ssl_session_st;

namespace shared::net {

enum class IoStatus : std::uint8_t {
    ok,         ///< `bytes` were moved
    wait_read,  ///< try again when the socket is readable
    wait_write, ///< try again when the socket is writable
    end,        ///< the peer has finished sending
    failed,     ///< the connection is broken
};

struct IoResult {
    IoStatus status = IoStatus::failed;
    std::size_t bytes = 0;

    [[nodiscard]] bool ok() const noexcept { return status == IoStatus::ok; }
};

struct SslSessionDeleter {
    void operator()(ssl_session_st* session) const noexcept;
};

/// The last TLS session of each origin, for resumption: a full handshake costs as much as seventy requests.
class TlsSessions {
public:
    using Slot = std::unique_ptr<ssl_session_st, SslSessionDeleter>;

    static constexpr std::size_t kOriginsMax = 64;

    /// Where sessions with `origin` are kept; stable for the life of this object. nullptr when there are too
    /// many origins.
    [[nodiscard]] Slot* slot(const std::string& origin);

private:
    std::map<std::string, Slot> slots_;
};

class TlsLayer {
public:
    /// Over a connected socket. The peer's certificate must be valid for `host` (name or numeric address).
    /// `session` (may be null) must outlive the layer. nullptr if OpenSSL refuses.
    [[nodiscard]] static std::unique_ptr<TlsLayer>
    over_socket(SSL_CTX* context, int fd, const std::string& host, TlsSessions::Slot* session);
    /// Inside another TLS connection (through a forward proxy that itself speaks TLS).
    [[nodiscard]] static std::unique_ptr<TlsLayer> over_tls(
        SSL_CTX* context,
        std::unique_ptr<TlsLayer> outer,
        const std::string& host,
        TlsSessions::Slot* session);

    /// The server's side, over an accepted socket. nullptr if OpenSSL refuses.
    [[nodiscard]] static std::unique_ptr<TlsLayer> accept(SSL_CTX* context, int fd);

    TlsLayer(const TlsLayer&) = delete;
    TlsLayer(TlsLayer&&) = delete;
    TlsLayer& operator=(const TlsLayer&) = delete;
    TlsLayer& operator=(TlsLayer&&) = delete;
    ~TlsLayer();

    /// One step of the handshake.
    [[nodiscard]] IoStatus handshake() noexcept;
    /// Why the handshake failed, in one clause.
    [[nodiscard]] std::string failure() const;
    /// The handshake failed because the peer speaks plain HTTP.
    [[nodiscard]] bool met_plain_http() const noexcept;

    /// Tells the peer that nothing more comes; as far as the socket takes it at once.
    void say_goodbye() noexcept;

    [[nodiscard]] IoResult read_some(char* into, std::size_t size) noexcept;
    [[nodiscard]] IoResult write_some(std::span<const iovec> pieces) noexcept;
    [[nodiscard]] bool has_buffered() const noexcept;
    [[nodiscard]] bool resumed() const noexcept;

private:
    struct Deleter {
        void operator()(SSL* ssl) const noexcept;
    };

    explicit TlsLayer(SSL* ssl) noexcept : ssl_(ssl) {}

    [[nodiscard]] static std::unique_ptr<TlsLayer>
    make(SSL_CTX* context, const std::string& host, TlsSessions::Slot* session);
    [[nodiscard]] IoStatus status_of(int result) const noexcept;

    std::unique_ptr<TlsLayer> outer_; ///< destroyed after ssl_
    std::unique_ptr<SSL, Deleter> ssl_;
    unsigned long error_ = 0;
};

} // namespace shared::net
