/// The coroutine type of the proxy's hot path.
///
/// boost::asio::awaitable would do, but every `co_await helper()` there costs a trip through its thread object
/// (about a thousand instructions), and a request makes a dozen. A Task starts at once, like a plain function
/// call, and only if it has to wait does its caller suspend: a helper that needs no wait costs one allocation.
///
/// Rules: a Task is awaited exactly once, by the coroutine that made it; nothing throws out of one (an
/// exception ends the process: the supervisor starts another); parameters by value or by reference into the
/// awaiting frame. The g++ 12 rule holds: name temporaries before an expression with co_await.
#pragma once

#include "shared/net/frame_memory.hpp"

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace shared::net {

namespace detail {

struct TaskPromiseBase {
    std::coroutine_handle<> continuation;

    static void* operator new(std::size_t size) { return FrameMemory::take(size); }

    static void operator delete(void* frame, std::size_t size) noexcept
    {
        FrameMemory::give(frame, size);
    }

    [[nodiscard]] std::suspend_never initial_suspend() const noexcept { return {}; }

    struct Final {
        [[nodiscard]] bool await_ready() const noexcept { return false; }

        template <class Promise>
        [[nodiscard]] std::coroutine_handle<>
        await_suspend(std::coroutine_handle<Promise> self) const noexcept
        {
            const std::coroutine_handle<> next = self.promise().continuation;
            return next ? next : std::noop_coroutine();
        }

        void await_resume() const noexcept {}
    };

    [[nodiscard]] Final final_suspend() const noexcept { return {}; }

    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
    std::optional<T> value;

    auto get_return_object() noexcept
    {
        return std::coroutine_handle<TaskPromise>::from_promise(*this);
    }

    template <class U>
    void return_value(U&& result)
    {
        value.emplace(std::forward<U>(result));
    }

    T take() { return std::move(*value); }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
    auto get_return_object() noexcept
    {
        return std::coroutine_handle<TaskPromise>::from_promise(*this);
    }

    void return_void() const noexcept {}

    void take() const noexcept {}
};

} // namespace detail

template <class T = void>
class [[nodiscard]] Task {
public:
    using promise_type = detail::TaskPromise<T>;

    Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}

    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    Task& operator=(Task&&) = delete;

    ~Task()
    {
        if (handle_) handle_.destroy();
    }

    [[nodiscard]] bool await_ready() const noexcept { return handle_.done(); }

    void await_suspend(std::coroutine_handle<> caller) noexcept
    {
        handle_.promise().continuation = caller;
    }

    T await_resume() { return handle_.promise().take(); }

private:
    std::coroutine_handle<promise_type> handle_;
};

/// A coroutine nobody awaits; frees itself at its end. Its body must keep alive what it uses.
struct Detached {
    struct promise_type {
        [[nodiscard]] Detached get_return_object() const noexcept { return {}; }

        [[nodiscard]] std::suspend_never initial_suspend() const noexcept { return {}; }

        [[nodiscard]] std::suspend_never final_suspend() const noexcept { return {}; }

        void return_void() const noexcept {}

        [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    };
};

} // namespace shared::net
