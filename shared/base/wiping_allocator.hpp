/// An allocator that clears memory before it gives it back: for buffers through which secrets pass.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace shared {

/// Overwrites memory in a way that no compiler leaves out.
void wipe(void* bytes, std::size_t size) noexcept;
/// The text's own bytes; it is empty afterwards.
void wipe(std::string& text) noexcept;

template <class T>
struct WipingAllocator {
    using value_type = T;

    WipingAllocator() = default;

    template <class U>
    // NOLINTNEXTLINE(google-explicit-constructor): allocators convert into each other
    WipingAllocator(const WipingAllocator<U>&) noexcept
    {}

    [[nodiscard]] T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }

    void deallocate(T* at, std::size_t count) noexcept
    {
        wipe(at, count * sizeof(T));
        std::allocator<T>().deallocate(at, count);
    }

    template <class U>
    friend bool operator==(const WipingAllocator&, const WipingAllocator<U>&) noexcept
    {
        return true;
    }
};

} // namespace shared
