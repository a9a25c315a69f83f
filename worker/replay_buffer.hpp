/// A request body, held once so that it can be looked into and sent again.
///
/// Sized from Content-Length and not cleared, so that a body is received straight into its place and a
/// kept heap costs no page faults.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace worker {

class ReplayBuffer {
public:
    ReplayBuffer() = default;
    ReplayBuffer(const ReplayBuffer&) = delete;
    ReplayBuffer& operator=(const ReplayBuffer&) = delete;

    ~ReplayBuffer() { release(); }

    /// What it holds is cleared before its memory is given back.
    void keep_secret() noexcept { secret_ = true; }

    /// Room for exactly `bytes`; what was held is lost.
    void reserve(std::size_t bytes);

    /// Appends, growing by half; never beyond `max` bytes in all. Returns false, and takes nothing, if it would
    /// be.
    [[nodiscard]] bool append(std::string_view bytes, std::size_t max);

    [[nodiscard]] char* free_space() noexcept { return bytes_.get() + size_; }

    [[nodiscard]] std::size_t room() const noexcept { return capacity_ - size_; }

    /// `bytes` were written to free_space().
    void commit(std::size_t bytes) noexcept { size_ += bytes; }

    [[nodiscard]] std::string_view view() const noexcept { return {bytes_.get(), size_}; }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    void release() noexcept;

private:
    std::unique_ptr<char[]> bytes_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
    bool secret_ = false;
};

} // namespace worker
