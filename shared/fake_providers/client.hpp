/// A blocking HTTP/1.1 client on a Wire: for the demo's traffic and the tests, which want to see every byte.
#pragma once

#include "shared/fake_providers/wire.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shared::fake_providers {

struct Response {
    unsigned status = 0; ///< 0 = no whole head came
    Headers headers;
    std::string body;
    Headers trailers;
    bool complete = false; ///< the body ended as its framing says

    [[nodiscard]] std::string value(std::string_view name) const;
};

/// One connection to 127.0.0.1:port, used for any number of requests.
class Client {
public:
    explicit Client(
        std::uint16_t port, std::chrono::milliseconds timeout = std::chrono::seconds(30));

    /// The same by https; not connected() if the certificate is not of the test authority.
    [[nodiscard]] static Client
    over_tls(std::uint16_t port, std::chrono::milliseconds timeout = std::chrono::seconds(30));

    [[nodiscard]] bool connected() const { return wire_.open(); }

    [[nodiscard]] Wire& wire() { return wire_; }

    /// Request text with Host, and Content-Length if there is a body or the method wants one.
    [[nodiscard]] static std::string format(
        std::string_view method,
        std::string_view target,
        const Headers& headers,
        std::string_view body,
        std::uint16_t port);

    /// Sends and reads the whole answer; 1xx answers are skipped.
    Response request(
        std::string_view method,
        std::string_view target,
        const Headers& headers = {},
        std::string_view body = {});

    // Piece by piece:
    bool send(
        std::string_view method,
        std::string_view target,
        const Headers& headers = {},
        std::string_view body = {});
    /// The head only (1xx skipped); status 0 if none came.
    Response read_head();
    /// The next piece of the body of read_head()'s response as it arrives, without framing; empty at its end,
    /// nothing if the connection broke.
    std::optional<std::string> read_some();
    /// Reads pieces until the body so far contains `text` or it ends; all that was read.
    std::string read_until(std::string_view text);
    /// The rest of the body.
    Response read_rest();

private:
    std::uint16_t port_;
    Wire wire_;
    bool head_method_ = false;
    Message message_;
    Response response_;
    std::size_t left_ = 0;
    enum class Body { none, length, chunked, until_close } body_ = Body::none;
};

} // namespace shared::fake_providers
