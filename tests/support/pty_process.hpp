/// A process on a terminal of its own: what it draws, keys for it, its size, and how it left the terminal.
#pragma once

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

namespace tests {

class PtyProcess {
public:
    PtyProcess(
        std::vector<std::string> arguments,
        const std::map<std::string, std::string>& environment,
        const std::filesystem::path& folder,
        unsigned short rows = 24,
        unsigned short columns = 100)
    {
        winsize size{rows, columns, 0, 0};
        if (::openpty(&terminal_, &other_end_, nullptr, nullptr, &size) != 0) std::abort();
        (void)::tcgetattr(other_end_, &before_);
        std::vector<std::string> variables;
        for (const auto& [name, value] : environment)
            variables.push_back(name + "=" + value);
        std::vector<char*> argv;
        std::vector<char*> envp;
        for (std::string& each : arguments)
            argv.push_back(each.data());
        for (std::string& each : variables)
            envp.push_back(each.data());
        argv.push_back(nullptr);
        envp.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(terminal_);
            (void)::login_tty(other_end_);
            if (::chdir(folder.c_str()) == 0) ::execve(argv[0], argv.data(), envp.data());
            ::_exit(127);
        }
    }

    ~PtyProcess()
    {
        if (!status_) {
            signal(SIGKILL);
            int status = 0;
            (void)::waitpid(pid_, &status, 0);
        }
        ::close(terminal_);
        ::close(other_end_);
    }

    PtyProcess(const PtyProcess&) = delete;
    PtyProcess& operator=(const PtyProcess&) = delete;

    void signal(int number) const { (void)::kill(pid_, number); }

    void type(std::string_view keys) const { (void)!::write(terminal_, keys.data(), keys.size()); }

    /// The kernel tells the process by SIGWINCH.
    void resize(unsigned short rows, unsigned short columns) const
    {
        const winsize size{rows, columns, 0, 0};
        (void)::ioctl(terminal_, TIOCSWINSZ, &size);
    }

    /// Reads on until what was drawn since the last forget() contains `text`.
    bool sees(std::string_view text, std::chrono::milliseconds patience = std::chrono::seconds(20))
    {
        const auto until = std::chrono::steady_clock::now() + patience;
        while (drawn_.find(text) == std::string::npos) {
            if (std::chrono::steady_clock::now() > until) return false;
            read_some();
        }
        return true;
    }

    void forget() { drawn_.clear(); }

    [[nodiscard]] const std::string& drawn() const { return drawn_; }

    /// What waitpid() says of its end; nothing if it still runs after 20 s.
    std::optional<int> wait()
    {
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!status_ && std::chrono::steady_clock::now() < until) {
            int status = 0;
            if (::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
            read_some();
        }
        return status_;
    }

    /// Whether it was stopped (Ctrl-Z) and can be continued.
    bool wait_stopped()
    {
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!status_ && std::chrono::steady_clock::now() < until) {
            int status = 0;
            if (::waitpid(pid_, &status, WUNTRACED | WNOHANG) == pid_) {
                if (WIFSTOPPED(status)) return true;
                status_ = status;
            }
            read_some();
        }
        return false;
    }

    /// Whether keys are read as they were before it began.
    [[nodiscard]] bool terminal_is_as_before() const
    {
        termios now{};
        (void)::tcgetattr(other_end_, &now);
        return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag &&
               now.c_oflag == before_.c_oflag;
    }

    [[nodiscard]] bool keys_come_one_by_one() const
    {
        termios now{};
        (void)::tcgetattr(other_end_, &now);
        return (now.c_lflag & (static_cast<tcflag_t>(ICANON) | ECHO)) == 0;
    }

private:
    void read_some()
    {
        pollfd ready{terminal_, POLLIN, 0};
        if (::poll(&ready, 1, 50) <= 0) return;
        std::array<char, 16384> bytes{};
        const ssize_t got = ::read(terminal_, bytes.data(), bytes.size());
        if (got > 0) drawn_.append(bytes.data(), static_cast<std::size_t>(got));
    }

    int terminal_ = -1;
    int other_end_ = -1; ///< kept open, to look at its settings afterwards
    pid_t pid_ = -1;
    termios before_{};
    std::string drawn_;
    std::optional<int> status_;
};

} // namespace tests
