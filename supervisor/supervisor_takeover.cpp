// The third part of SupervisorLoop: upgrades in place, seen from both programs.
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/ipc/read_descriptor.hpp"
#include "shared/segment/layout_version.hpp"
#include "shared/segment/worker_slots.hpp"
#include "supervisor/fd_store.hpp"
#include "supervisor/supervisor_loop.hpp"

#include <boost/asio/post.hpp>

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
/// New workers wait so long for what the drainer of the old segment knows.
constexpr auto kStateMax = 2s;
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
    return wanted_ || trial_.under_way() || handing_over_ || taking_over_after_ || serving_after_;
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
        if (auto drained = leave_segment(handover); !drained)
            why = drained.error().text();
        else
            why = become(settings_.start.binary, settings_.start, handover).text();
        drainers_.take_back();
        notifier_.ready();
    }
    allow_signals();
    parts_.writer.start();
    refuse_upgrade(upgrade_request_, why);
}

/// A program of another layout cannot read the segment: our own goes on with it, as a drainer.
shared::Result<bool> SupervisorLoop::leave_segment(Handover& handover)
{
    if (!trial_.other_layout()) return true;
    auto started =
        drainers_.start(handover.program_fd, handover.segment_fd, handover.config_fd);
    handover.drainers = drainers_.describe();
    return started;
}

Handover SupervisorLoop::describe()
{
    Handover handover;
    handover.layout = shared::kBuildLayout;
    handover.can_drain = true;
    handover.drainers = drainers_.describe();
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
    for (const Handover::Drainer& each : upgrade_.taken->drainers)
        drainers_.adopt(each);
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
        child.foreign = child.foreign || own_segment();
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
            return tree_.table().place_of(child).role == Role::worker && !child.foreign &&
                   child.slot == i;
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
    if (!own_segment()) return start_held(Role::worker);
    // The new segment is empty: users and accounts come first. Never two refreshers at once: both could spend an
    // account's only refresh token.
    start_held(Role::admin);
    auto& places = tree_.table().places();
    for (std::size_t i = 0; taking_over_after_ && i < places.size(); ++i) {
        if (places[i].role != Role::refresher) continue;
        if (Child* old = tree_.table().current(i); old != nullptr)
            replace(*old); // another when it has ended
        else
            start(i);
    }
}

/// They serve when all of them are ready.
void SupervisorLoop::start_held(Role role)
{
    auto& places = tree_.table().places();
    for (std::size_t i = 0; i < places.size(); ++i) {
        if (places[i].role != role) continue;
        if (!tree_.start(i, shared::now_monotonic_us(), true))
            return roll_back("its processes cannot be started; look at the log");
    }
}

/// The accounts are published: what the program before knew of them, then whoever uses them.
void SupervisorLoop::on_new_refresher()
{
    saved_.restore(shared::now_unix());
    start_held(Role::worker);
}

bool SupervisorLoop::own_segment() const
{
    return upgrade_.taken && upgrade_.taken->refused.empty() &&
           needs_own_segment(*upgrade_.taken);
}

bool SupervisorLoop::is_held(const Child& child)
{
    const Role role = tree_.table().place_of(child).role;
    return taking_over_after_ && child.generation > *taking_over_after_ &&
           (role == Role::worker || (role == Role::admin && own_segment()));
}

void SupervisorLoop::advance_takeover()
{
    const auto& children = tree_.table().children();
    const auto ready = std::count_if(children.begin(), children.end(), [&](const Child& child) {
        return is_held(child) && child.state == ChildState::ready;
    });
    const std::size_t all = config_.workers + (own_segment() ? 1U : 0U);
    if (static_cast<std::size_t>(ready) == all) commit_takeover();
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
    const std::uint32_t before = *std::exchange(taking_over_after_, std::nullopt);
    if (!own_segment()) return serve_after(before, false);
    leave_old_segment();
    serving_after_ = before;
    after(kStateMax, &SupervisorLoop::begin_serving);
}

/// Its workers accept no more; connections wait until ours know what they knew. Their drainer ends with the last of
/// them. Whoever comes after us gets our segment.
void SupervisorLoop::leave_old_segment()
{
    for (Child& child : tree_.table().children()) {
        const bool serves = child.state == ChildState::starting || child.state == ChildState::ready;
        if (child.foreign && serves && tree_.table().place_of(child).role == Role::worker)
            drain(child);
    }
    drainers_.release();
    notifier_.forget(kStoredSegment);
    notifier_.store(parts_.segment_fd, kStoredSegment);
    const OwnedFd old_segment(std::exchange(upgrade_.taken->segment_fd, -1));
    upgrade_.taken->layout = shared::kBuildLayout;
}

void SupervisorLoop::on_state(int state_fd)
{
    if (!serving_after_) return;
    auto copy = shared::read_descriptor(state_fd);
    if (!copy) return shared::log::warn("event=state_not_taken {}", copy.error().text());
    parts_.writer.post([this, copy = std::move(*copy)] {
        const auto taken = saved_.take(copy, shared::now_unix());
        if (!taken) shared::log::warn("event=state_not_taken {}", taken.error().text());
        boost::asio::post(loop_, [this] { begin_serving(); });
    });
}

void SupervisorLoop::begin_serving()
{
    const bool ending = phase_ == Phase::draining || phase_ == Phase::stopping;
    const auto before = std::exchange(serving_after_, std::nullopt);
    if (!before || ending) return;
    end_timer_.cancel();
    serve_after(*before, true);
}

/// The workers of higher generations take over from the others; so does the admin child that has waited with them.
void SupervisorLoop::serve_after(std::uint32_t generation, bool with_admin)
{
    for (Child& child : tree_.table().children()) {
        const Role role = tree_.table().place_of(child).role;
        const bool waits = role == Role::worker || (role == Role::admin && with_admin);
        if (waits && child.generation > generation) tree_.send(child, MessageType::serve);
    }
    // An old admin child of another segment goes when it has answered whoever asked.
    answer_upgrade(std::exchange(upgrade_request_, 0), shared::ActionResult::done);
    admin_to_be_replaced_ = !with_admin;
    for (Child& child : tree_.table().children()) {
        const bool serves = child.state == ChildState::starting || child.state == ChildState::ready;
        const Role role = tree_.table().place_of(child).role;
        if (child.generation > generation || !serves) continue;
        if (role == Role::worker) drain(child);
        if (role == Role::refresher) replace(child);
        if (role == Role::admin && with_admin) drain(child);
    }
    shared::log::info(
        "event=upgraded from={} to={}", upgrade_.taken->version, settings_.start.version);
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
    if (own_segment()) end_refreshers();
    block_signals();
    Handover handover = describe();
    handover.binary = upgrade_.taken->binary;
    handover.program_fd = upgrade_.taken->program_fd;
    if (own_segment()) give_segment_back(handover);
    const shared::Problem stuck = give_back(
        handover,
        settings_.start,
        "version " + settings_.start.version + " does not come up: " + why);
    // The program before is lost: this one does what it can with the workers that serve.
    shared::log::error("event=cannot_roll_back {}", stuck.text());
    allow_signals();
    taking_over_after_.reset();
    // Without workers of this segment there is nothing to go on with: the next start has what was saved.
    if (own_segment()) return begin_shutdown("an upgrade that cannot be taken back", 1);
    if (auto begun = upgrade_.begin_usage(); !begun) begin_shutdown(begun.error().text(), 1);
}

/// Both the old one and ours: the program before starts its own.
void SupervisorLoop::end_refreshers()
{
    std::vector<Child> refreshers;
    for (const Child& child : tree_.table().children()) {
        if (tree_.table().place_of(child).role == Role::refresher) refreshers.push_back(child);
    }
    for (const Child& child : refreshers)
        tree_.end(child);
}

void SupervisorLoop::give_segment_back(Handover& handover)
{
    handover.layout = upgrade_.taken->layout;
    handover.segment_fd = upgrade_.taken->segment_fd;
    for (Handover::Process& process : handover.processes) {
        const auto& given = upgrade_.taken->processes;
        process.child.foreign =
            std::any_of(given.begin(), given.end(), [&](const Handover::Process& each) {
                return each.child.generation == process.child.generation && each.child.foreign;
            });
    }
}

void SupervisorLoop::go_on_after_refusal()
{
    drainers_.take_back();
    if (auto begun = upgrade_.begin_usage(); !begun) return begin_shutdown(begun.error().text(), 1);
    refuse_upgrade(std::exchange(upgrade_request_, 0), upgrade_.taken->refused + ".");
    notifier_.ready();
    // Whoever died meanwhile.
    for (std::size_t i = 0; i < tree_.table().places().size(); ++i) {
        if (tree_.table().current(i) == nullptr) start(i);
    }
}

} // namespace supervisor
