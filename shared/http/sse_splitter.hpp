/// Splits a server-sent-event stream into the payloads of its events, without holding an event back
/// or in memory: payload bytes are handed on as they arrive.
#pragma once

#include "shared/http/scan.hpp"

#include <cstdint>
#include <string_view>

namespace shared::http {

/// Accepts CR, LF and CRLF, `data:` with or without a space, several data lines (joined with '\n'),
/// comments, other fields, a byte order mark, and pieces split anywhere. Keeps a few bytes of state and no data.
class SseSplitter {
public:
    /// Calls `on_data(std::string_view)` for each piece of the current event's data and
    /// `on_end()` when an event that had data ends (the empty line was seen; an event cut short never ends).
    template <class OnData, class OnEnd>
    void feed(std::string_view bytes, OnData&& on_data, OnEnd&& on_end);

private:
    enum class State : std::uint8_t {
        stream_start, ///< a byte order mark may come
        line_start,
        field_name,  ///< so far equal to the beginning of "data"
        value_start, ///< after "data:"; one space is not part of the value
        value,
        ignored, ///< the rest of a line that is no data
    };

    static constexpr std::string_view kDataField = "data";
    static constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

    template <class OnData, class OnEnd>
    void one_byte(char c, OnData&& on_data, OnEnd&& on_end);

    /// A data line begins: from the second one on it is joined to what came before.
    template <class OnData>
    void begin_value(OnData&& on_data, State next)
    {
        if (has_data_) on_data(std::string_view("\n", 1));
        has_data_ = true;
        state_ = next;
    }

    State state_ = State::stream_start;
    std::uint8_t matched_ = 0; ///< bytes of kDataField or kByteOrderMark seen
    bool after_cr_ = false;    ///< an LF now belongs to the CR before it
    bool has_data_ = false;    ///< this event had a data line
};

template <class OnData, class OnEnd>
void SseSplitter::feed(std::string_view bytes, OnData&& on_data, OnEnd&& on_end)
{
    const char* p = bytes.data();
    const char* const end = p + bytes.size();
    while (p < end) {
        if (state_ == State::value || state_ == State::ignored) {
            const char* stop = scan::find_either(p, end, '\n', '\r');
            if (state_ == State::value && stop > p)
                on_data(std::string_view(p, static_cast<std::size_t>(stop - p)));
            p = stop;
            if (p == end) return;
        }
        one_byte(*p++, on_data, on_end);
    }
}

template <class OnData, class OnEnd>
void SseSplitter::one_byte(char c, OnData&& on_data, OnEnd&& on_end)
{
    if (after_cr_) {
        after_cr_ = false;
        if (c == '\n') return;
    }
    if (state_ == State::stream_start) {
        if (c == kByteOrderMark[matched_]) {
            if (++matched_ < kByteOrderMark.size()) return;
            matched_ = 0;
            state_ = State::line_start;
            return;
        }
        // Bytes of a mark that came to nothing begin a field of no interest.
        state_ = matched_ == 0 ? State::line_start : State::ignored;
        matched_ = 0;
    }
    if (c == '\n' || c == '\r') {
        after_cr_ = c == '\r';
        // A line "data" without a colon is a data field with an empty value.
        if (state_ == State::field_name && matched_ == kDataField.size())
            begin_value(on_data, State::value);
        if (state_ == State::line_start && has_data_) {
            has_data_ = false;
            on_end();
        }
        state_ = State::line_start;
        return;
    }
    switch (state_) {
    case State::stream_start:
    case State::line_start:
        matched_ = 0;
        state_ = State::field_name;
        [[fallthrough]];
    case State::field_name:
        if (matched_ < kDataField.size() && c == kDataField[matched_])
            ++matched_;
        else if (matched_ == kDataField.size() && c == ':')
            begin_value(on_data, State::value_start);
        else
            state_ = State::ignored;
        break;
    case State::value_start:
        state_ = State::value;
        if (c != ' ') on_data(std::string_view(&c, 1));
        break;
    case State::value:
    case State::ignored:
        break; // only line ends come here, and they were handled above
    }
}

} // namespace shared::http
