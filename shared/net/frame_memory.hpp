/// Where coroutine frames come from, and what else each request makes anew: a dozen of the same few sizes, so each
/// thread keeps some blocks of each for the next. Only memory is kept here, no objects.
#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace shared::net {

inline constexpr std::size_t kFramesKeptMax = 32; ///< of one size

struct FrameBlocks {
    FrameBlocks() = default;
    FrameBlocks(const FrameBlocks&) = delete;
    FrameBlocks(FrameBlocks&&) = delete;
    FrameBlocks& operator=(const FrameBlocks&) = delete;
    FrameBlocks& operator=(FrameBlocks&&) = delete;

    ~FrameBlocks()
    {
        while (count > 0)
            ::operator delete(blocks[--count]);
    }

    std::array<void*, kFramesKeptMax> blocks{};
    std::size_t count = 0;
};

class FrameMemory {
public:
    static constexpr std::size_t kStepBytes = 128; ///< sizes are rounded up to multiples
    static constexpr std::size_t kClasses = 24;    ///< larger blocks come from the heap

    [[nodiscard]] static void* take(std::size_t size)
    {
        const std::size_t index = (size - 1) / kStepBytes;
        if (index >= kClasses || !kReuse) return ::operator new(size);
        FrameBlocks& kept = classes_[index];
        if (kept.count == 0) return ::operator new((index + 1) * kStepBytes);
        return kept.blocks[--kept.count];
    }

    static void give(void* block, std::size_t size) noexcept
    {
        const std::size_t index = (size - 1) / kStepBytes;
        if (index >= kClasses || !kReuse || classes_[index].count == kFramesKeptMax) {
            ::operator delete(block);
            return;
        }
        FrameBlocks& kept = classes_[index];
        kept.blocks[kept.count++] = block;
    }

private:
#if defined(__SANITIZE_ADDRESS__)
    static constexpr bool kReuse = false; // a reused block would hide a use after free
#else
    static constexpr bool kReuse = true;
#endif
    static inline thread_local std::array<FrameBlocks, kClasses> classes_;
};

/// Base of a class whose objects come from there.
struct InFrameMemory {
    static void* operator new(std::size_t size) { return FrameMemory::take(size); }

    static void operator delete(void* block, std::size_t size) noexcept
    {
        FrameMemory::give(block, size);
    }
};

} // namespace shared::net
