#include "supervisor/supervisor_loop.hpp"

#include "shared/base/clock.hpp"
#include "shared/base/log_setup.hpp"
#include "shared/segment/worker_slots.hpp"
#include "supervisor/certificate.hpp"
#include "supervisor/settings_reload.hpp"
#include "supervisor/spawn.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <utility>

#include <sys/wait.h>

namespace supervisor {
namespace {

using namespace std::chrono_literals;
using shared::MessageType;

/// Workers are started without accounts if the refresher takes longer than this.
constexpr auto kAccountsWaitMax = 10s;

const char* environment(const char* name)
{
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

std::string how_it_ended(const EndedChild& end)
{
    if (end.child.killed_for_hanging) return "killed, it was silent for too long";
    if (WIFSIGNALED(end.status)) return "signal " + std::to_string(WTERMSIG(end.status));
    return "exit code " + std::to_string(WEXITSTATUS(end.status));
}

bool room_for_replacements(const shared::Segment& segment, std::size_t workers)
{
    return shared::free_slots(segment) >= workers;
}

std::string no_room(const shared::Segment& segment)
{
    return "of the " + std::to_string(shared::kMaxSlots) + " places for workers only " +
           std::to_string(shared::free_slots(segment)) +
           " are free; the others are workers of earlier reloads and upgrades whose requests still "
           "run, at most for drain_hours.";
}

/// For whoever asked; sent with the refusal.
void leave_word(shared::Segment& segment, const std::string& why)
{
    segment.supervisor_word.with_lock(
        [&](shared::SupervisorWord& word) { word.text = std::string_view(why); });
}

bool is_fatal(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == shared::kExitFatal;
}

} // namespace

SupervisorLoop::SupervisorLoop(
    boost::asio::io_context& loop,
    const shared::Config& config,
    const TreeParts& parts,
    SavedState& saved,
    const RunSettings& settings,
    UpgradeParts upgrade)
    : loop_(loop),
      config_(config),
      parts_(parts),
      saved_(saved),
      settings_(settings),
      notifier_(environment("NOTIFY_SOCKET")),
      tree_(
          loop,
          parts,
          config.workers,
          [this](Child& child, const shared::Message& message) { on_message(child, message); }),
      orphans_(loop, parts.segment, parts.writer, [this] { on_orphan_ended(); }),
      drainers_(
          loop,
          notifier_,
          [this] { on_orphan_ended(); },
          [this](int state_fd) { on_state(state_fd); }),
      signals_(loop, SIGTERM, SIGINT, SIGHUP),
      tick_timer_(loop),
      start_timer_(loop),
      end_timer_(loop),
      upgrade_(std::move(upgrade)),
      trial_(loop),
      hand_over_timer_(loop)
{
    signals_.add(SIGCHLD);
    signals_.add(SIGUSR2);
}

int SupervisorLoop::run()
{
    last_tick_us_ = shared::now_monotonic_us();
    wait_for_signal();
    wait_for_tick();
    if (upgrade_.taken) {
        take_over();
        loop_.run();
        return exit_code_;
    }
    adopt_slots();
    for (OwnedFd& control : upgrade_.drainers)
        drainers_.adopt(std::move(control));
    auto& places = tree_.table().places();
    for (std::size_t i = 0; i < places.size(); ++i) {
        if (places[i].role != Role::worker) start(i);
    }
    // Workers come when the accounts and what was saved are there; if that takes too long, without them.
    after(kAccountsWaitMax, &SupervisorLoop::start_workers);
    loop_.run();
    return exit_code_;
}

// ---- signals ----------------------------------------------------------------------------------------------

void SupervisorLoop::wait_for_signal()
{
    signals_.async_wait([this](const boost::system::error_code& error, int number) {
        if (error) return;
        on_signal(number);
        wait_for_signal();
    });
}

void SupervisorLoop::on_signal(int number)
{
    if (number == SIGCHLD) return on_children_ended();
    if (number == SIGHUP) return request_reload("SIGHUP", 0);
    if (number == SIGUSR2) return request_upgrade("SIGUSR2", 0);
    const std::string_view name = number == SIGINT ? "SIGINT" : "SIGTERM";
    if (phase_ == Phase::starting || phase_ == Phase::running) return begin_shutdown(name, 0);
    hurry("a second signal");
}

void SupervisorLoop::on_children_ended()
{
    trial_.reap();
    drainers_.reap();
    for (const EndedChild& end : tree_.reap())
        on_ended(end);
    if (phase_ == Phase::draining || phase_ == Phase::stopping) advance_shutdown();
}

// ---- children ---------------------------------------------------------------------------------------------

void SupervisorLoop::start(std::size_t place_index)
{
    const std::int64_t now_us = shared::now_monotonic_us();
    Place& place = tree_.table().places()[place_index];
    place.spawn_at_us.reset();
    if (tree_.start(place_index, now_us)) return;
    const RespawnDecision decision = place.policy.on_end({});
    place.spawn_at_us = now_us + std::chrono::microseconds(decision.delay).count();
    schedule_starts();
}

void SupervisorLoop::on_ended(const EndedChild& end)
{
    const Child& child = end.child;
    const std::string name = tree_.table().name(child);
    const std::string how = how_it_ended(end);
    if (child.state == ChildState::draining || child.state == ChildState::stopping) {
        shared::log::info("event=child_ended name=\"{}\" pid={} how=\"{}\"", name, child.pid, how);
        const bool ending = phase_ == Phase::draining || phase_ == Phase::stopping;
        if (std::exchange(tree_.table().places()[child.place].start_when_ended, false) && !ending)
            start(child.place);
        return;
    }
    const bool needed = own_segment() && tree_.table().place_of(child).role == Role::refresher;
    if (is_held(child) || (taking_over_after_ && needed)) {
        return roll_back("its " + name + " ended before it served (" + how + ")");
    }
    if (taking_over_after_ && child.foreign) {
        shared::log::error(
            "event=child_died name=\"{}\" pid={} how=\"{}\" action=\"none, the new program's come\"",
            name,
            child.pid,
            how);
        return;
    }
    const std::string action = respawn(end);
    shared::log::error(
        "event=child_died name=\"{}\" pid={} how=\"{}\" had_served={} action=\"{}\"",
        name,
        child.pid,
        how,
        child.was_ready,
        action);
    // Only now: the line above names the cause of what follows.
    Place& place = tree_.table().places()[child.place];
    if (place.role == Role::refresher) {
        fail_questions(MessageType::account_action);
        if (place.given_up) fail_questions(MessageType::reload);
    }
    if (place.given_up) return give_up(child.place);
    if (place.spawn_at_us) start_due();
}

std::string SupervisorLoop::respawn(const EndedChild& end)
{
    const Child& child = end.child;
    if (phase_ == Phase::draining || phase_ == Phase::stopping) return "none, the pool is ending";
    // A replacement that failed while the one it was to replace still serves.
    if (tree_.table().current(child.place) != nullptr) return "none, its predecessor still serves";
    const std::int64_t now_us = shared::now_monotonic_us();
    ChildEnd facts;
    facts.was_ready = child.was_ready;
    facts.fatal = is_fatal(end.status);
    facts.served = std::chrono::milliseconds((now_us - child.ready_us) / 1000);
    Place& place = tree_.table().places()[child.place];
    const RespawnDecision decision = place.policy.on_end(facts);
    if (decision.action == RespawnDecision::Action::give_up) {
        place.given_up = true;
        return "given up, see what it said before";
    }
    if (place.role == Role::worker) {
        parts_.segment.worker_restarts.fetch_add(1, std::memory_order_relaxed);
    }
    place.spawn_at_us = now_us + std::chrono::microseconds(decision.delay).count();
    return decision.delay == 0ms
               ? "start another at once"
               : "start another in " + std::to_string(decision.delay.count()) + " ms";
}

void SupervisorLoop::give_up(std::size_t place_index)
{
    const Place& place = tree_.table().places()[place_index];
    if (place.role == Role::worker && (phase_ == Phase::starting || phase_ == Phase::running)) {
        parts_.listeners.close(place.number);
    }
    if (!any_ready_ || tree_.table().all_workers_given_up()) {
        begin_shutdown("a child that cannot run here", 1);
    } else {
        announce_ready();
    }
}

void SupervisorLoop::schedule_starts()
{
    std::optional<std::int64_t> first;
    for (const Place& place : tree_.table().places()) {
        if (place.spawn_at_us) {
            first = std::min(first.value_or(*place.spawn_at_us), *place.spawn_at_us);
        }
    }
    if (!first) return;
    const std::int64_t wait_us = std::max<std::int64_t>(0, *first - shared::now_monotonic_us());
    start_timer_.expires_after(std::chrono::microseconds(wait_us));
    start_timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) start_due();
    });
}

void SupervisorLoop::start_due()
{
    if (phase_ == Phase::draining || phase_ == Phase::stopping) return;
    const std::int64_t now_us = shared::now_monotonic_us();
    for (std::size_t i = 0; i < tree_.table().places().size(); ++i) {
        const auto due = tree_.table().places()[i].spawn_at_us;
        if (due && *due <= now_us) start(i);
    }
    schedule_starts();
}

void SupervisorLoop::start_workers()
{
    if (workers_started_ || phase_ != Phase::starting) return;
    workers_started_ = true;
    if (tree_.table().current(Role::refresher) == nullptr ||
        !tree_.table().current(Role::refresher)->was_ready) {
        shared::log::warn("event=no_accounts_yet: workers start without waiting for them longer");
    }
    for (std::size_t i = 0; i < tree_.table().places().size(); ++i) {
        if (tree_.table().places()[i].role == Role::worker) start(i);
    }
}

// ---- messages ---------------------------------------------------------------------------------------------

void SupervisorLoop::on_message(Child& child, const shared::Message& message)
{
    const Role role = tree_.table().place_of(child).role;
    switch (message.type) {
    case MessageType::ready:
        return on_ready_child(child);
    case MessageType::drained:
        shared::log::debug("event=drained name=\"{}\"", tree_.table().name(child));
        return;
    case MessageType::reload:
    case MessageType::account_action:
        if (role != Role::admin) break;
        return ask_refresher(child, message, tree_.take_attached(child));
    case MessageType::upgrade:
        if (role != Role::admin) break;
        return request_upgrade("the admin API", message.request);
    case MessageType::reloaded:
        if (role != Role::refresher) break;
        return on_reloaded(message);
    case MessageType::account_action_done:
        if (role != Role::refresher) break;
        if (asked_.take(message.request)) answer_admin(message, message.result);
        return;
    case MessageType::account_rejected:
        if (role != Role::worker) break;
        if (child.foreign) return; // its account slots are not ours
        return on_account_rejected(message.value);
    case MessageType::drain:
    case MessageType::stop:
    case MessageType::upgraded:
    case MessageType::serve:
        break;
    }
    shared::log::warn(
        "event=unexpected_message type={} name=\"{}\"",
        static_cast<int>(message.type),
        tree_.table().name(child));
}

void SupervisorLoop::on_ready_child(Child& child)
{
    if (child.state != ChildState::starting) return;
    child.state = ChildState::ready;
    child.was_ready = true;
    child.ready_us = shared::now_monotonic_us();
    any_ready_ = true;
    const Role role = tree_.table().place_of(child).role;
    if (is_held(child)) return advance_takeover();
    if (role == Role::refresher) return on_refresher_ready();
    if (role != Role::worker) return;
    // Whoever it replaces has served until now.
    for (Child& other : tree_.table().children()) {
        const bool older = other.place == child.place && other.generation < child.generation;
        if (!older || other.state == ChildState::stopping || other.state == ChildState::draining) {
            continue;
        }
        drain(other);
    }
    announce_ready();
}

void SupervisorLoop::on_refresher_ready()
{
    // Who asked for a reload while there was none: it has read everything anew at its start.
    for (const shared::Message& question : asked_.take_all(MessageType::reload)) {
        shared::Message answer = question;
        answer.value = parts_.segment.info.with_lock(
            [](const shared::PoolInfo& info) { return std::uint64_t{info.broken_files}; });
        answer_admin(answer, shared::ActionResult::done);
    }
    if (taking_over_after_ && own_segment()) return on_new_refresher();
    if (phase_ == Phase::running) notifier_.ready(); // the end of a reload that replaced it
    if (workers_started_) return;
    // First what was saved, on the thread that may wait for the disk, then whoever uses them.
    parts_.writer.post([this] {
        saved_.restore(shared::now_unix());
        boost::asio::post(loop_, [this] { start_workers(); });
    });
}

void SupervisorLoop::on_reloaded(const shared::Message& message)
{
    shared::log::info("event=reloaded broken_files={}", message.value);
    if (phase_ == Phase::running) notifier_.ready();
    // A SIGHUP's has no number: nobody waits for it.
    if (std::optional<shared::Message> question = asked_.take(message.request)) {
        question->value = message.value;
        answer_admin(*question, shared::ActionResult::done);
    }
}

void SupervisorLoop::ask_refresher(
    const Child& asker, const shared::Message& question, const OwnedFd& attached)
{
    const bool reload = question.type == MessageType::reload;
    Child* refresher = tree_.table().current(Role::refresher);
    // What it asks for names a slot of a segment that is not ours.
    const bool foreign = !reload && asker.foreign;
    const bool ending = phase_ == Phase::draining || phase_ == Phase::stopping || foreign;
    // One that is being replaced reads everything at its start, which answers a reload; actions are not kept.
    const bool comes_back = reload && !tree_.table().given_up(Role::refresher);
    if (ending || (refresher == nullptr && !comes_back) || !asked_.note(question)) {
        answer_admin(question, shared::ActionResult::unavailable);
        return;
    }
    if (reload) {
        request_reload("the admin API", question.request);
    } else {
        shared::log::info(
            "event=account_action action={} slot={}",
            static_cast<int>(question.action),
            question.value & 0xFFFFU);
        tree_.send(*refresher, question, attached.get());
    }
}

void SupervisorLoop::answer_admin(const shared::Message& question, shared::ActionResult result)
{
    // There is one at most, and one that is being replaced still answers.
    for (const Child& child : tree_.table().children()) {
        if (tree_.table().place_of(child).role == Role::admin)
            tree_.send(child, answer_to(question, result));
    }
}

void SupervisorLoop::fail_questions(MessageType type)
{
    for (const shared::Message& question : asked_.take_all(type))
        answer_admin(question, shared::ActionResult::unavailable);
}

void SupervisorLoop::on_account_rejected(std::uint64_t account)
{
    if (account >= shared::kMaxAccounts) return;
    if (const Child* refresher = tree_.table().current(Role::refresher); refresher != nullptr) {
        tree_.send(*refresher, MessageType::account_rejected, account);
    }
}

void SupervisorLoop::request_reload(std::string_view who, std::uint64_t request)
{
    if (phase_ == Phase::draining || phase_ == Phase::stopping) return;
    shared::log::info("event=reload by=\"{}\"", who);
    // Children that are only starting cannot be replaced: settings come when all serve.
    const bool taking_over = taking_over_after_ || serving_after_;
    if (phase_ == Phase::starting || taking_over) reload_at_ready_ = true;
    if (taking_over) return; // answered when it is over
    if (phase_ == Phase::running) {
        notifier_.reloading(shared::now_monotonic_us());
        const Reloaded reloaded = reload_settings();
        if (reloaded == Reloaded::refused) {
            if (const auto question = asked_.take(request))
                answer_admin(*question, shared::ActionResult::refused);
            return notifier_.ready();
        }
        // The new refresher reads the pool folder at its start, which answers whoever asked.
        if (reloaded == Reloaded::changed) return replace_children();
    }
    const Child* refresher = tree_.table().current(Role::refresher);
    if (refresher == nullptr) {
        shared::log::warn(
            "event=reload_waits: the refresher is not running; it reads all at its start");
        return;
    }
    shared::Message message;
    message.type = MessageType::reload;
    message.request = request;
    tree_.send(*refresher, message);
}

// ---- settings ---------------------------------------------------------------------------------------------

SupervisorLoop::Reloaded SupervisorLoop::reload_settings()
{
    if (!settings_.load) return Reloaded::unchanged;
    shared::ConfigLoad load = settings_.load();
    if (load.config) {
        if (auto loaded = load_certificate(*load.config, shared::now_unix()); !loaded) {
            load.problems.push_back(loaded.error());
            load.config.reset();
        }
    }
    for (const shared::Problem& problem : load.problems)
        shared::log::error("{}", problem.text());
    if (!load.config) {
        return refuse(
            load.problems.empty() ? "the configuration cannot be read."
                                  : load.problems.front().text() + ". codex-pool check says all.");
    }
    SettingsChange change = compare_settings(config_, *load.config);
    if (!change.need_restart.empty())
        shared::log::warn(
            "event=settings_need_restart settings=\"{}\": they stay as they are until then",
            enumeration(change.need_restart));
    if (change.changed.empty()) return Reloaded::unchanged;
    if (!room_for_replacements(parts_.segment, config_.workers)) {
        return refuse(no_room(parts_.segment));
    }
    auto text = sealed_text(shared::to_toml(change.config));
    if (!text) return refuse(text.error().text());
    config_ = std::move(change.config);
    config_text_ = std::move(*text);
    shared::log::start({"supervisor", config_.debug, config_.log_format});
    tree_.use_config(config_text_.get());
    for (const std::string& warning : config_.warnings)
        shared::log::warn("{}", warning);
    shared::log::info("event=settings_changed settings=\"{}\"", enumeration(change.changed));
    return Reloaded::changed;
}

SupervisorLoop::Reloaded SupervisorLoop::refuse(const std::string& why)
{
    shared::log::error("event=reload_refused: nothing was changed: {}", why);
    leave_word(parts_.segment, why);
    return Reloaded::refused;
}

void SupervisorLoop::replace_children()
{
    auto& places = tree_.table().places();
    for (std::size_t i = 0; i < places.size(); ++i) {
        Child* child = tree_.table().current(i);
        if (child == nullptr || child->state != ChildState::ready) continue;
        if (places[i].role == Role::worker)
            (void)tree_.start(
                i, shared::now_monotonic_us()); // its predecessor drains when it is ready
        else if (places[i].role == Role::refresher)
            replace(*child);
        else
            admin_to_be_replaced_ = true;
    }
}

void SupervisorLoop::replace(Child& child)
{
    child.state = ChildState::stopping;
    tree_.table().places()[child.place].start_when_ended = true;
    // The refresher ends at once either way; who asks the admin child something gets the answer.
    tree_.send(child, MessageType::drain);
}

// ---- readiness --------------------------------------------------------------------------------------------

void SupervisorLoop::announce_ready()
{
    if (phase_ != Phase::starting || !tree_.table().all_workers_ready()) return;
    phase_ = Phase::running;
    end_timer_.cancel();
    const std::uint32_t accounts =
        parts_.segment.info.with_lock([](const shared::PoolInfo& info) { return info.accounts; });
    shared::log::info(
        "ready: {} workers, {} accounts", tree_.table().count(Role::worker), accounts);
    notifier_.ready();
    if (settings_.on_ready) settings_.on_ready(parts_.listeners.address());
    if (std::exchange(reload_at_ready_, false)) request_reload("a reload during the start", 0);
}

} // namespace supervisor
