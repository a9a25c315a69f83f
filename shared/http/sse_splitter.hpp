/// Splits a server-sent-event stream into the payloads of its events, without holding an event back
/// or in memory: payload bytes are handed on as they arrive.
#pragma once

#include <cstdint>
#include <string_view>

namespace shared::http {

/// Accepts CR, LF and CRLF, `data:` with or without a space, several data lines (joined with '\n'),
/// comments, other fields, and pieces split anywhere.
class SseSplitter {
public:
    /// Calls `on_data(std::string_view)` for each piece of the current event's data and
    /// `on_end()` when an event that had data ends.
    template <class OnData, class OnEnd>
    void feed(std::string_view bytes, OnData&& on_data, OnEnd&& on_end);

private:
    // The implementer completes the state.
};

} // namespace shared::http
