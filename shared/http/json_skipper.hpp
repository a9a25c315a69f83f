/// Finds the end of a JSON object or array of no interest, 64 bytes at a time. Used by JsonPicker only.
#pragma once

#include <cstdint>

namespace shared::http {

/// Counts brackets outside strings. Not a validator: it does not see whether a '{' is closed by a ']'.
class JsonSkipper {
public:
    enum class Outcome : std::uint8_t { inside, end, too_deep };

    /// Call after the opening bracket. At most `levels` brackets may be open, this one included.
    void start(std::uint32_t levels) noexcept;

    /// Moves `p` behind the closing bracket, or to `end` while it has not come.
    [[nodiscard]] Outcome skip(const char*& p, const char* end) noexcept;

private:
    [[nodiscard]] Outcome block(const char*& p, std::uint32_t size, const char* bytes) noexcept;

    std::uint32_t open_ = 0;   ///< brackets open, the first included
    std::uint32_t levels_ = 0; ///< most there may be
    bool in_string_ = false;
    bool escaped_ = false; ///< the next byte follows a backslash
};

} // namespace shared::http
