#include "shared/fake_providers/websocket.hpp"

#include "shared/fake_providers/coding.hpp"

namespace shared::fake_providers {

std::string websocket_accept(std::string_view key)
{
    return base64(sha1(std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
}

std::string encode_frame(const Frame& frame, bool mask)
{
    static constexpr std::string_view kMask = "\x12\x34\x56\x78";
    std::string out;
    out += static_cast<char>((frame.final ? 0x80U : 0U) | static_cast<unsigned>(frame.opcode));
    const std::size_t size = frame.payload.size();
    const unsigned bit = mask ? 0x80U : 0U;
    if (size < 126) {
        out += static_cast<char>(bit | size);
    } else {
        const unsigned bytes = size < 65536 ? 2 : 8;
        out += static_cast<char>(bit | (bytes == 2 ? 126U : 127U));
        for (unsigned i = bytes; i-- > 0;)
            out += static_cast<char>((size >> (8 * i)) & 0xFFU);
    }
    if (!mask) return out + frame.payload;
    out += kMask;
    for (std::size_t i = 0; i < size; ++i)
        out += static_cast<char>(frame.payload[i] ^ kMask[i % 4]);
    return out;
}

std::optional<Frame> read_frame(Wire& wire)
{
    const std::string start = wire.take(2);
    if (start.size() != 2) return std::nullopt;
    Frame out;
    const auto first = static_cast<unsigned char>(start[0]);
    const auto second = static_cast<unsigned char>(start[1]);
    if ((first & 0x70U) != 0) return std::nullopt;
    out.final = (first & 0x80U) != 0;
    out.opcode = static_cast<Opcode>(first & 0x0FU);
    out.masked = (second & 0x80U) != 0;
    std::uint64_t size = second & 0x7FU;
    if (size >= 126) {
        const std::size_t bytes = size == 126 ? 2 : 8;
        const std::string length = wire.take(bytes);
        if (length.size() != bytes) return std::nullopt;
        size = 0;
        for (const char c : length)
            size = (size << 8U) | static_cast<unsigned char>(c);
    }
    std::string mask;
    if (out.masked) mask = wire.take(4);
    out.payload = wire.take(size);
    if (out.payload.size() != size || (out.masked && mask.size() != 4)) return std::nullopt;
    if (out.masked) {
        for (std::size_t i = 0; i < out.payload.size(); ++i)
            out.payload[i] = static_cast<char>(out.payload[i] ^ mask[i % 4]);
    }
    return out;
}

bool WebSocket::send_text(std::string_view text)
{
    return send_frame({.final = true, .opcode = Opcode::text, .payload = std::string(text)});
}

bool WebSocket::send_frame(const Frame& frame)
{
    return wire_.write(encode_frame(frame, client_));
}

bool WebSocket::send_close(std::uint16_t code, std::string_view reason)
{
    std::string payload;
    payload += static_cast<char>(code >> 8U);
    payload += static_cast<char>(code & 0xFFU);
    payload += reason;
    return send_frame({.final = true, .opcode = Opcode::close, .payload = payload});
}

std::optional<SocketMessage> WebSocket::receive()
{
    SocketMessage out;
    bool begun = false;
    for (;;) {
        const std::optional<Frame> frame = read_frame(wire_);
        if (!frame || frame->masked == client_) return std::nullopt;
        switch (frame->opcode) {
        case Opcode::ping:
            ++pings_;
            (void)send_frame({.final = true, .opcode = Opcode::pong, .payload = frame->payload});
            continue;
        case Opcode::pong:
            continue;
        case Opcode::close:
            out.opcode = Opcode::close;
            if (frame->payload.size() >= 2) {
                out.close_code = static_cast<std::uint16_t>(
                    (static_cast<unsigned char>(frame->payload[0]) << 8U) |
                    static_cast<unsigned char>(frame->payload[1]));
                out.payload = frame->payload.substr(2);
            }
            return out;
        case Opcode::continuation:
            if (!begun) return std::nullopt;
            break;
        default:
            out.opcode = frame->opcode;
            begun = true;
        }
        out.payload += frame->payload;
        if (frame->final) return out;
    }
}

} // namespace shared::fake_providers
