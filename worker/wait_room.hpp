/// Requests of this worker that wait for something no socket tells: a place on an account, a token being renewed.
///
/// One timer looks after all of them, and none runs while nobody waits. Who is next is decided in the segment, over all
/// workers (shared/segment/wait_queue.hpp); here its own are woken, to choose and claim an account themselves.
#pragma once

#include "shared/net/connector.hpp"
#include "shared/net/loop.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/wait_queue.hpp"
#include "shared/selection/score.hpp"

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/intrusive/list.hpp>

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace worker {

struct WorkerState;
class Wait;

/// What a request waits for: the turn of its ticket, or another version of an account's token.
struct WaitFor {
    std::optional<std::uint16_t> ticket;
    shared::ProviderId provider = shared::ProviderId::none; ///< of the ticket
    shared::AccountSlot token_of;
    std::uint64_t token_version = 0;
    shared::MonotonicMillis until{0};
};

enum class WaitEnd : std::uint8_t {
    look_again, ///< its turn may have come, or its client is gone
    timed_out,
    stopping, ///< the worker ends: nobody waits any more
};

/// A Wait leaves its list by itself when it ends.
using WaitHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

class WaitRoom {
public:
    static constexpr std::chrono::milliseconds kLookEvery{10};
    /// Woken in one look; the rest in the next.
    static constexpr std::size_t kWokenMax = 64;

    explicit WaitRoom(WorkerState& worker);
    WaitRoom(const WaitRoom&) = delete;
    WaitRoom(WaitRoom&&) = delete;
    WaitRoom& operator=(const WaitRoom&) = delete;
    WaitRoom& operator=(WaitRoom&&) = delete;
    ~WaitRoom() = default;

    [[nodiscard]] bool closed() const noexcept { return closed_; }

    /// A request of this worker ended: whoever waits need not wait for the timer.
    void place_freed();

    /// Wakes everybody, and whoever comes later does not wait.
    void close();

private:
    friend class Wait;

    using Timer = boost::asio::basic_waitable_timer<
        std::chrono::steady_clock,
        boost::asio::wait_traits<std::chrono::steady_clock>,
        shared::net::Executor>;
    using List = boost::intrusive::list<
        Wait,
        boost::intrusive::base_hook<WaitHook>,
        boost::intrusive::constant_time_size<false>>;

    void enter(Wait& wait);
    void schedule();
    void look();
    void call_turns();
    void call_others();
    void wake(List& woken);

    WorkerState& worker_;
    Timer timer_;
    List waiting_;
    bool scheduled_ = false;
    bool looking_soon_ = false;
    bool closed_ = false;
};

/// One request's wait: `co_await` it, once, in the frame it lives in.
class Wait : public WaitHook {
public:
    /// All outlive the wait. A cancelled `cancel` ends it.
    Wait(WaitRoom& room, const WaitFor& what, const shared::net::CancelToken& cancel) noexcept
        : room_(room), what_(what), cancel_(cancel)
    {}

    Wait(const Wait&) = delete;
    Wait(Wait&&) = delete;
    Wait& operator=(const Wait&) = delete;
    Wait& operator=(Wait&&) = delete;
    ~Wait() = default;

    [[nodiscard]] bool await_ready() const noexcept { return room_.closed(); }

    void await_suspend(std::coroutine_handle<> waiter)
    {
        waiter_ = waiter;
        room_.enter(*this);
    }

    [[nodiscard]] WaitEnd await_resume() const noexcept
    {
        return room_.closed() ? WaitEnd::stopping : end_;
    }

private:
    friend class WaitRoom;

    WaitRoom& room_;
    const WaitFor what_;
    const shared::net::CancelToken& cancel_;
    std::coroutine_handle<> waiter_;
    WaitEnd end_ = WaitEnd::look_again;
    bool called_ = false; ///< to be woken
};

/// What those of the candidates offer that could serve now, but for their caps.
void places_of(
    std::span<const shared::Candidate> candidates,
    shared::UnixMillis now,
    std::vector<shared::AccountPlace>& out);

} // namespace worker
