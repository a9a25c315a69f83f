/// Timeouts without timers: every waiting party owns a Deadline, one coarse tick per process looks at them all.
///
/// Setting or clearing one is a store of a number; nothing is queued and no system call is made. Expiry is late
/// by up to one tick, never early.
#pragma once

#include <boost/intrusive/list.hpp>

#include <chrono>
#include <cstdint>

namespace shared::net {

class Deadlines;

/// One party's deadline. Linked for its whole life; on_expired() runs from the tick, once per set(), and may
/// set it again.
class Deadline : public boost::intrusive::list_base_hook<> {
public:
    using OnExpired = void (*)(void* owner) noexcept;

    Deadline(Deadlines& all, OnExpired on_expired, void* owner) noexcept;
    Deadline(const Deadline&) = delete;
    Deadline(Deadline&&) = delete;
    Deadline& operator=(const Deadline&) = delete;
    Deadline& operator=(Deadline&&) = delete;
    ~Deadline();

    /// Expires after `time`; zero or less means never.
    void set(std::chrono::milliseconds time) noexcept;

    /// Expires at the next tick.
    void set_next_tick() noexcept { at_ms_ = 1; }

    /// Expires at that point of Deadlines::now_ms(); 0 means never.
    void set_at(std::int64_t at_ms) noexcept { at_ms_ = at_ms; }

    void clear() noexcept { at_ms_ = 0; }

    [[nodiscard]] std::int64_t at_ms() const noexcept { return at_ms_; }

private:
    friend class Deadlines;

    Deadlines& all_;
    OnExpired on_expired_;
    void* owner_;
    std::int64_t at_ms_ = 0;
};

/// All deadlines of a process. The owner of the loop calls tick() every `granularity`.
class Deadlines {
public:
    explicit Deadlines(std::chrono::milliseconds granularity = std::chrono::seconds(1)) noexcept;
    Deadlines(const Deadlines&) = delete;
    Deadlines(Deadlines&&) = delete;
    Deadlines& operator=(const Deadlines&) = delete;
    Deadlines& operator=(Deadlines&&) = delete;
    ~Deadlines() = default;

    /// Moves time to `now_ms` (monotonic) and tells everybody whose deadline has passed.
    void tick(std::int64_t now_ms) noexcept;

    /// Monotonic milliseconds at the last tick.
    [[nodiscard]] std::int64_t now_ms() const noexcept { return now_ms_; }

    [[nodiscard]] std::chrono::milliseconds granularity() const noexcept { return granularity_; }

private:
    friend class Deadline;

    boost::intrusive::list<Deadline, boost::intrusive::constant_time_size<false>> list_;
    boost::intrusive::list<Deadline, boost::intrusive::constant_time_size<false>>::iterator next_;
    std::chrono::milliseconds granularity_;
    std::int64_t now_ms_;
};

} // namespace shared::net
