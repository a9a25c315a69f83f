#include "supervisor/upgrade.hpp"

#include "shared/base/log.hpp"
#include "shared/segment/layout_version.hpp"
#include "shared/segment/segment.hpp"
#include "supervisor/spawn.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace supervisor {
namespace {

using namespace std::chrono_literals;
using shared::Problem;
using shared::Result;

constexpr auto kTrialMax = 20s;
constexpr std::size_t kAnswerBytesMax = 4000;
/// What a program says that passes.
constexpr std::string_view kOk = "ok";
constexpr std::string_view kOkOtherLayout = "ok, with another layout";

void keep_over_exec(int fd, bool keep) noexcept
{
    const int flags = fcntl(fd, F_GETFD);
    if (flags >= 0) (void)fcntl(fd, F_SETFD, keep ? flags & ~FD_CLOEXEC : flags | FD_CLOEXEC);
}

sigset_t signals_of_the_loop() noexcept
{
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGUSR2, SIGCHLD})
        sigaddset(&set, number);
    return set;
}

/// Whether both lead to the same file now.
bool same_file(const std::filesystem::path& a, const std::filesystem::path& b)
{
    std::error_code error;
    return std::filesystem::equivalent(a, b, error) && !error;
}

Problem exec_problem(const std::string& path, int reason)
{
    return {path, std::string("cannot be executed: ") + std::strerror(reason), "look at the file"};
}

} // namespace

ProgramStart program_start(int argc, const char* const* argv, std::string version)
{
    ProgramStart start;
    start.arguments.assign(argv, argv + argc);
    start.version = std::move(version);
    std::error_code error;
    const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
    const std::filesystem::path given = argc > 0 ? argv[0] : "";
    const std::filesystem::path absolute = std::filesystem::absolute(given, error);
    const bool leads_here = given.has_parent_path() && same_file(absolute, "/proc/self/exe");
    start.binary = leads_here ? absolute : self;
    return start;
}

Result<std::optional<Handover>> take_handover()
{
    const char* text = std::getenv(kHandoverVariable);
    if (text == nullptr) return std::optional<Handover>();
    int fd = -1;
    const std::string_view digits(text);
    (void)std::from_chars(digits.data(), digits.data() + digits.size(), fd);
    const OwnedFd file(fd);
    (void)unsetenv(kHandoverVariable);
    auto handover = read_handover(fd);
    if (!handover) return handover.error();
    for (const int kept : handover->descriptors())
        keep_over_exec(kept, false);
    return std::optional<Handover>(std::move(*handover));
}

Problem become(const std::string& path, const ProgramStart& start, const Handover& handover)
{
    auto text = sealed_text(to_text(handover));
    if (!text) return text.error();
    std::vector<std::string> arguments = start.arguments;
    std::vector<char*> argv;
    for (std::string& argument : arguments)
        argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::vector<int> kept = handover.descriptors();
    kept.push_back(text->get());

    for (const int fd : kept)
        keep_over_exec(fd, true);
    if (setenv(kHandoverVariable, std::to_string(text->get()).c_str(), 1) != 0)
        return exec_problem(path, errno);
    block_signals();
    shared::log::flush();
    execv(path.c_str(), argv.data());
    const int reason = errno;
    (void)unsetenv(kHandoverVariable);
    for (const int fd : kept)
        keep_over_exec(fd, false);
    allow_signals();
    return exec_problem(path, reason);
}

void block_signals() noexcept
{
    const sigset_t set = signals_of_the_loop();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void allow_signals() noexcept
{
    const sigset_t set = signals_of_the_loop();
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

Problem give_back(Handover handover, const ProgramStart& start, const std::string& why)
{
    handover.refused = why;
    // The file may be gone: it is the open descriptor that counts.
    const std::string path = "/proc/self/fd/" + std::to_string(handover.program_fd);
    return become(path, start, handover);
}

bool needs_own_segment(const Handover& handover) noexcept
{
    const bool drained = std::any_of(
        handover.drainers.begin(), handover.drainers.end(), [](const Handover::Drainer& each) {
            return each.held;
        });
    return handover.layout != shared::kBuildLayout && drained;
}

// ---- the trial ----------------------------------------------------------------------------------------------

Result<bool> Trial::start(const ProgramStart& program, const Handover& handover, OnDone on_done)
{
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return Problem{"upgrade", std::strerror(errno), "check the limits on open files"};
    OwnedFd writer(ends[1]);
    answer_ = OwnedFd(ends[0]);
    auto text = sealed_text(to_text(handover));
    if (!text) return text.error();
    SpawnRequest request;
    request.program = program.binary;
    request.arguments = program.arguments;
    request.arguments.emplace_back("--takeover-trial");
    request.descriptors = {
        {text->get(), kTrialHandoverFd},
        {writer.get(), kTrialAnswerFd},
        {handover.segment_fd, kTrialSegmentFd}};
    const auto pid = spawn(request);
    if (!pid) return pid.error();
    pid_ = *pid;
    timed_out_ = false;
    binary_ = program.binary;
    on_done_ = std::move(on_done);
    timer_.expires_after(kTrialMax);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (error || !under_way()) return;
        timed_out_ = true;
        kill(pid_, SIGKILL);
    });
    return true;
}

void Trial::reap()
{
    int status = 0;
    if (!under_way() || waitpid(pid_, &status, WNOHANG) != pid_) return;
    pid_ = 0;
    timer_.cancel();
    judge(status);
}

void Trial::judge(int status)
{
    std::array<char, kAnswerBytesMax> bytes{};
    const ssize_t got = read(answer_.get(), bytes.data(), bytes.size());
    std::string said(bytes.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    while (!said.empty() && said.back() == '\n')
        said.pop_back();
    answer_.reset();
    const OnDone done = std::exchange(on_done_, nullptr);
    other_layout_ = said == kOkOtherLayout;
    const bool passed = said == kOk || other_layout_;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && passed) return done(std::nullopt);
    if (timed_out_) return done(binary_ + " did not answer when it was tried out.");
    if (WIFSIGNALED(status))
        return done(
            binary_ + " ended with signal " + std::to_string(WTERMSIG(status)) +
            " when it was tried out.");
    if (!said.empty()) return done(binary_ + " refuses: " + said);
    done(
        binary_ + " is no codex-pool that can take over from a running one (exit code " +
        std::to_string(WEXITSTATUS(status)) + "); restart the pool instead.");
}

int run_trial(const std::vector<Problem>& problems)
{
    std::string said;
    for (const Problem& problem : problems)
        said += problem.text() + "\n";
    const auto handover = read_handover(kTrialHandoverFd);
    if (!handover) said += handover.error().text() + "\n";
    const bool other = handover && handover->layout != shared::kBuildLayout;
    if (handover && problems.empty() && !(other && handover->can_drain)) {
        const auto segment = shared::SegmentMapping::attach(kTrialSegmentFd);
        if (!segment) said += segment.error().text() + "\n";
    }
    const bool passed = said.empty();
    if (passed) said = other ? kOkOtherLayout : kOk;
    said.resize(std::min(said.size(), kAnswerBytesMax));
    (void)!write(kTrialAnswerFd, said.data(), said.size());
    return passed ? 0 : 1;
}

} // namespace supervisor
