/// Makes a connection to an upstream: name, address, forward proxy (CONNECT or SOCKS5), TLS.
#pragma once

#include "shared/http/base_url.hpp"
#include "shared/net/forward_proxy.hpp"
#include "shared/net/proxy_settings.hpp"
#include "shared/net/resolver.hpp"
#include "shared/net/stream.hpp"
#include "shared/net/task.hpp"
#include "shared/net/tls_context.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace shared::net {

/// How somebody else ends what a coroutine is waiting for. Whoever waits hangs its stream or look-up in here;
/// cancel() makes that wait return, and stays set.
class CancelToken {
public:
    void cancel() noexcept;

    [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }

    /// For the next attempt.
    void rearm() noexcept { cancelled_ = false; }

    /// The stream waited on from now on; null for none.
    void watch(Stream* stream) noexcept { stream_ = stream; }

    void watch(Resolver::Wait* wait) noexcept { wait_ = wait; }

private:
    Stream* stream_ = nullptr;
    Resolver::Wait* wait_ = nullptr;
    bool cancelled_ = false;
};

struct Connection {
    std::unique_ptr<Stream> stream; ///< null if it failed
    std::string problem;            ///< then: why, in one clause
};

class Connector {
public:
    static constexpr std::size_t kProxyAnswerBytesMax = 16 * 1024;
    static constexpr std::size_t kAddressesMax = 4; ///< tried one after the other

    /// All references outlive the connector.
    Connector(Loop& loop, SSL_CTX* tls, const ProxySettings& proxy);

    /// `base` and `own` must outlive the wait. The prefix plays no part. cancel() ends it without a connection.
    /// With `own` the connection goes through that proxy and no other, whatever the environment says; one without a
    /// host fails (what was configured cannot be used: better nothing than a connection from elsewhere).
    [[nodiscard]] Task<Connection>
    connect(const http::BaseUrl& base, CancelToken& cancel, const ForwardProxy* own = nullptr);
    /// A Unix socket in the abstract namespace (name without the leading NUL).
    [[nodiscard]] Task<Connection>
    connect_unix(std::string_view abstract_name, CancelToken& cancel);

private:
    [[nodiscard]] Task<Connection>
    open(const std::string& host, std::uint16_t port, CancelToken& cancel);
    [[nodiscard]] Task<std::string>
    ask_proxy(Stream& stream, const http::BaseUrl& base, const std::string& authorization);
    [[nodiscard]] Task<std::string>
    ask_socks(Stream& stream, const http::BaseUrl& base, const ForwardProxy& proxy);
    [[nodiscard]] Task<std::string> handshake(Stream& stream, const std::string& host);

    Loop& loop_;
    SSL_CTX* tls_;
    const ProxySettings& proxy_;
    Resolver resolver_;
    TlsSessions sessions_;
};

} // namespace shared::net
