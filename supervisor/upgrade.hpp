/// Upgrade in place: the program on disk takes over from the running one in the same process, which keeps its pid, its
/// sockets, the segment and the children. docs/upgrade.md tells the whole story; the steps are in supervisor_takeover.
#pragma once

#include "shared/base/result.hpp"
#include "supervisor/handover.hpp"
#include "supervisor/owned_fd.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace supervisor {

/// How this process was started, so that another program can be started in the same way.
struct ProgramStart {
    std::vector<std::string> arguments; ///< with argv[0]
    std::string binary;  ///< path, absolute; what lies there takes over. Empty = no upgrades
    std::string version; ///< of this program
};

/// The path in argv[0] if it leads to this program (it may be a link that a new version moves), else the program's own.
[[nodiscard]] ProgramStart program_start(int argc, const char* const* argv, std::string version);

/// What the environment hands over, if anything; children do not see it. A Problem if it is broken.
[[nodiscard]] shared::Result<std::optional<Handover>> take_handover();

/// Replaces this process by the program at `path`; returns only if that fails, with the reason. Signals that would end
/// the new program before it listens to them are blocked until allow_signals().
[[nodiscard]] shared::Problem
become(const std::string& path, const ProgramStart& start, const Handover& handover);

/// Signals to the supervisor wait from now on; become() does the same.
void block_signals() noexcept;
/// Ends that, in the new program or where there was none.
void allow_signals() noexcept;

/// Lets the program that handed over go on, and tells it why. Returns only if that fails.
[[nodiscard]] shared::Problem
give_back(Handover handover, const ProgramStart& start, const std::string& why);

/// It comes from a program of another layout, whose segment a drainer reads already: this one starts with its own.
[[nodiscard]] bool needs_own_segment(const Handover& handover) noexcept;

/// Descriptors of a program that is tried out: what it would be handed, where it says what is wrong.
inline constexpr int kTrialHandoverFd = 3;
inline constexpr int kTrialAnswerFd = 4;
inline constexpr int kTrialSegmentFd = 5;

/// The program that is to take over, run as a child beforehand: does it start, read this configuration, and understand
/// what it would be handed?
class Trial {
public:
    /// Nothing = it passed; else what is wrong with it, a sentence.
    using OnDone = std::function<void(const std::optional<std::string>& refusal)>;

    explicit Trial(boost::asio::io_context& loop) : timer_(loop) {}

    [[nodiscard]] bool under_way() const noexcept { return pid_ > 0; }

    /// The program that passed last has another layout: it needs a segment of its own, and ours a drainer.
    [[nodiscard]] bool other_layout() const noexcept { return other_layout_; }

    /// One at a time.
    [[nodiscard]] shared::Result<bool>
    start(const ProgramStart& program, const Handover& handover, OnDone on_done);

    /// After SIGCHLD.
    void reap();

private:
    void judge(int status);

    boost::asio::steady_timer timer_; ///< it is killed then
    pid_t pid_ = 0;
    bool timed_out_ = false;
    bool other_layout_ = false;
    std::string binary_;
    OwnedFd answer_;
    OnDone on_done_;
};

/// The other side: reads what it would be handed and says what is wrong. `problems` are those of the configuration. The
/// exit code.
[[nodiscard]] int run_trial(const std::vector<shared::Problem>& problems);

} // namespace supervisor
