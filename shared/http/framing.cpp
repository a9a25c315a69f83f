#include "shared/http/framing.hpp"

namespace shared::http {
namespace {

int hex_digit(char c) noexcept
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// What an extension or a trailer's value is made of: everything but control characters, tab allowed.
bool is_text(char c) noexcept
{
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7F) || byte == '\t';
}

bool is_token(char c) noexcept
{
    static constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
    const char folded = static_cast<char>(c | 0x20);
    return (c >= '0' && c <= '9') || (folded >= 'a' && folded <= 'z') ||
           kOthers.find(c) != std::string_view::npos;
}

} // namespace

BodyTracker::BodyTracker(BodyKind kind, std::uint64_t content_length)
{
    switch (kind) {
    case BodyKind::none:
        break;
    case BodyKind::length:
        remaining_ = content_length;
        if (remaining_ > 0) state_ = State::length;
        break;
    case BodyKind::chunked:
        state_ = State::chunk_size;
        break;
    case BodyKind::until_close:
        state_ = State::until_close;
        break;
    }
}

bool BodyTracker::finished() const noexcept
{
    return state_ == State::done;
}

bool BodyTracker::failed() const noexcept
{
    return state_ == State::broken;
}

bool BodyTracker::may_end_by_close() const noexcept
{
    return state_ == State::done || state_ == State::until_close;
}

void BodyTracker::expect(char c, char expected, State next) noexcept
{
    state_ = c == expected ? next : State::broken;
}

void BodyTracker::size_byte(char c) noexcept
{
    if (const int digit = hex_digit(c); digit >= 0) {
        remaining_ = remaining_ << 4U | static_cast<unsigned>(digit);
        // The digits are limited too, so the shift above never loses a set bit.
        if (++size_digits_ > kChunkSizeDigitsMax || remaining_ > kChunkBytesMax)
            state_ = State::broken;
    } else if (size_digits_ == 0) {
        state_ = State::broken;
    } else if (c == ';') {
        framing_bytes_ = 0;
        state_ = State::chunk_extension;
    } else {
        // No white space before the CR: parsers differ on what it means.
        expect(c, '\r', State::chunk_size_lf);
    }
}

void BodyTracker::extension_byte(char c) noexcept
{
    if (c == '\r')
        state_ = State::chunk_size_lf;
    else if (!is_text(c) || ++framing_bytes_ > kChunkExtensionBytesMax)
        state_ = State::broken;
}

void BodyTracker::trailer_byte(char c) noexcept
{
    if (++framing_bytes_ > kTrailerBytesMax) {
        state_ = State::broken;
        return;
    }
    switch (state_) {
    case State::trailer_start:
        if (c == '\r')
            state_ = State::final_lf;
        else
            state_ = is_token(c) ? State::trailer_name : State::broken;
        break;
    case State::trailer_name:
        if (c == ':')
            state_ = State::trailer_value;
        else if (!is_token(c))
            state_ = State::broken;
        break;
    default: // trailer_value
        if (c == '\r')
            state_ = State::trailer_lf;
        else if (!is_text(c))
            state_ = State::broken;
        break;
    }
}

void BodyTracker::framing_byte(char c) noexcept
{
    switch (state_) {
    case State::chunk_size:
        size_byte(c);
        break;
    case State::chunk_extension:
        extension_byte(c);
        break;
    case State::chunk_size_lf:
        framing_bytes_ = 0;
        size_digits_ = 0;
        expect(c, '\n', remaining_ > 0 ? State::chunk_data : State::trailer_start);
        break;
    case State::chunk_data_cr:
        expect(c, '\r', State::chunk_data_lf);
        break;
    case State::chunk_data_lf:
        expect(c, '\n', State::chunk_size); // remaining_ is 0 here
        break;
    case State::trailer_start:
    case State::trailer_name:
    case State::trailer_value:
        trailer_byte(c);
        break;
    case State::trailer_lf:
        expect(c, '\n', State::trailer_start);
        break;
    case State::final_lf:
        expect(c, '\n', State::done);
        break;
    case State::done:
    case State::length:
    case State::until_close:
    case State::chunk_data:
    case State::broken:
        break; // consume() never comes here in these
    }
}

} // namespace shared::http
