/// The terminal as a whole screen: keys one by one, signals as values, and everything put back at the end, whatever
/// ends it (but SIGKILL).
#pragma once

#include "shared/base/result.hpp"
#include "supervisor/owned_fd.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <termios.h>

namespace supervisor::shell {

struct ScreenSize {
    std::size_t rows = 24;
    std::size_t columns = 80;

    friend bool operator==(const ScreenSize&, const ScreenSize&) = default;
};

/// What somebody did, or what happened.
struct Input {
    enum class Kind : std::uint8_t {
        nothing, ///< the time was over
        key,     ///< see `key`
        up,
        down,
        page_up,
        page_down,
        escape,
        resized,
        ends, ///< the terminal is gone, or a signal says so: see `signal`
    };

    Kind kind = Kind::nothing;
    char key = 0;
    int signal = 0; ///< 0 = end of the input
};

/// One at a time: it takes the signals of the process.
class Terminal {
public:
    /// Takes the terminal that is standard input and output. A Problem if they are none.
    [[nodiscard]] static shared::Result<Terminal> open();

    Terminal(Terminal&& other) noexcept;
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    Terminal& operator=(Terminal&&) = delete;
    /// Puts the terminal back.
    ~Terminal();

    [[nodiscard]] ScreenSize size() const;

    /// Draws what differs from what is there; lines are no wider than the screen, and no more than it has rows.
    void draw(const std::string& frame);

    /// Waits until something comes, at most until `until`.
    [[nodiscard]] Input wait(std::chrono::steady_clock::time_point until);

private:
    Terminal() = default;

    void enter();
    [[nodiscard]] Input read_key();
    [[nodiscard]] std::optional<Input> read_signal();

    termios before_{};
    sigset_t signals_before_{};
    supervisor::OwnedFd signals_;
    std::string drawn_;
    std::string typed_; ///< read and not yet looked at
    bool open_ = false;
};

/// The key at the beginning of `bytes`, which is taken off; `nothing` if there is only the beginning of one.
[[nodiscard]] Input take_key(std::string& bytes);

} // namespace supervisor::shell
