#include "shared/http/websocket.hpp"

#include <algorithm>

namespace shared::http {
namespace {

bool is_known(std::uint8_t opcode) noexcept
{
    return opcode <= 2 || (opcode >= 8 && opcode <= 10);
}

void append_head(std::string& out, Opcode opcode, std::size_t payload, bool masked)
{
    const std::uint8_t mask_bit = masked ? 0x80 : 0;
    out.push_back(static_cast<char>(0x80U | static_cast<std::uint8_t>(opcode)));
    if (payload < 126) {
        out.push_back(static_cast<char>(mask_bit | payload));
        return;
    }
    const int bytes = payload <= 0xFFFF ? 2 : 8;
    out.push_back(static_cast<char>(mask_bit | (bytes == 2 ? 126U : 127U)));
    for (int i = bytes - 1; i >= 0; --i) {
        out.push_back(static_cast<char>((payload >> (8U * static_cast<unsigned>(i))) & 0xFFU));
    }
}

} // namespace

std::size_t FrameTracker::head_bytes_needed() const noexcept
{
    if (head_size_ < 2) return 2;
    const std::uint8_t length = head_bytes_[1] & 0x7FU;
    const std::size_t extended = length == 126 ? 2 : (length == 127 ? 8 : 0);
    return 2 + extended + ((head_bytes_[1] & 0x80U) != 0 ? 4 : 0);
}

bool FrameTracker::parse_head() noexcept
{
    const std::uint8_t opcode = head_bytes_[0] & 0x0FU;
    if ((head_bytes_[0] & 0x70U) != 0 || !is_known(opcode))
        return false; // no extension is negotiated
    head_.opcode = static_cast<Opcode>(opcode);
    head_.final = (head_bytes_[0] & 0x80U) != 0;
    head_.masked = (head_bytes_[1] & 0x80U) != 0;
    if (head_.masked != expect_masked_) return false;

    const std::uint8_t length = head_bytes_[1] & 0x7FU;
    std::size_t at = 2;
    head_.payload_bytes = length;
    if (length >= 126) {
        const std::size_t bytes = length == 126 ? 2 : 8;
        head_.payload_bytes = 0;
        for (std::size_t i = 0; i < bytes; ++i) {
            head_.payload_bytes = (head_.payload_bytes << 8U) | head_bytes_[at++];
        }
        if ((head_.payload_bytes >> 63U) != 0) return false;
    }
    if (head_.masked) std::copy_n(head_bytes_.begin() + at, 4, head_.mask.begin());

    if (head_.is_control()) return head_.final && head_.payload_bytes <= kControlPayloadMax;
    if ((head_.opcode == Opcode::continuation) != in_message_) return false;
    in_message_ = !head_.final;
    return true;
}

FrameTracker::Step FrameTracker::step(std::string_view bytes)
{
    switch (state_) {
    case State::broken:
        return {Piece::broken, 0};
    case State::over:
        state_ = State::head;
        return {Piece::end, 0};
    case State::payload: {
        const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
        offset_ = taken_before_;
        taken_before_ += take;
        left_ -= take;
        if (left_ == 0) state_ = State::over;
        return {take == 0 ? Piece::need_more : Piece::payload, take};
    }
    case State::head:
        break;
    }
    std::size_t taken = 0;
    while (head_size_ < head_bytes_needed()) {
        if (taken == bytes.size()) return {Piece::need_more, taken};
        head_bytes_[head_size_++] = static_cast<std::uint8_t>(bytes[taken++]);
    }
    head_size_ = 0;
    if (!parse_head()) {
        state_ = State::broken;
        return {Piece::broken, taken};
    }
    left_ = head_.payload_bytes;
    taken_before_ = 0;
    offset_ = 0;
    state_ = left_ == 0 ? State::over : State::payload;
    return {Piece::head, taken};
}

void FrameTracker::unmask(
    const FrameHead& head, std::uint64_t offset, std::string_view bytes, std::string& out)
{
    const std::size_t start = out.size();
    out.append(bytes);
    if (!head.masked) return;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        out[start + i] = static_cast<char>(
            static_cast<std::uint8_t>(out[start + i]) ^ head.mask[(offset + i) % 4]);
    }
}

std::string encode_frame(Opcode opcode, std::string_view payload)
{
    std::string out;
    out.reserve(payload.size() + 10);
    append_head(out, opcode, payload.size(), false);
    out.append(payload);
    return out;
}

std::string
encode_masked_frame(Opcode opcode, std::string_view payload, std::array<std::uint8_t, 4> mask)
{
    std::string out;
    out.reserve(payload.size() + 14);
    append_head(out, opcode, payload.size(), true);
    FrameHead head;
    head.masked = true;
    head.mask = mask;
    for (const std::uint8_t byte : mask)
        out.push_back(static_cast<char>(byte));
    FrameTracker::unmask(head, 0, payload, out); // masking is its own inverse
    return out;
}

std::string close_payload(std::uint16_t code, std::string_view reason)
{
    std::string out;
    out.push_back(static_cast<char>(code >> 8U));
    out.push_back(static_cast<char>(code & 0xFFU));
    out.append(reason.substr(0, 120));
    return out;
}

} // namespace shared::http
