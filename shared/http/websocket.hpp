/// WebSocket frames (RFC 6455), followed in place as they are relayed raw: where do frames begin and end,
/// and what do the text messages say? No I/O; no message is ever buffered here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace shared::http {

enum class Opcode : std::uint8_t {
    continuation = 0,
    text = 1,
    binary = 2,
    close = 8,
    ping = 9,
    pong = 10,
};

/// The fixed part of one frame.
struct FrameHead {
    Opcode opcode = Opcode::continuation;
    bool final = false;
    bool masked = false;
    std::array<std::uint8_t, 4> mask{};
    std::uint64_t payload_bytes = 0;

    [[nodiscard]] bool is_control() const noexcept
    {
        return static_cast<std::uint8_t>(opcode) >= 8;
    }
};

/// Follows one direction. Give it the bytes in order; it takes them piece by piece.
class FrameTracker {
public:
    /// What the bytes taken by one step() are.
    enum class Piece : std::uint8_t {
        need_more, ///< all bytes are taken, a frame head is not complete yet
        head,      ///< head() has just been completed
        payload,   ///< `taken` bytes of the current frame's payload
        end,       ///< the current frame is over (taken is 0)
        broken, ///< not a frame of this direction: reserved bits or opcode, wrong masking, long control frame
    };

    struct Step {
        Piece piece = Piece::need_more;
        std::size_t taken = 0;
    };

    /// `masked`: what every frame of this direction must be (client to server: true).
    explicit FrameTracker(bool masked) : expect_masked_(masked) {}

    /// Takes some of `bytes`; call again with the rest. An empty frame gives head, then end.
    [[nodiscard]] Step step(std::string_view bytes);

    [[nodiscard]] const FrameHead& head() const noexcept { return head_; }

    /// No frame is half-way through: another frame may be put in between here.
    [[nodiscard]] bool at_boundary() const noexcept
    {
        return state_ == State::head && head_size_ == 0;
    }

    /// Copies payload bytes as they mean, undoing the mask. `offset`: position of `bytes` within the frame's payload.
    static void
    unmask(const FrameHead& head, std::uint64_t offset, std::string_view bytes, std::string& out);

    /// Payload bytes of the current frame that were taken before the last step.
    [[nodiscard]] std::uint64_t payload_offset() const noexcept { return offset_; }

private:
    enum class State : std::uint8_t { head, payload, over, broken };

    [[nodiscard]] std::size_t head_bytes_needed() const noexcept;
    [[nodiscard]] bool parse_head() noexcept;

    bool expect_masked_;
    bool in_message_ = false; ///< a fragmented message is open
    State state_ = State::head;
    std::uint8_t head_size_ = 0;
    std::array<std::uint8_t, 14> head_bytes_{};
    FrameHead head_;
    std::uint64_t left_ = 0;
    std::uint64_t offset_ = 0;
    std::uint64_t taken_before_ = 0;
};

/// One whole frame with `payload`; masked with `mask` if it goes to a server.
[[nodiscard]] std::string encode_frame(Opcode opcode, std::string_view payload);
[[nodiscard]] std::string
encode_masked_frame(Opcode opcode, std::string_view payload, std::array<std::uint8_t, 4> mask);

/// Payload of a close frame. `reason` is cut at 120 bytes.
[[nodiscard]] std::string close_payload(std::uint16_t code, std::string_view reason);

inline constexpr std::size_t kControlPayloadMax = 125;

} // namespace shared::http
