/// One small request and its answer, for the refresher, `check` and tests. Not for the hot path.
#pragma once

#include "shared/base/result.hpp"
#include "shared/http/base_url.hpp"
#include "shared/http/head.hpp"
#include "shared/net/forward_proxy.hpp"
#include "shared/net/proxy_settings.hpp"
#include "shared/net/tls_context.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace shared::net {

struct ClientRequest {
    http::BaseUrl base;
    std::string method = "GET";
    std::string path;                  ///< below the base's prefix, with query
    std::vector<http::Header> headers; ///< Host, Content-Length and Connection are added
    std::string body;
    /// Asked when the connection stands, directly before the first byte leaves; false = give up. What must be on disk
    /// before the upstream can have heard of it is written here.
    std::function<bool()> before_send;
    std::function<void()>
        after_send; ///< told when the last byte has left, before the answer is waited for
    std::optional<ForwardProxy>
        proxy; ///< through this one and no other, whatever the environment says
};

struct ClientResponse {
    unsigned status = 0;
    std::vector<http::Header> headers;
    std::string body;
};

/// Makes a new connection for each request (TLS verified, CONNECT proxy honoured) and closes it.
class HttpClient {
public:
    HttpClient(TlsContext& tls, const ProxySettings& proxy);

    /// Problem: could not resolve, connect, verify, or no whole answer within `deadline`, or a body above `body_max`.
    [[nodiscard]] boost::asio::awaitable<Result<ClientResponse>> send(
        ClientRequest request,
        std::chrono::milliseconds deadline,
        std::size_t body_max = 1U << 20U);

private:
    TlsContext& tls_;
    const ProxySettings& proxy_;
};

} // namespace shared::net
