/// WebSocket frames (RFC 6455) on a Wire, for the fake upstream and for the tests' client.
#pragma once

#include "shared/fake_providers/wire.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shared::fake_providers {

enum class Opcode : std::uint8_t {
    continuation = 0,
    text = 1,
    binary = 2,
    close = 8,
    ping = 9,
    pong = 10
};

struct Frame {
    bool final = true;
    Opcode opcode = Opcode::text;
    std::string payload;
    bool masked = false;
};

/// The answer to a Sec-WebSocket-Key.
[[nodiscard]] std::string websocket_accept(std::string_view key);
/// `mask`: as a client must.
[[nodiscard]] std::string encode_frame(const Frame& frame, bool mask);
[[nodiscard]] std::optional<Frame> read_frame(Wire& wire);

/// A whole text or binary message, or a close; pings on the way are answered (and counted).
struct SocketMessage {
    Opcode opcode = Opcode::text;
    std::string payload; ///< of a close: the reason
    std::uint16_t close_code = 0;
};

class WebSocket {
public:
    /// `client` decides about masking; the handshake is done.
    WebSocket(Wire& wire, bool client) : wire_(wire), client_(client) {}

    bool send_text(std::string_view text);
    bool send_frame(const Frame& frame);
    bool send_close(std::uint16_t code, std::string_view reason);
    /// Nothing if the connection ended without a close frame.
    [[nodiscard]] std::optional<SocketMessage> receive();

    [[nodiscard]] std::size_t pings_seen() const { return pings_; }

private:
    Wire& wire_;
    bool client_;
    std::size_t pings_ = 0;
};

} // namespace shared::fake_providers
