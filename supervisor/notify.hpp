/// Tells systemd about the state of the service (sd_notify(3)), without libsystemd. Does nothing elsewhere.
#pragma once

#include <string>
#include <string_view>

namespace supervisor {

class Notifier {
public:
    /// `socket_name` is the value of NOTIFY_SOCKET; empty = nobody listens. A first '@' stands for a zero byte.
    explicit Notifier(std::string_view socket_name);

    /// Sends one or more lines, e.g. "READY=1"; never blocks, never fails: nothing depends on it.
    void send(std::string_view state) const;

    void ready() const { send("READY=1"); }

    /// Children were looked after within this tick: WatchdogSec= may go on waiting.
    void alive() const { send("WATCHDOG=1"); }

    /// `seconds` is how long that may take; systemd waits as long, even if TimeoutStopSec is less.
    void stopping(unsigned long long seconds) const;

    /// Lets systemd keep a descriptor, for whoever is started after this process (fd_store.hpp). Several may have one
    /// name; one that it has already is not kept twice.
    void store(int fd, std::string_view name) const;
    /// All of that name.
    void forget(std::string_view name) const;

    /// `monotonic_us` as systemd wants to know it for Type=notify-reload.
    void reloading(long long monotonic_us) const;

private:
    void send(std::string_view state, int fd) const;

    std::string socket_name_;
};

} // namespace supervisor
