/// Follows the framing of a message body that is relayed raw: where does it end?
#pragma once

#include "shared/http/head.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace shared::http {

/// Fed with body bytes as they pass; says how many of them belong to this message. Chunk framing is
/// checked strictly (hex size without white space, CRLF, bounded extensions and trailers, no folded
/// trailer), never rewritten: what one side could read differently from the other is refused.
class BodyTracker {
public:
    static constexpr std::uint64_t kChunkBytesMax = std::uint64_t{1} << 40U;
    static constexpr std::uint8_t kChunkSizeDigitsMax = 16;
    static constexpr std::uint32_t kChunkExtensionBytesMax = 256; ///< of one chunk
    static constexpr std::uint32_t kTrailerBytesMax = 8192;       ///< of all trailers

    BodyTracker() = default;
    BodyTracker(BodyKind kind, std::uint64_t content_length);

    /// Takes as many of `bytes` as belong to the body and returns that number. Calls
    /// `on_data(std::string_view)` for each run of payload (without chunk framing) in it.
    template <class OnData>
    std::size_t consume(std::string_view bytes, OnData&& on_data);

    /// The last byte of the body (trailers included) was consumed.
    [[nodiscard]] bool finished() const noexcept;
    /// The framing is malformed; nothing after this point can be trusted.
    [[nodiscard]] bool failed() const noexcept;
    /// The body is complete if the peer closes now.
    [[nodiscard]] bool may_end_by_close() const noexcept;

    /// Payload bytes seen so far.
    [[nodiscard]] std::uint64_t payload_bytes() const noexcept { return payload_; }

private:
    enum class State : std::uint8_t {
        done,
        length,
        until_close,
        chunk_size,
        chunk_extension,
        chunk_size_lf,
        chunk_data,
        chunk_data_cr,
        chunk_data_lf,
        trailer_start,
        trailer_name,
        trailer_value,
        trailer_lf,
        final_lf,
        broken
    };

    /// Advances over framing bytes (not payload) by one byte.
    void framing_byte(char c) noexcept;
    void size_byte(char c) noexcept;
    void extension_byte(char c) noexcept;
    void trailer_byte(char c) noexcept;
    void expect(char c, char expected, State next) noexcept;

    State state_ = State::done;
    std::uint8_t size_digits_ = 0;
    std::uint32_t framing_bytes_ = 0; ///< bytes of this extension or of the trailers so far
    std::uint64_t remaining_ = 0;
    std::uint64_t payload_ = 0;
};

template <class OnData>
std::size_t BodyTracker::consume(std::string_view bytes, OnData&& on_data)
{
    std::size_t at = 0;
    while (at < bytes.size()) {
        if (state_ == State::done || state_ == State::broken) break;
        if (state_ == State::length || state_ == State::chunk_data ||
            state_ == State::until_close) {
            std::size_t run = bytes.size() - at;
            if (state_ != State::until_close && run > remaining_)
                run = static_cast<std::size_t>(remaining_);
            on_data(bytes.substr(at, run));
            at += run;
            payload_ += run;
            if (state_ == State::until_close) continue;
            remaining_ -= run;
            if (remaining_ == 0)
                state_ = state_ == State::length ? State::done : State::chunk_data_cr;
            continue;
        }
        framing_byte(bytes[at++]);
    }
    return at;
}

} // namespace shared::http
