/// What the supervisor does about signals, ended children, messages and time: one function each. Built and run by
/// supervisor.cpp.
#pragma once

#include "shared/config/config.hpp"
#include "supervisor/asked_questions.hpp"
#include "supervisor/drainers.hpp"
#include "supervisor/notify.hpp"
#include "supervisor/orphans.hpp"
#include "supervisor/owned_fd.hpp"
#include "supervisor/saved_state.hpp"
#include "supervisor/process_tree.hpp"
#include "supervisor/supervisor.hpp"
#include "supervisor/upgrade.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace supervisor {

/// What an upgrade in place needs besides what children are given.
struct UpgradeParts {
    int lock_fd = -1; ///< of the data folder
    /// This program took over from another, or got the pool back from one.
    std::optional<Handover> taken;
    /// Opens the database and starts the usage writer, which until then only queues.
    std::function<shared::Result<bool>()> begin_usage;
    /// Control sockets of drainers that a lost supervisor started.
    std::vector<OwnedFd> drainers;
};

class SupervisorLoop {
public:
    /// Everything given outlives it.
    SupervisorLoop(
        boost::asio::io_context& loop,
        const shared::Config& config,
        const TreeParts& parts,
        SavedState& saved,
        const RunSettings& settings,
        UpgradeParts upgrade);

    /// Starts the tree and runs until it has ended; returns the exit code.
    [[nodiscard]] int run();

private:
    /// Where the pool is in its life.
    enum class Phase : std::uint8_t {
        starting, ///< not every worker has been READY yet
        running,
        draining, ///< workers finish what they have
        stopping, ///< only refresher and admin child are left to go
    };

    // Signals.
    void wait_for_signal();
    void on_signal(int number);
    void on_children_ended();

    // Children.
    void start(std::size_t place);
    void on_ended(const EndedChild& end);
    [[nodiscard]] std::string respawn(const EndedChild& end);
    void give_up(std::size_t place);
    void schedule_starts();
    void start_due();
    void start_workers();

    // Messages.
    void on_message(Child& child, const shared::Message& message);
    void on_ready_child(Child& child);
    void on_refresher_ready();
    void on_reloaded(const shared::Message& message);
    void ask_refresher(
        const Child& asker, const shared::Message& question, const OwnedFd& attached);
    void answer_admin(const shared::Message& question, shared::ActionResult result);
    void fail_questions(shared::MessageType type);
    void on_account_rejected(std::uint64_t account);
    void request_reload(std::string_view who, std::uint64_t request);
    void announce_ready();

    // Settings.
    /// What became of the configuration at a reload.
    enum class Reloaded : std::uint8_t { unchanged, changed, refused };
    [[nodiscard]] Reloaded reload_settings();
    /// Who asked is told this; always refused.
    [[nodiscard]] Reloaded refuse(const std::string& why);
    void replace_children();
    void replace(Child& child);

    // Upgrades: supervisor_takeover.cpp.
    void request_upgrade(std::string_view who, std::uint64_t request);
    void try_upgrade();
    void try_upgrade_later();
    [[nodiscard]] bool is_upgrading() const;
    [[nodiscard]] bool is_busy();
    void refuse_upgrade(std::uint64_t request, const std::string& why);
    void answer_upgrade(std::uint64_t request, shared::ActionResult result);
    void on_tried(const std::optional<std::string>& refusal);
    void hand_over();
    [[nodiscard]] Handover describe();
    void take_over();
    void adopt_children();
    void adopt_slots();
    void begin_takeover();
    void start_held(Role role);
    void on_new_refresher();
    [[nodiscard]] bool own_segment() const;
    [[nodiscard]] bool is_held(const Child& child);
    void advance_takeover();
    void commit_takeover();
    void leave_old_segment();
    void on_state(int state_fd);
    void begin_serving();
    void serve_after(std::uint32_t generation, bool with_admin);
    void end_refreshers();
    void give_segment_back(Handover& handover);
    [[nodiscard]] shared::Result<bool> leave_segment(Handover& handover);
    void takeover_too_slow();
    void roll_back(const std::string& why);
    void go_on_after_refusal();

    // Time.
    void wait_for_tick();
    void on_tick();
    void kill_hung_workers(std::int64_t now_us);
    void replace_large_workers(std::int64_t now_us);
    void drain(Child& child);
    void end_long_drains(std::int64_t now_us);
    void save_state();

    // The end.
    void begin_shutdown(std::string_view why, int exit_code);
    void hurry(std::string_view why);
    void stop_others();
    void on_orphan_ended();
    [[nodiscard]] bool any_left_behind() const;
    void advance_shutdown();
    void kill_all();
    void after(std::chrono::milliseconds delay, void (SupervisorLoop::*what)());
    void grace_over();

    boost::asio::io_context& loop_;
    shared::Config config_;
    OwnedFd config_text_; ///< of config_ after a reload changed it
    TreeParts parts_;
    SavedState& saved_;
    RunSettings settings_;
    Notifier notifier_;
    ProcessTree tree_;
    Orphans orphans_;
    Drainers drainers_;
    boost::asio::signal_set signals_;
    boost::asio::steady_timer tick_timer_;
    boost::asio::steady_timer start_timer_;
    boost::asio::steady_timer end_timer_;

    Phase phase_ = Phase::starting;
    int exit_code_ = 0;
    bool workers_started_ = false;
    bool any_ready_ = false; ///< some child has ever been READY
    AskedQuestions asked_;   ///< of the refresher, by the admin child
    bool hurried_ = false;
    bool reload_at_ready_ = false;      ///< somebody asked for a reload during the start
    bool admin_to_be_replaced_ = false; ///< once it has answered whoever asked it for the reload
    UpgradeParts upgrade_;
    Trial trial_;
    boost::asio::steady_timer hand_over_timer_;

    /// Somebody wants an upgrade; it waits for a quiet moment.
    struct Wanted {
        std::uint64_t request = 0;
        std::uint64_t until_tick = 0;
    };

    std::optional<Wanted> wanted_;
    std::uint64_t upgrade_request_ = 0; ///< of the one under way
    std::uint64_t upgrade_until_tick_ = 0; ///< so long it may be tried again
    bool handing_over_ = false; ///< the trial went well, the exec comes next
    /// This program has just taken over and its workers, of a higher generation, do not serve yet.
    std::optional<std::uint32_t> taking_over_after_;
    /// The takeover is certain, but they do not serve before the old segment's drainer has said what it knows.
    std::optional<std::uint32_t> serving_after_;
    std::uint64_t ticks_ = 0;
    std::int64_t last_tick_us_ = 0;
    std::int64_t check_hangs_from_us_ = 0;
};

} // namespace supervisor
