#include "supervisor/process_tree.hpp"

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/segment/worker_slots.hpp"
#include "supervisor/orphans.hpp"
#include "supervisor/spawn.hpp"

#include <boost/asio/post.hpp>

#include <chrono>
#include <csignal>
#include <optional>
#include <utility>

#include <sys/wait.h>

namespace supervisor {
namespace {

/// The refresher waits 4 s for an answer that holds an account's only token.
constexpr std::chrono::seconds kEndMax{5};

} // namespace

ProcessTree::ProcessTree(
    boost::asio::io_context& loop, TreeParts parts, std::size_t workers, OnMessage on_message)
    : loop_(loop), parts_(std::move(parts)), on_message_(std::move(on_message)), table_(workers)
{}

bool ProcessTree::start(std::size_t place, std::int64_t now_us, bool hold)
{
    const bool is_worker = table_.places()[place].role == Role::worker;
    ++last_generation_;
    std::optional<std::uint16_t> slot = 0;
    if (is_worker) slot = shared::claim_slot(parts_.segment, last_generation_);
    if (!slot) {
        shared::log::error(
            "event=child_not_started: all {} slots are taken by workers that still drain",
            shared::kMaxSlots);
        return false;
    }
    auto launched = launch(place, *slot, hold);
    if (!launched) {
        shared::log::error("event=child_not_started {}", launched.error().text());
        if (is_worker) parts_.writer.close(*slot);
        return false;
    }
    Child& child = table_.add(*launched);
    child.started_us = now_us;
    if (is_worker) {
        shared::WorkerSlot& row = parts_.segment.workers[*slot];
        row.started_ticks.store(started_ticks(child.pid), std::memory_order_relaxed);
        row.listener.store(table_.place_of(child).number, std::memory_order_relaxed);
        row.pid.store(child.pid, std::memory_order_release);
        parts_.writer.watch(*slot);
    }
    shared::log::info(
        "event=child_started name=\"{}\" pid={} generation={}",
        table_.name(child),
        child.pid,
        child.generation);
    return true;
}

shared::Result<Child> ProcessTree::launch(std::size_t place_index, std::uint16_t slot, bool hold)
{
    const Place& place = table_.places()[place_index];
    auto control = control_pair();
    if (!control) return control.error();
    auto config = reopen(parts_.config_fd);
    if (!config) return config.error();

    SpawnRequest request;
    request.program = parts_.program;
    request.arguments = {
        "codex-pool",
        "child",
        "--role",
        std::string(to_string(place.role)),
        "--slot",
        std::to_string(slot),
        "--generation",
        std::to_string(last_generation_),
        "--listener",
        std::to_string(place.number)};
    if (hold) request.arguments.emplace_back("--hold");
    request.descriptors = {
        {control->second.get(), shared::kControlFd},
        {parts_.segment_fd, shared::kSegmentFd},
        {config->get(), shared::kConfigFd}};
    if (place.role == Role::worker) {
        request.descriptors.emplace_back(parts_.listeners.fd(place.number), shared::kListenFd);
    } else if (place.role == Role::admin) {
        request.descriptors.emplace_back(parts_.admin_fd, shared::kListenFd);
        if (parts_.control_fd >= 0)
            request.descriptors.emplace_back(parts_.control_fd, shared::kOwnerListenFd);
    }
    const auto pid = spawn(request);
    if (!pid) return pid.error();

    Child child;
    child.place = place_index;
    child.pid = *pid;
    child.generation = last_generation_;
    child.slot = slot;
    connect(child, control->first.release());
    return child;
}

void ProcessTree::connect(const Child& child, int control_fd)
{
    auto channel = std::make_unique<shared::ControlChannel>(loop_, control_fd);
    channel->start(
        [this, generation = child.generation](const shared::Message& message) {
            Child* sender = table_.by_generation(generation);
            if (sender != nullptr && message.generation == generation)
                on_message_(*sender, message);
        },
        [] {}); // its end is reported by SIGCHLD
    channels_.emplace(child.generation, std::move(channel));
}

void ProcessTree::adopt(const Child& child, int control_fd)
{
    raise_generation(child.generation);
    connect(table_.add(child), control_fd);
    if (table_.place_of(child).role == Role::worker && !child.foreign)
        parts_.writer.watch(child.slot);
}

int ProcessTree::control_fd(const Child& child)
{
    const auto channel = channels_.find(child.generation);
    return channel == channels_.end() ? -1 : channel->second->fd();
}

void ProcessTree::discard(const Child& child)
{
    kill_and_wait(child.pid);
    if (table_.place_of(child).role == Role::worker)
        (void)shared::close_slot(parts_.segment, child.slot, shared::now_unix());
    forget(child);
}

void ProcessTree::end(const Child& child)
{
    send(child, shared::MessageType::stop);
    if (!wait_for_end(child.pid, kEndMax)) {
        shared::log::warn(
            "event=killing name=\"{}\" pid={}: it did not stop", table_.name(child), child.pid);
        kill_and_wait(child.pid);
    }
    forget(child);
}

void ProcessTree::send(const Child& child, shared::MessageType type, std::uint64_t value)
{
    shared::Message message;
    message.type = type;
    message.value = value;
    send(child, message);
}

void ProcessTree::send(const Child& child, shared::Message message, int attached)
{
    const auto channel = channels_.find(child.generation);
    if (channel == channels_.end()) return;
    message.generation = child.generation;
    channel->second->send(message, attached);
}

shared::OwnedFd ProcessTree::take_attached(const Child& child)
{
    const auto channel = channels_.find(child.generation);
    return channel == channels_.end() ? shared::OwnedFd() : channel->second->take_attached();
}

std::vector<EndedChild> ProcessTree::reap()
{
    std::vector<EndedChild> ended;
    for (const Child& child : table_.children()) {
        int status = 0;
        // One by one, never any child: a demo's or a test's own processes are not ours to reap.
        if (waitpid(child.pid, &status, WNOHANG) == child.pid) ended.push_back({child, status});
    }
    for (const EndedChild& end : ended) {
        if (table_.place_of(end.child).role == Role::worker && !end.child.foreign) {
            shared::clear_in_flight(parts_.segment, end.child.slot);
            parts_.writer.close(end.child.slot);
        }
        forget(end.child);
    }
    return ended;
}

void ProcessTree::forget(const Child& child)
{
    if (const auto channel = channels_.find(child.generation); channel != channels_.end()) {
        // Its last read may be queued already on the loop: it must find the object alive.
        boost::asio::post(loop_, [kept = std::move(channel->second)] { kept->close(); });
        channels_.erase(channel);
    }
    table_.remove(child.pid);
}

} // namespace supervisor
