/// A short text put together on the stack: a log line, a header's value. A std::string asks for its capacity and calls
/// memcpy for every piece, which for dozens of small pieces is most of their cost.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace worker {

/// Up to `Capacity` bytes; what does not fit is cut off.
template <std::size_t Capacity>
class TextLine {
public:
    void add(std::string_view text) noexcept
    {
        const std::size_t size = std::min(text.size(), Capacity - size_);
        std::memcpy(bytes_.data() + size_, text.data(), size);
        size_ += size;
    }

    /// A literal: its size is known, so that copying it is a store or two.
    template <std::size_t Size>
    void add(const char (&literal)[Size]) noexcept // NOLINT: literals are such arrays
    {
        if (Capacity - size_ < Size) return add(std::string_view(literal, Size - 1));
        std::memcpy(bytes_.data() + size_, literal, Size - 1);
        size_ += Size - 1;
    }

    void add(char c) noexcept
    {
        if (size_ < Capacity) bytes_[size_++] = c;
    }

    /// All of its digits or, where they do not fit, none.
    void add_number(std::uint64_t number) noexcept
    {
        char* const end = bytes_.data() + Capacity;
        const auto done = std::to_chars(bytes_.data() + size_, end, number);
        if (done.ec == std::errc()) size_ = static_cast<std::size_t>(done.ptr - bytes_.data());
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// Valid until the next change.
    [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }

    /// What was added from `from` on, to be changed in place.
    [[nodiscard]] char* at(std::size_t from) noexcept { return bytes_.data() + from; }

private:
    // Not cleared: only what was added is ever read.
    std::array<char, Capacity> bytes_;
    std::size_t size_ = 0;
};

} // namespace worker
