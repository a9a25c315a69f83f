// The third part of SupervisorLoop: upgrades in place, seen from both programs.
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/segment/worker_slots.hpp"
#include "supervisor/supervisor_loop.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <utility>

#include <fcntl.h>

namespace supervisor {
namespace {

using namespace std::chrono_literals;
using shared::MessageType;

/// The new program's workers are ready by then, or it is not wanted.
constexpr auto kTakeoverMax = 30s;
/// An upgrade waits so long for the end of a reload, or of whatever else happens just now.
constexpr std::uint64_t kQuietTicks = 30;
/// Signals that have come already are handled first.
constexpr auto kLastSignals = 10ms;

} // namespace

// ---- the program that gives ---------------------------------------------------------------------------------

void SupervisorLoop::request_upgrade(std::string_view who, std::uint64_t request)
{
    shared::log::info("event=upgrade by=\"{}\"", who);
    if (phase_ == Phase::draining || phase_ == Phase::stopping)
        return refuse_upgrade(request, "the pool is stopping.");
    if (settings_.start.binary.empty())
        return refuse_upgrade(request, "this pool is no service; end it and start it again.");
    if (is_upgrading())
        return refuse_upgrade(request, "another upgrade is under way.");
    wanted_ = Wanted{request, ticks_ + kQuietTicks};
    try_upgrade();
}

void SupervisorLoop::try_upgrade_later()
{
    if (phase_ == Phase::draining || phase_ == Phase::stopping)
        return refuse_upgrade(upgrade_request_, "the pool is stopping.");
    wanted_ = Wanted{upgrade_request_, upgrade_until_tick_};
}

bool SupervisorLoop::is_upgrading() const
{
    return wanted_ || trial_.under_way() || handing_over_ || taking_over_after_;
}

bool SupervisorLoop::is_busy()
{
    auto& places = tree_.table().places();
    const bool all_serve = std::all_of(places.begin(), places.end(), [&](const Place& place) {
        const Child* child =
            tree_.table().current(static_cast<std::size_t>(&place - places.data()));
        return place.given_up || (child != nullptr && child->state == ChildState::ready);
    });
    return phase_ != Phase::running || !all_serve || !asked_.empty();
}

void SupervisorLoop::try_upgrade()
{
    const Wanted wanted = *wanted_;
    if (is_busy()) {
        if (ticks_ < wanted.until_tick) return;
        wanted_.reset();
        return refuse_upgrade(
            wanted.request, "not all processes of the pool serve; look at the log.");
    }
    wanted_.reset();
    upgrade_request_ = wanted.request;
    upgrade_until_tick_ = wanted.until_tick;
    const std::size_t free = shared::free_slots(parts_.segment);
    if (free < config_.workers) {
        return refuse_upgrade(
            upgrade_request_,
            "only " + std::to_string(free) + " of " + std::to_string(shared::kMaxSlots) +
                " places for workers are free; the others are workers of earlier reloads and "
                "upgrades whose requests still run, at most for drain_hours.");
    }
    const auto started = trial_.start(
        settings_.start, describe(), [this](const auto& refusal) { on_tried(refusal); });
    if (!started) refuse_upgrade(upgrade_request_, started.error().text());
}

void SupervisorLoop::refuse_upgrade(std::uint64_t request, const std::string& why)
{
    shared::log::error("event=upgrade_refused: the pool goes on as it is: {}", why);
    parts_.segment.supervisor_word.with_lock(
        [&](shared::SupervisorWord& word) { word.text = std::string_view(why); });
    answer_upgrade(request, shared::ActionResult::refused);
}

void SupervisorLoop::answer_upgrade(std::uint64_t request, shared::ActionResult result)
{
    if (request == 0) return;
    shared::Message question;
    question.type = MessageType::upgrade;
    question.request = request;
    answer_admin(question, result);
}

void SupervisorLoop::on_tried(const std::optional<std::string>& refusal)
{
    if (refusal) return refuse_upgrade(upgrade_request_, *refusal);
    if (is_busy()) return try_upgrade_later();
    // A signal that comes from now on is the next program's; one that has come is still ours.
    block_signals();
    handing_over_ = true;
    hand_over_timer_.expires_after(kLastSignals);
    hand_over_timer_.async_wait([this](const boost::system::error_code&) { hand_over(); });
}

void SupervisorLoop::hand_over()
{
    handing_over_ = false;
    if (is_busy()) {
        allow_signals();
        return try_upgrade_later();
    }
    save_state();
    std::string why = "usage waits in memory because the database refuses it; mend that first.";
    if (parts_.writer.pause()) {
        Handover handover = describe();
        const OwnedFd self(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
        handover.program_fd = self.get();
        notifier_.reloading(shared::now_monotonic_us());
        shared::log::info("event=handing_over to={}", settings_.start.binary);
        why = become(settings_.start.binary, settings_.start, handover).text();
        notifier_.ready();
    }
    allow_signals();
    parts_.writer.start();
    refuse_upgrade(upgrade_request_, why);
}

Handover SupervisorLoop::describe()
{
    Handover handover;
    handover.layout = shared::kLayoutVersion;
    handover.version = settings_.start.version;
    handover.binary = settings_.start.binary;
    handover.listen_host = parts_.listeners.address().host;
    handover.listen_port = parts_.listeners.address().port;
    handover.last_generation = tree_.last_generation();
    handover.request = upgrade_request_;
    handover.lock_fd = upgrade_.lock_fd;
    handover.segment_fd = parts_.segment_fd;
    handover.config_fd = config_text_ ? config_text_.get() : parts_.config_fd;
    handover.admin_fd = parts_.admin_fd;
    handover.control_fd = parts_.control_fd;
    handover.listener_fds = parts_.listeners.fds();
    for (const Child& child : tree_.table().children()) {
        const Place& place = tree_.table().place_of(child);
        const int fd = tree_.control_fd(child);
        if (fd >= 0) handover.processes.push_back({place.role, place.number, child, fd});
    }
    return handover;
}

// ---- the program that takes ---------------------------------------------------------------------------------

void SupervisorLoop::take_over()
{
    phase_ = Phase::running;
    workers_started_ = true;
    any_ready_ = true;
    adopt_children();
    upgrade_request_ = upgrade_.taken->request;
    allow_signals();
    adopt_slots();
    if (upgrade_.taken->refused.empty())
        begin_takeover();
    else
        go_on_after_refusal();
    // Whoever ended during the exec has been told to nobody.
    on_children_ended();
}

void SupervisorLoop::adopt_children()
{
    auto& places = tree_.table().places();
    tree_.raise_generation(upgrade_.taken->last_generation);
    for (const Handover::Process& process : upgrade_.taken->processes) {
        const auto place = std::find_if(places.begin(), places.end(), [&](const Place& each) {
            return each.role == process.role && each.number == process.number;
        });
        Child child = process.child;
        child.place = static_cast<std::size_t>(
            (place == places.end() ? places.end() - 1 : place) - places.begin());
        tree_.adopt(child, process.control_fd);
    }
}

/// Slots of workers that are not ours: those of a supervisor that is gone, and those that ended while nobody listened.
void SupervisorLoop::adopt_slots()
{
    const auto slots = shared::used_slots(parts_.segment);
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const auto& children = tree_.table().children();
        const bool ours = std::any_of(children.begin(), children.end(), [&](const Child& child) {
            return tree_.table().place_of(child).role == Role::worker && child.slot == i;
        });
        tree_.raise_generation(slots[i].generation.load(std::memory_order_relaxed));
        if (!ours && slots[i].state.load() != shared::SlotState::free)
            (void)orphans_.adopt(static_cast<std::uint16_t>(i), shared::now_monotonic_us());
    }
}

void SupervisorLoop::on_orphan_ended()
{
    if (phase_ == Phase::draining || phase_ == Phase::stopping) advance_shutdown();
}

void SupervisorLoop::begin_takeover()
{
    taking_over_after_ = tree_.last_generation();
    shared::log::info(
        "event=taking_over from={} to={}", upgrade_.taken->version, settings_.start.version);
    after(kTakeoverMax, &SupervisorLoop::takeover_too_slow);
    auto& places = tree_.table().places();
    for (std::size_t i = 0; i < places.size(); ++i) {
        if (places[i].role != Role::worker) continue;
        if (!tree_.start(i, shared::now_monotonic_us(), true))
            return roll_back("its workers cannot be started; look at the log");
    }
}

bool SupervisorLoop::is_held(const Child& child)
{
    return taking_over_after_ && child.generation > *taking_over_after_ &&
           tree_.table().place_of(child).role == Role::worker;
}

void SupervisorLoop::advance_takeover()
{
    const auto& children = tree_.table().children();
    const auto ready = std::count_if(children.begin(), children.end(), [&](const Child& child) {
        return is_held(child) && child.state == ChildState::ready;
    });
    if (static_cast<std::size_t>(ready) == config_.workers) commit_takeover();
}

void SupervisorLoop::takeover_too_slow()
{
    if (taking_over_after_)
        roll_back(
            "its workers were not ready after " + std::to_string(kTakeoverMax.count()) + " s");
}

void SupervisorLoop::commit_takeover()
{
    if (auto begun = upgrade_.begin_usage(); !begun) return roll_back(begun.error().text());
    end_timer_.cancel();
    for (Child& child : tree_.table().children()) {
        if (is_held(child)) tree_.send(child, MessageType::serve);
    }
    const std::uint32_t before = *std::exchange(taking_over_after_, std::nullopt);
    for (Child& child : tree_.table().children()) {
        const bool old = child.generation <= before;
        const bool serves = child.state == ChildState::starting || child.state == ChildState::ready;
        const Role role = tree_.table().place_of(child).role;
        if (!old || !serves) continue;
        if (role == Role::worker) drain(child);
        if (role == Role::refresher) replace(child);
    }
    shared::log::info(
        "event=upgraded from={} to={}", upgrade_.taken->version, settings_.start.version);
    answer_upgrade(std::exchange(upgrade_request_, 0), shared::ActionResult::done);
    admin_to_be_replaced_ = true;
    const OwnedFd old_program(std::exchange(upgrade_.taken->program_fd, -1));
    notifier_.ready();
    if (std::exchange(reload_at_ready_, false)) request_reload("a reload during the upgrade", 0);
}

void SupervisorLoop::roll_back(const std::string& why)
{
    shared::log::error("event=upgrade_fails: version {} goes on: {}", upgrade_.taken->version, why);
    std::vector<Child> held;
    for (const Child& child : tree_.table().children()) {
        if (is_held(child)) held.push_back(child);
    }
    for (const Child& child : held)
        tree_.discard(child);
    block_signals();
    Handover handover = describe();
    handover.binary = upgrade_.taken->binary;
    handover.program_fd = upgrade_.taken->program_fd;
    const shared::Problem stuck = give_back(
        handover,
        settings_.start,
        "version " + settings_.start.version + " does not come up: " + why);
    // The program before is lost: this one does what it can with the workers that serve.
    shared::log::error("event=cannot_roll_back {}", stuck.text());
    allow_signals();
    taking_over_after_.reset();
    if (auto begun = upgrade_.begin_usage(); !begun) begin_shutdown(begun.error().text(), 1);
}

void SupervisorLoop::go_on_after_refusal()
{
    if (auto begun = upgrade_.begin_usage(); !begun) return begin_shutdown(begun.error().text(), 1);
    refuse_upgrade(std::exchange(upgrade_request_, 0), upgrade_.taken->refused + ".");
    notifier_.ready();
    // Whoever died meanwhile.
    for (std::size_t i = 0; i < tree_.table().places().size(); ++i) {
        if (tree_.table().current(i) == nullptr) start(i);
    }
}

} // namespace supervisor
