#include "supervisor/drainers.hpp"

#include "shared/base/log.hpp"
#include "supervisor/drainer.hpp"
#include "supervisor/fd_store.hpp"
#include "supervisor/spawn.hpp"

#include <boost/asio/post.hpp>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

namespace supervisor {
namespace {

using namespace std::chrono_literals;
using shared::MessageType;

/// It only has to write its last batch. Killing it is safe: what it has not written stays in the segment.
constexpr auto kTakeBackMax = 5s;

OwnedFd copy_of(int fd)
{
    return OwnedFd(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

} // namespace

Drainers::Drainers(
    boost::asio::io_context& loop,
    const Notifier& notifier,
    std::function<void()> on_end,
    OnState on_state)
    : loop_(loop),
      notifier_(notifier),
      on_end_(std::move(on_end)),
      on_state_(std::move(on_state))
{}

shared::Result<bool> Drainers::start(int program_fd, int segment_fd, int config_fd)
{
    Drainer drainer;
    drainer.held = true;
    drainer.program = copy_of(program_fd);
    drainer.segment = copy_of(segment_fd);
    drainer.config = copy_of(config_fd);
    drainer.state = OwnedFd(memfd_create("codex-pool-state", MFD_CLOEXEC));
    if (!drainer.program || !drainer.segment || !drainer.config || !drainer.state)
        return shared::Problem{
            "drainer", std::strerror(errno), "check the limits on open files"};
    drainers_.push_back(std::move(drainer));
    auto launched = launch(drainers_.back());
    if (!launched) drainers_.pop_back();
    return launched;
}

shared::Result<bool> Drainers::launch(Drainer& drainer)
{
    auto control = control_pair();
    if (!control) return control.error();
    SpawnRequest request;
    // The file may be gone: it is the open descriptor that counts.
    request.program = "/proc/self/fd/" + std::to_string(shared::kProgramFd);
    request.arguments = {
        "codex-pool", "child", "--role", "drainer", "--slot", "0", "--listener", "0",
        "--generation", "0"};
    if (drainer.held) request.arguments.emplace_back("--hold");
    request.descriptors = {
        {control->second.get(), shared::kControlFd},
        {drainer.segment.get(), shared::kSegmentFd},
        {drainer.config.get(), shared::kConfigFd},
        {drainer.program.get(), shared::kProgramFd}};
    if (drainer.state) request.descriptors.emplace_back(drainer.state.get(), kStateFd);
    const auto pid = spawn(request);
    if (!pid) return pid.error();
    drainer.pid = *pid;
    // Whoever comes after a supervisor that is lost can still end it.
    notifier_.store(control->first.get(), kStoredDrainer);
    connect(drainer, control->first.release());
    shared::log::info("event=child_started name=\"drainer\" pid={}", drainer.pid);
    return true;
}

void Drainers::connect(Drainer& drainer, int control_fd)
{
    drainer.channel = std::make_unique<shared::ControlChannel>(loop_, control_fd);
    const auto on_message = [this, &drainer](const shared::Message& message) {
        if (message.type == MessageType::ready && drainer.state) on_state_(drainer.state.get());
    };
    drainer.channel->start(on_message, [this, &drainer] {
        // The end of a child is told by SIGCHLD.
        if (drainer.pid != 0) return;
        boost::asio::post(loop_, [this, &drainer] {
            for (auto each = drainers_.begin(); each != drainers_.end(); ++each)
                if (&*each == &drainer) return forget(each);
        });
    });
}

void Drainers::adopt(const Handover::Drainer& given)
{
    Drainer& drainer = drainers_.emplace_back();
    drainer.pid = given.pid;
    drainer.held = given.held;
    drainer.program = OwnedFd(given.program_fd);
    drainer.segment = OwnedFd(given.segment_fd);
    drainer.config = OwnedFd(given.config_fd);
    drainer.state = OwnedFd(given.state_fd);
    if (given.control_fd >= 0) connect(drainer, given.control_fd);
    if (given.control_fd < 0 && drainer.pid == 0) drainers_.pop_back();
}

void Drainers::adopt(OwnedFd control)
{
    Drainer& drainer = drainers_.emplace_back();
    connect(drainer, control.release());
    // Its supervisor may have been lost before it let go of its workers.
    tell(drainer, MessageType::drain);
    shared::log::info("event=drainer_found: it counts what workers of another layout finish");
}

std::vector<Handover::Drainer> Drainers::describe()
{
    std::vector<Handover::Drainer> all;
    for (Drainer& each : drainers_) {
        all.push_back(
            {each.pid,
             each.channel ? each.channel->fd() : -1,
             each.program.get(),
             each.segment.get(),
             each.config.get(),
             each.state.get(),
             each.held});
    }
    return all;
}

void Drainers::release()
{
    for (Drainer& each : drainers_) {
        if (!std::exchange(each.held, false)) continue;
        tell(each, MessageType::drain);
    }
}

void Drainers::take_back()
{
    for (auto each = drainers_.begin(); each != drainers_.end();) {
        const auto drainer = each++;
        if (!drainer->held) continue;
        tell(*drainer, MessageType::stop);
        if (drainer->pid > 0 && !wait_for_end(drainer->pid, kTakeBackMax)) {
            shared::log::warn(
                "event=killing name=\"drainer\" pid={}: it did not stop", drainer->pid);
            kill_and_wait(drainer->pid);
        }
        forget(drainer);
    }
}

void Drainers::reap()
{
    for (auto each = drainers_.begin(); each != drainers_.end();) {
        const auto drainer = each++;
        int status = 0;
        if (drainer->pid <= 0 || waitpid(drainer->pid, &status, WNOHANG) != drainer->pid) continue;
        const bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        const bool hopeless =
            !drainer->program || (WIFEXITED(status) && WEXITSTATUS(status) == shared::kExitFatal);
        if (done) {
            shared::log::info("event=child_ended name=\"drainer\" pid={}", drainer->pid);
        } else {
            shared::log::error(
                "event=child_died name=\"drainer\" pid={} status={} action=\"{}\"",
                drainer->pid,
                status,
                hopeless ? "given up: what its workers finish is not counted" : "start another");
        }
        drainer->pid = -1;
        if (done || hopeless) forget(drainer);
    }
}

void Drainers::restart_dead()
{
    for (Drainer& each : drainers_) {
        if (each.pid >= 0) continue;
        if (auto launched = launch(each); !launched)
            shared::log::error("event=child_not_started {}", launched.error().text());
    }
}

void Drainers::hurry()
{
    for (const Drainer& each : drainers_)
        if (each.pid == 0) tell(each, MessageType::stop, 1);
}

void Drainers::kill_all()
{
    for (auto each = drainers_.begin(); each != drainers_.end();) {
        const auto drainer = each++;
        if (drainer->pid > 0) {
            shared::log::warn("event=killing name=\"drainer\" pid={}", drainer->pid);
            kill_and_wait(drainer->pid);
        }
        forget(drainer);
    }
}

void Drainers::forget(std::list<Drainer>::iterator drainer)
{
    if (drainer->channel) {
        // Its last read may be queued already on the loop: it must find the object alive.
        boost::asio::post(loop_, [kept = std::move(drainer->channel)] { kept->close(); });
    }
    drainers_.erase(drainer);
    if (drainers_.empty()) notifier_.forget(kStoredDrainer);
    on_end_();
}

void Drainers::tell(const Drainer& drainer, MessageType type, std::uint64_t value)
{
    if (!drainer.channel) return;
    shared::Message message;
    message.type = type;
    message.value = value;
    drainer.channel->send(message);
}

} // namespace supervisor
