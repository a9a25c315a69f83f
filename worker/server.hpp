/// The worker's listener, tick and drain: makes sessions, and ends when the last one has.
#pragma once

#include "shared/net/stream.hpp"
#include "shared/net/task.hpp"
#include "worker/session.hpp"
#include "worker/worker_state.hpp"

#include <boost/asio/basic_waitable_timer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>

namespace worker {

class Server {
public:
    using Timer = boost::asio::basic_waitable_timer<
        std::chrono::steady_clock,
        boost::asio::wait_traits<std::chrono::steady_clock>,
        shared::net::Executor>;

    /// Accepted in one go before others get their turn.
    static constexpr int kAcceptBatchMax = 64;

    /// Takes ownership of `listen_fd`. `worker` outlives the server.
    Server(WorkerState& worker, int listen_fd);
    Server(const Server&) = delete;
    Server(Server&&) = delete;
    Server& operator=(const Server&) = delete;
    Server& operator=(Server&&) = delete;
    /// Ends what still runs: call loop.poll() afterwards, or never again.
    ~Server();

    /// Ticks, but does not accept yet.
    void start();
    /// Accepts from now on.
    void serve();

    /// Accepts no more, ends idle connections (if `patient`, not before they had time for one more request), lets
    /// running requests finish; then `on_drained` runs, once.
    void drain(bool patient, std::function<void()> on_drained);
    /// Ends every connection.
    void abort_sessions() noexcept;

    [[nodiscard]] bool idle() const noexcept { return sessions_.empty(); }

private:
    shared::net::Detached accept_loop();
    /// Takes what waits, a batch at most. False = it cannot now: see the log.
    bool accept_waiting();
    void schedule_tick();
    void tick();
    void check_drained();

    WorkerState& worker_;
    shared::net::Stream listener_;
    Timer timer_;
    SessionList sessions_;
    std::function<void()> on_drained_;
    bool held_ = true; ///< until serve()
    bool accepting_ = false;
    bool closed_ = false;
};

} // namespace worker
