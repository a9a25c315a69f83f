#include "supervisor/spawn.hpp"

#include "shared/ipc/messages.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace supervisor {
namespace {

using shared::Problem;
using shared::Result;

Problem system_problem(const char* what, int reason = errno)
{
    return {
        "starting a process",
        std::string(what) + ": " + std::strerror(reason),
        "check the limits on processes, open files and memory"};
}

/// Above every number that a child's descriptor may get, so that moving one never overwrites another.
constexpr int kParkingFd = 64;

// From here to exec only async-signal-safe calls: another thread may have held the allocator's lock when
// the process was copied.
void arrange_descriptors(std::pair<int, int>* descriptors, std::size_t count) noexcept
{
    for (std::size_t i = 0; i < count; ++i) {
        descriptors[i].first = fcntl(descriptors[i].first, F_DUPFD, kParkingFd);
        if (descriptors[i].first < 0) _exit(shared::kExitFatal);
    }
    int next = STDERR_FILENO + 1;
    for (std::size_t i = 0; i < count; ++i) {
        const auto [from, to] = descriptors[i];
        if (to > next) (void)close_range(next, static_cast<unsigned>(to - 1), 0);
        if (dup2(from, to) < 0) _exit(shared::kExitFatal);
        next = to + 1;
    }
    (void)close_range(static_cast<unsigned>(next), ~0U, 0);
}

void reset_signals() noexcept
{
    for (int number = 1; number < NSIG; ++number) {
        (void)std::signal(number, SIG_DFL); // refused for SIGKILL and SIGSTOP
    }
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ})
        (void)std::signal(number, SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

} // namespace

Result<pid_t> spawn(const SpawnRequest& request)
{
    std::vector<char*> argv;
    for (const std::string& argument : request.arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    std::vector<std::pair<int, int>> descriptors = request.descriptors;

    // No handler of ours may run in the child before exec: it would write into our signal pipe.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = fork();
    if (pid == 0) {
        arrange_descriptors(descriptors.data(), descriptors.size());
        reset_signals();
        execv(request.program.c_str(), argv.data());
        constexpr std::string_view kFailed =
            "codex-pool: cannot execute itself for a child process\n";
        (void)!write(STDERR_FILENO, kFailed.data(), kFailed.size());
        _exit(shared::kExitFatal);
    }
    const int reason = errno;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) return system_problem("fork", reason);
    return pid;
}

bool wait_for_end(pid_t pid, std::chrono::milliseconds max)
{
    constexpr std::chrono::milliseconds kStep{5};
    for (std::chrono::milliseconds waited{0};; waited += kStep) {
        const pid_t ended = waitpid(pid, nullptr, WNOHANG);
        if (ended == pid || (ended < 0 && errno == ECHILD)) return true;
        if (waited >= max) return false;
        std::this_thread::sleep_for(kStep);
    }
}

void kill_and_wait(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
}

Result<std::pair<OwnedFd, OwnedFd>> control_pair()
{
    int ends[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
        return system_problem("socketpair");
    }
    return std::pair(OwnedFd(ends[0]), OwnedFd(ends[1]));
}

Result<OwnedFd> sealed_text(std::string_view text)
{
    OwnedFd file(memfd_create("codex-pool-config", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file) return system_problem("memfd_create");
    while (!text.empty()) {
        const ssize_t written = write(file.get(), text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return system_problem("write");
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) !=
        0) {
        return system_problem("sealing");
    }
    return file;
}

Result<OwnedFd> reopen(int fd)
{
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return system_problem("cannot reopen a descriptor");
    return file;
}

} // namespace supervisor
