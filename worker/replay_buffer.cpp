#include "worker/replay_buffer.hpp"

#include "shared/base/wiping_allocator.hpp"

#include <algorithm>
#include <cstring>

namespace worker {

namespace {

constexpr std::size_t kFirstBytes = 16 * 1024;

} // namespace

void ReplayBuffer::reserve(std::size_t bytes)
{
    bytes_ = std::make_unique_for_overwrite<char[]>(bytes);
    capacity_ = bytes;
    size_ = 0;
}

bool ReplayBuffer::append(std::string_view bytes, std::size_t max)
{
    if (bytes.empty()) return true;
    if (bytes.size() > max || size_ > max - bytes.size()) return false;
    const std::size_t needed = size_ + bytes.size();
    if (needed > capacity_) {
        const std::size_t grown = std::max({needed, capacity_ + capacity_ / 2, kFirstBytes});
        const std::size_t capacity = std::min(grown, max);
        auto larger = std::make_unique_for_overwrite<char[]>(capacity);
        if (size_ > 0) std::memcpy(larger.get(), bytes_.get(), size_);
        if (secret_) shared::wipe(bytes_.get(), capacity_);
        bytes_ = std::move(larger);
        capacity_ = capacity;
    }
    std::memcpy(free_space(), bytes.data(), bytes.size());
    size_ = needed;
    return true;
}

void ReplayBuffer::release() noexcept
{
    if (secret_) shared::wipe(bytes_.get(), capacity_);
    bytes_.reset();
    size_ = 0;
    capacity_ = 0;
}

} // namespace worker
