// g++ 12 warns of Asio's own headers once they are inlined here at -O2; the warning is not true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#include "refresher/refresher.hpp"

#include "refresher/account_intake.hpp"
#include "refresher/event_desk.hpp"
#include "refresher/owner_actions.hpp"
#include "refresher/project_finder.hpp"
#include "refresher/quota_poll.hpp"
#include "refresher/refresh_engine.hpp"
#include "refresher/roster.hpp"
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/base/log_setup.hpp"
#include "shared/config/config.hpp"
#include "shared/ipc/control_channel.hpp"
#include "shared/ipc/read_descriptor.hpp"
#include "shared/net/proxy_settings.hpp"
#include "shared/net/tls_context.hpp"
#include "shared/providers/account_settings.hpp"
#include "shared/providers/pool_folder.hpp"
#include "shared/segment/segment.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include <unistd.h>

namespace refresher {
namespace {

using shared::Message;
using shared::MessageType;

/// The refresher's proxy: refresh_proxy_url where it is set, else this machine's.
shared::Result<shared::net::ProxySettings> proxy_settings(const shared::Config& config)
{
    return shared::net::ProxySettings::from_environment([&config](const char* name) {
        const std::string_view variable = name;
        const bool is_proxy = variable == "HTTPS_PROXY" || variable == "https_proxy";
        if (is_proxy && !config.refresh_proxy_url.empty()) return config.refresh_proxy_url.c_str();
        return static_cast<const char*>(std::getenv(name));
    });
}

std::string environment_project()
{
    for (const char* name : {"GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_PROJECT_ID"}) {
        const char* value = std::getenv(name);
        if (value != nullptr && *value != '\0') return value;
    }
    return {};
}

QuotaPollTiming poll_timing(const shared::Config& config)
{
    QuotaPollTiming timing;
    timing.interval = std::chrono::seconds(config.usage_refresh_seconds);
    return timing;
}

void log_report(const RosterReport& report, const std::filesystem::path& folder)
{
    for (const std::string& warning : report.warnings) {
        shared::log::warn("event=credential_warning {}", warning);
    }
    for (const shared::Problem& problem : report.problems) {
        shared::log::error("event=credential_file_broken {}", problem.text());
    }
    for (const std::string& id : report.added)
        shared::log::info("event=account_added account={}", id);
    for (const std::string& id : report.changed)
        shared::log::info("event=account_changed account={}", id);
    for (const std::string& id : report.removed)
        shared::log::info("event=account_removed account={}", id);
    shared::log::info(
        "event=pool_loaded accounts={} added={} changed={} removed={} broken={}",
        report.in_service,
        report.added.size(),
        report.changed.size(),
        report.removed.size(),
        report.broken);
    if (report.in_service == 0) {
        shared::log::error(
            "event=pool_empty no account is in service; put credential files into {} and reload "
            "(SIGHUP or POST /admin/reload)",
            folder.string());
    }
}

/// How long a refresh in flight may hold up the end of the process: less than the supervisor waits.
constexpr std::chrono::seconds kFinishMax{4};

/// The journal of refreshes; without it nothing is refreshed, and everything else goes on.
std::optional<RefreshJournal> open_journal(const shared::Config& config)
{
    auto journal = RefreshJournal::open(config.db_path.parent_path() / "refresh-journal");
    if (journal.has_value()) return std::move(*journal);
    shared::log::error("event=no_refresh {}", journal.error().text());
    return std::nullopt;
}

/// Tests shorten the pauses; a build without tests does not listen.
RefreshTimings refresh_timings()
{
    RefreshTimings timings;
#ifdef CODEX_POOL_FAULTS
    if (const char* spacing = std::getenv("CODEX_POOL_REFRESH_SPACING_MS"); spacing != nullptr)
        timings.spacing = std::chrono::milliseconds(std::strtol(spacing, nullptr, 10));
#endif
    return timings;
}

/// The objects of the running refresher, in the order of their dependence.
class Refresher {
public:
    Refresher(
        const shared::ChildArguments& arguments,
        shared::Segment& segment,
        const shared::ProviderRegistry& registry,
        const shared::Config& config,
        shared::net::TlsContext& tls,
        const shared::net::ProxySettings& proxy)
        : arguments_(arguments),
          registry_(registry),
          config_(config),
          roster_(segment),
          client_(tls, proxy),
          finder_(loop_, registry, config, client_, roster_, environment_project()),
          journal_(open_journal(config)),
          engine_(
              loop_,
              registry,
              config,
              client_,
              segment,
              roster_,
              journal_ ? &*journal_ : nullptr,
              refresh_timings()),
          finish_timer_(loop_),
          poller_(
              loop_,
              registry,
              config,
              client_,
              segment,
              roster_,
              [this](shared::AccountSlot slot) { on_rejected(slot); },
              poll_timing(config)),
          events_(loop_, segment, registry, config, client_),
          settings_(config.db_path.parent_path() / "account_settings.json"),
          actions_(loop_, registry, config, client_, segment, roster_, settings_, action_links()),
          intake_(registry, config.pool_dir, segment, roster_),
          channel_(loop_, shared::kControlFd),
          signals_(loop_, SIGTERM)
    {
        engine_.on_renewed([this] { finder_.seek_all(shared::now_unix()); });
    }

    int run()
    {
        channel_.start(
            [this](const Message& message) { on_message(message); },
            [this] {
                shared::log::warn("event=supervisor_gone");
                is_lost_ = !is_told_;
                finish();
            });
        signals_.async_wait([this](const boost::system::error_code& error, int) {
            if (!error) finish();
        });
        load();
        poller_.start();
        events_.start();
        send({}); // ready
        loop_.run();
        if (is_lost_ && !segment_is_kept()) become_drainer();
        shared::log::info("event=stopped");
        return 0;
    }

private:
    /// Of a supervisor that is lost: where a service manager keeps the segment, the next one goes on with it.
    static bool segment_is_kept()
    {
        const char* manager = std::getenv("NOTIFY_SOCKET");
        return manager != nullptr && *manager != '\0';
    }

    /// Else nobody would count what the workers left behind still finish: this process does, as another role of the
    /// program. Nothing of the refresher remains over the exec; segment and configuration stay open.
    void become_drainer() const
    {
        shared::log::info("event=becoming_drainer");
        shared::log::last_words();
        const std::string generation = std::to_string(arguments_.generation);
        (void)close_range(shared::kControlFd, shared::kControlFd, 0);
        (void)close_range(shared::kConfigFd + 1, ~0U, 0);
        execl(
            "/proc/self/exe",
            "codex-pool",
            "child",
            "--role",
            "drainer",
            "--slot",
            "0",
            "--listener",
            "0",
            "--generation",
            generation.c_str(),
            static_cast<char*>(nullptr));
        shared::log::error("event=no_drainer what the last workers finish is not counted");
    }

    void on_message(const Message& message)
    {
        switch (message.type) {
        case MessageType::reload: {
            Message answer = message;
            answer.type = MessageType::reloaded;
            answer.value = load();
            send(answer);
            break;
        }
        case MessageType::account_action:
            perform(message);
            break;
        case MessageType::drain:
        case MessageType::stop:
            is_told_ = true;
            finish();
            break;
        case MessageType::account_rejected:
            on_rejected({static_cast<std::uint16_t>(message.value)});
            break;
        default:
            break;
        }
    }

    void perform(const Message& message)
    {
        if (message.action == shared::AccountAction::add) return take_upload(message);
        actions_.perform(message, [this, message](const ActionEnd& end) {
            Message answer = message;
            answer.type = MessageType::account_action_done;
            answer.result = end.result;
            answer.value = message.value | (std::uint64_t{end.status} << 32U);
            send(answer);
        });
    }

    /// The answer stands in the upload's own file, which the admin child has open as well.
    void take_upload(const Message& message)
    {
        const shared::OwnedFd file = channel_.take_attached();
        Message reply = message;
        reply.type = MessageType::account_action_done;
        reply.result = shared::ActionResult::failed;
        if (const auto upload = shared::unpack_upload(file.get()); upload.has_value()) {
            const shared::UploadAnswer answer = take_in(*upload);
            const bool answered = shared::answer_upload(file.get(), answer).has_value();
            if (answered) reply.result = shared::ActionResult::done;
        }
        send(reply);
    }

    shared::UploadAnswer take_in(const shared::Upload& upload)
    {
        const shared::UploadAnswer answer = intake_.take(upload, shared::now_unix());
        shared::log::info(
            "event=account_upload account={} result={} owner={}",
            answer.account.empty() ? "-" : answer.account,
            shared::to_string(answer.end),
            upload.wish.owner.empty() ? "pool" : upload.wish.owner);
        const bool stored =
            answer.end == shared::UploadEnd::added || answer.end == shared::UploadEnd::replaced;
        if (stored) load();
        return answer;
    }

    /// What owner actions said before; it beats the files.
    void load_settings(shared::UnixMillis now)
    {
        if (const auto loaded = settings_.load(); !loaded.has_value()) {
            shared::log::error("event=account_settings_unusable {}", loaded.error().text());
            return;
        }
        roster_.replace_owner_options(settings_.all(), now);
    }

    /// Returns the number of broken files.
    std::uint32_t load()
    {
        const shared::UnixMillis now = shared::now_unix();
        load_settings(now);
        const RosterReport report =
            roster_.apply(shared::load_pool(registry_, config_.pool_dir), now);
        log_report(report, config_.pool_dir);
        engine_.on_loaded();
        finder_.seek_all(now);
        poller_.look_again();
        return report.broken;
    }

    /// An answer under way is waited for: it may hold the only valid token of its account.
    void finish()
    {
        finish_timer_.expires_after(kFinishMax);
        finish_timer_.async_wait([this](const boost::system::error_code& error) {
            if (!error) loop_.stop();
        });
        engine_.drain([this] { loop_.stop(); });
    }

    OwnerActions::Links action_links()
    {
        OwnerActions::Links links;
        links.refresh = [this](std::string_view account, RefreshEngine::Callback done) {
            engine_.refresh_now(account, std::move(done));
        };
        links.on_rejected = [this](shared::AccountSlot slot) { on_rejected(slot); };
        links.on_changed = [this] { poller_.look_again(); };
        return links;
    }

    /// A worker or a poll was told that an account's token is not accepted.
    void on_rejected(shared::AccountSlot slot)
    {
        shared::log::debug("event=account_rejected slot={}", slot.value);
        engine_.on_rejected(slot);
    }

    void send(Message message)
    {
        message.generation = arguments_.generation;
        channel_.send(message);
    }

    const shared::ChildArguments& arguments_;
    const shared::ProviderRegistry& registry_;
    const shared::Config& config_;
    boost::asio::io_context loop_{1};
    Roster roster_;
    shared::net::HttpClient client_;
    ProjectFinder finder_;
    std::optional<RefreshJournal> journal_;
    RefreshEngine engine_;
    boost::asio::steady_timer finish_timer_;
    QuotaPoller poller_;
    EventDesk events_;
    shared::AccountSettings settings_;
    OwnerActions actions_;
    AccountIntake intake_;
    shared::ControlChannel channel_;
    boost::asio::signal_set signals_;
    bool is_told_ = false; ///< to end: another one, or nobody, comes after it
    bool is_lost_ = false; ///< its supervisor has gone without a word
};

int fatal(const shared::Problem& problem)
{
    shared::log::error("event=cannot_start {}", problem.text());
    return shared::kExitFatal;
}

} // namespace

int run(const shared::ChildArguments& arguments)
{
    shared::log::start("refresher", false);
    // The terminal's Ctrl-C and SIGHUP are the supervisor's to interpret.
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);
    std::signal(SIGPIPE, SIG_IGN);
    const shared::ProviderRegistry registry;
    const auto text = shared::read_descriptor(shared::kConfigFd);
    if (!text.has_value()) return fatal(text.error());
    const shared::Result<shared::Config> config = shared::from_toml(registry, *text);
    if (!config.has_value()) return fatal(config.error());
    shared::log::start({"refresher", config->debug, config->log_format});
    const shared::Result<shared::SegmentMapping> segment =
        shared::SegmentMapping::attach(shared::kSegmentFd);
    if (!segment.has_value()) return fatal(segment.error());
    shared::Result<shared::net::TlsContext> tls = shared::net::make_client_tls_context();
    if (!tls.has_value()) return fatal(tls.error());
    const auto proxy = proxy_settings(*config);
    if (!proxy.has_value()) return fatal(proxy.error());
    Refresher refresher(arguments, **segment, registry, *config, *tls, *proxy);
    return refresher.run();
}

} // namespace refresher
