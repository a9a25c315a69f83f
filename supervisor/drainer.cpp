#include "supervisor/drainer.hpp"

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/base/log_setup.hpp"
#include "shared/config/config.hpp"
#include "shared/ipc/control_channel.hpp"
#include "shared/ipc/read_descriptor.hpp"
#include "shared/segment/segment.hpp"
#include "shared/segment/worker_slots.hpp"
#include "supervisor/orphans.hpp"
#include "supervisor/owned_fd.hpp"
#include "supervisor/saved_state.hpp"
#include "supervisor/usage_writer.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace supervisor {
namespace {

using namespace std::chrono_literals;
using shared::Message;
using shared::MessageType;

constexpr auto kTick = 1s;
constexpr std::int64_t kHourUs = 3'600'000'000;
/// Where the database refuses the last rows, it is tried again after this.
constexpr std::int64_t kEndAgainUs = 10'000'000;

class Drainer {
public:
    Drainer(shared::Segment& segment, const shared::Config& config, bool has_supervisor, bool hold)
        : segment_(segment),
          config_(config),
          holds_(has_supervisor && hold),
          begun_us_(shared::now_monotonic_us()),
          // Old rows are deleted by the pool.
          writer_(UsageWriter::create_waiting(segment, 0)),
          orphans_(loop_, segment, *writer_, [this] { end_if_done(); }),
          signals_(loop_, SIGTERM),
          timer_(loop_)
    {
        if (has_supervisor) channel_.emplace(loop_, shared::kControlFd);
    }

    int run()
    {
        if (channel_) {
            channel_->start(
                [this](const Message& message) { on_message(message); },
                [this] {
                    shared::log::warn("event=supervisor_gone");
                    take_workers();
                });
        }
        signals_.async_wait([this](const boost::system::error_code& error, int) {
            if (!error) stop();
        });
        begin();
        wait_for_tick();
        loop_.run();
        writer_->stop();
        shared::log::info("event=stopped");
        return exit_code_;
    }

private:
    void on_message(const Message& message)
    {
        if (message.type == MessageType::drain) {
            say_what_is_known();
            take_workers();
        }
        if (message.type != MessageType::stop) return;
        if (message.value == 0) return stop();
        take_workers();
        orphans_.kill_all();
    }

    void wait_for_tick()
    {
        timer_.expires_after(kTick);
        timer_.async_wait([this](const boost::system::error_code& error) {
            if (error) return;
            on_tick();
            wait_for_tick();
        });
    }

    void on_tick()
    {
        const std::int64_t now_us = shared::now_monotonic_us();
        const std::int64_t drain_us = std::int64_t{config_.drain_hours} * kHourUs;
        if (!writes_) begin();
        orphans_.check(
            now_us, drain_us, std::int64_t{config_.worker_hang_seconds} * 1'000'000);
        end_if_done();
        // The database has refused for all that time.
        if (!holds_ && orphans_.count() == 0 && now_us - begun_us_ > drain_us) loop_.stop();
    }

    /// What workers finish waits in the segment until the database can be opened.
    void begin()
    {
        auto database = UsageDb::open_beside(config_.db_path);
        auto opened = database ? writer_->open(std::move(*database)) : database.error();
        if (!opened) {
            if (!refused_) shared::log::error("event=usage_waits {}", opened.error().text());
            refused_ = true;
            return;
        }
        const auto slots = shared::used_slots(segment_);
        for (std::size_t i = 0; i < slots.size(); ++i) {
            if (slots[i].state.load() != shared::SlotState::free)
                writer_->watch(static_cast<std::uint16_t>(i));
        }
        writer_->start();
        writes_ = true;
        if (!holds_) adopt();
    }

    /// Pins and evidence as they are now, for the segment that follows.
    void say_what_is_known()
    {
        const std::string known = SavedState(
                                      segment_,
                                      config_.db_path.parent_path(),
                                      std::chrono::hours(config_.pin_ttl_hours))
                                      .copy(shared::now_unix());
        const auto size = static_cast<ssize_t>(known.size());
        if (pwrite(kStateFd, known.data(), known.size(), 0) == size) channel_->send({});
    }

    void take_workers()
    {
        if (!holds_) return;
        holds_ = false;
        if (writes_) adopt();
    }

    void adopt()
    {
        const auto slots = shared::used_slots(segment_);
        for (std::size_t i = 0; i < slots.size(); ++i) {
            if (slots[i].state.load() != shared::SlotState::free)
                (void)orphans_.adopt(static_cast<std::uint16_t>(i), shared::now_monotonic_us());
        }
        shared::log::info("event=draining workers={}", orphans_.count());
        end_if_done();
    }

    void end_if_done()
    {
        const std::int64_t now_us = shared::now_monotonic_us();
        if (holds_ || !writes_ || orphans_.count() > 0 || now_us < end_again_us_) return;
        if (writer_->pause()) return loop_.stop();
        writer_->start(); // the database refuses
        end_again_us_ = now_us + kEndAgainUs;
    }

    /// Another one goes on.
    void stop()
    {
        const bool all_ended = !holds_ && orphans_.count() == 0;
        if (writes_ && !writer_->pause()) shared::log::warn("event=usage_left_in_segment");
        exit_code_ = all_ended ? 0 : 1;
        loop_.stop();
    }

    shared::Segment& segment_;
    const shared::Config& config_;
    bool holds_;
    bool writes_ = false;
    bool refused_ = false;
    int exit_code_ = 0;
    std::int64_t begun_us_;
    std::int64_t end_again_us_ = 0;
    boost::asio::io_context loop_{1};
    std::unique_ptr<UsageWriter> writer_;
    Orphans orphans_;
    std::optional<shared::ControlChannel> channel_;
    boost::asio::signal_set signals_;
    boost::asio::steady_timer timer_;
};

int fatal(const shared::Problem& problem)
{
    shared::log::error("event=cannot_start {}", problem.text());
    return shared::kExitFatal;
}

} // namespace

int run_drainer(const shared::ChildArguments& arguments)
{
    // One that was a refresher has no supervisor: before anything else is opened with this number.
    const bool has_supervisor = fcntl(shared::kControlFd, F_GETFD) >= 0;
    (void)fcntl(shared::kProgramFd, F_SETFD, FD_CLOEXEC); // it starts nothing
    shared::log::start("drainer", false);
    for (const int number : {SIGINT, SIGHUP, SIGPIPE, SIGXFSZ})
        std::signal(number, SIG_IGN);
    (void)prctl(PR_SET_NAME, "codex-pool"); // it is executed by the number of a descriptor
    const shared::ProviderRegistry registry;
    const auto text = shared::read_descriptor(shared::kConfigFd);
    if (!text) return fatal(text.error());
    const auto config = shared::from_toml(registry, *text);
    if (!config) return fatal(config.error());
    shared::log::start({"drainer", config->debug, config->log_format});
    const auto segment = shared::SegmentMapping::attach(shared::kSegmentFd);
    if (!segment) return fatal(segment.error());
    // A supervisor that is lost in the middle of an upgrade leaves a drainer and a refresher that would become another.
    const OwnedFd reader(open("/proc/self/fd/4", O_RDWR | O_CLOEXEC));
    static_assert(shared::kSegmentFd == 4);
    if (reader && flock(reader.get(), LOCK_EX | LOCK_NB) != 0) {
        shared::log::info("event=stopped why=\"another drainer reads this segment\"");
        return 0;
    }
    Drainer drainer(**segment, *config, has_supervisor, arguments.hold);
    return drainer.run();
}

} // namespace supervisor
