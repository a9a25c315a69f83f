/// Where coroutine frames come from, and what else each request makes anew: a dozen of the same few sizes, so each
/// thread keeps some blocks of each for the next. Only memory is kept here, no objects.
#pragma once

#include <array>
#include <cstddef>
#include <new>
#include <utility>

namespace shared::net {

class FrameMemory {
public:
    static constexpr std::size_t kStepBytes = 128; ///< sizes are rounded up to multiples
    static constexpr std::size_t kClasses = 24;    ///< larger blocks come from the heap
    static constexpr std::size_t kKeptMax = 128;   ///< of one size

    [[nodiscard]] static void* take(std::size_t size)
    {
        const std::size_t index = (size - 1) / kStepBytes;
        if (index >= kClasses || !kReuse) return ::operator new(size);
        Kept& kept = kept_[index];
        if (kept.first == nullptr) return ::operator new((index + 1) * kStepBytes);
        Block* const block = kept.first;
        kept.first = block->next;
        --kept.count;
        return block;
    }

    static void give(void* memory, std::size_t size) noexcept
    {
        const std::size_t index = (size - 1) / kStepBytes;
        if (index >= kClasses || !kReuse || kept_[index].count == kKeptMax) {
            ::operator delete(memory);
            return;
        }
        Kept& kept = kept_[index];
        if (kept.count == 0) giver_back_.waits = true; // a thread's first use of it makes it
        kept.first = new (memory) Block{kept.first};
        ++kept.count;
    }

private:
    /// A block that is kept, in its own first bytes.
    struct Block {
        Block* next;
    };

    struct Kept {
        Block* first;
        std::size_t count;
    };

    /// At the end of its thread.
    struct GiverBack {
        bool waits;

        ~GiverBack()
        {
            for (Kept& kept : kept_) {
                while (kept.first != nullptr)
                    ::operator delete(std::exchange(kept.first, kept.first->next));
                kept.count = kKeptMax; // what is given later is not kept
            }
        }
    };

#if defined(__SANITIZE_ADDRESS__)
    static constexpr bool kReuse = false; // a reused block would hide a use after free
#else
    static constexpr bool kReuse = true;
#endif
    // Apart from its destruction: what needs none is reached without asking whether it was initialised.
    static inline constinit thread_local std::array<Kept, kClasses> kept_{};
    static inline thread_local GiverBack giver_back_;
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
