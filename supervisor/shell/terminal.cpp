#include "supervisor/shell/terminal.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace supervisor::shell {
namespace {

// Another screen without a cursor, and back.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J";
constexpr std::string_view kLeave = "\x1b[0m\x1b[?25h\x1b[?1049l";

/// For the handler of a crash, which may use nothing else.
termios g_before{};

void put(std::string_view text)
{
    while (!text.empty()) {
        const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return; // nobody looks any more
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

void restore(const termios& before)
{
    put(kLeave);
    // A terminal that is gone needs nothing.
    (void)::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
}

extern "C" void on_crash(int signal)
{
    restore(g_before);
    (void)::raise(signal); // SA_RESETHAND: now it ends the process
}

void catch_crashes()
{
    struct sigaction action {};

    action.sa_handler = on_crash;
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_NODEFER;
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
        (void)::sigaction(signal, &action, nullptr);
}

sigset_t watched_signals()
{
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH, SIGPIPE})
        sigaddset(&set, signal);
    return set;
}

} // namespace

shared::Result<Terminal> Terminal::open()
{
    if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0)
        return shared::Problem{
            "top", "this is no terminal", "use codex-pool status, or codex-pool top --json"};
    Terminal made;
    if (::tcgetattr(STDIN_FILENO, &made.before_) != 0)
        return shared::Problem{"top", std::strerror(errno), "use codex-pool status"};
    const sigset_t watched = watched_signals();
    made.signals_ = supervisor::OwnedFd(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!made.signals_) return shared::Problem{"top", std::strerror(errno), "try again"};
    (void)::sigprocmask(SIG_BLOCK, &watched, &made.signals_before_);
    g_before = made.before_;
    catch_crashes();
    made.open_ = true;
    made.enter();
    return made;
}

Terminal::Terminal(Terminal&& other) noexcept
    : before_(other.before_),
      signals_before_(other.signals_before_),
      signals_(std::move(other.signals_)),
      drawn_(std::move(other.drawn_)),
      typed_(std::move(other.typed_)),
      open_(std::exchange(other.open_, false))
{}

Terminal::~Terminal()
{
    if (!open_) return;
    restore(before_);
    (void)::sigprocmask(SIG_SETMASK, &signals_before_, nullptr);
}

void Terminal::enter()
{
    termios raw = before_;
    // Keys one by one and unseen; Ctrl-C and Ctrl-Z stay signals.
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    raw.c_cc[VMIN] = 1; // so that nothing read means the end
    raw.c_cc[VTIME] = 0;
    (void)::tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    put(kEnter);
    drawn_.clear();
}

ScreenSize Terminal::size() const
{
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        return {};
    return {size.ws_row, size.ws_col};
}

void Terminal::draw(const std::string& frame)
{
    if (frame == drawn_) return;
    drawn_ = frame;
    std::string out = "\x1b[?2026h\x1b[H"; // terminals that know it show the frame at once
    std::string_view left = frame;
    for (bool first = true; !left.empty(); first = false) {
        const std::size_t end = std::min(left.find('\n'), left.size());
        if (!first) out += "\r\n";
        out.append(left.substr(0, end)).append("\x1b[K");
        left.remove_prefix(std::min(end + 1, left.size()));
    }
    put(out + "\x1b[J\x1b[?2026l");
}

Input Terminal::wait(std::chrono::steady_clock::time_point until)
{
    for (;;) {
        if (const Input known = take_key(typed_); known.kind != Input::Kind::nothing) return known;
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            until - std::chrono::steady_clock::now());
        std::array<pollfd, 2> ready{{{STDIN_FILENO, POLLIN, 0}, {signals_.get(), POLLIN, 0}}};
        const int timeout = static_cast<int>(std::max<std::int64_t>(0, left.count()));
        const int count = ::poll(ready.data(), ready.size(), timeout);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return {};
        if (ready[1].revents != 0) {
            if (const auto input = read_signal()) return *input;
            continue;
        }
        if (const Input input = read_key(); input.kind != Input::Kind::nothing) return input;
    }
}

std::optional<Input> Terminal::read_signal()
{
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
    const int signal = static_cast<int>(info.ssi_signo);
    Input input;
    switch (signal) {
    case SIGWINCH:
        drawn_.clear();
        input.kind = Input::Kind::resized;
        return input;
    case SIGTSTP: {
        restore(before_);
        (void)::raise(SIGSTOP); // until somebody continues it
        enter();
        input.kind = Input::Kind::resized;
        return input;
    }
    default:
        input.kind = Input::Kind::ends;
        input.signal = signal;
        return input;
    }
}

Input Terminal::read_key()
{
    std::array<char, 64> bytes{};
    const ssize_t got = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return {};
    if (got <= 0) {
        Input end;
        end.kind = Input::Kind::ends;
        return end;
    }
    typed_.append(bytes.data(), static_cast<std::size_t>(got));
    Input input = take_key(typed_);
    if (input.kind == Input::Kind::nothing && typed_ == "\x1b") {
        // The key itself: the rest of a sequence would have come along.
        typed_.clear();
        input.kind = Input::Kind::escape;
    }
    return input;
}

Input take_key(std::string& bytes)
{
    struct Sequence {
        std::string_view bytes;
        Input::Kind kind;
    };

    constexpr std::array<Sequence, 6> kSequences{
        {{"\x1b[A", Input::Kind::up},
         {"\x1bOA", Input::Kind::up},
         {"\x1b[B", Input::Kind::down},
         {"\x1bOB", Input::Kind::down},
         {"\x1b[5~", Input::Kind::page_up},
         {"\x1b[6~", Input::Kind::page_down}}};
    Input input;
    if (bytes.empty()) return input;
    if (bytes.front() != '\x1b') {
        input.kind = Input::Kind::key;
        input.key = bytes.front();
        bytes.erase(0, 1);
        return input;
    }
    for (const Sequence& sequence : kSequences) {
        if (!bytes.starts_with(sequence.bytes)) continue;
        bytes.erase(0, sequence.bytes.size());
        input.kind = sequence.kind;
        return input;
    }
    if (bytes.size() < 3) return input;
    // Some other key: to its final byte.
    std::size_t end = 2;
    while (end < bytes.size() && (bytes[end] < 0x40 || bytes[end] > 0x7E))
        ++end;
    bytes.erase(0, std::min(end + 1, bytes.size()));
    return take_key(bytes);
}

} // namespace supervisor::shell
