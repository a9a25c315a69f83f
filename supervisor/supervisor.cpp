#include "supervisor/supervisor.hpp"

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/ipc/read_descriptor.hpp"
#include "shared/segment/segment.hpp"
#include "supervisor/certificate.hpp"
#include "supervisor/control_socket.hpp"
#include "supervisor/data_directories.hpp"
#include "supervisor/data_folder.hpp"
#include "supervisor/fd_store.hpp"
#include "supervisor/given_credentials.hpp"
#include "supervisor/listeners.hpp"
#include "supervisor/notify.hpp"
#include "supervisor/saved_state.hpp"
#include "supervisor/settings_reload.hpp"
#include "supervisor/signing_key.hpp"
#include "supervisor/spawn.hpp"
#include "supervisor/supervisor_loop.hpp"
#include "supervisor/usage_writer.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace supervisor {
namespace {

using shared::Problem;
using shared::Result;

/// Of the service manager; empty = there is none.
std::string notify_socket()
{
    const char* name = std::getenv("NOTIFY_SOCKET");
    return name == nullptr ? "" : name;
}

/// Everything that must be there before the first child.
struct Foundation {
    OwnedFd folder_lock;
    shared::SegmentMapping segment;
    Listeners listeners;
    UnixListener admin;
    ControlSocket control;
    OwnedFd config_text;
    std::unique_ptr<UsageWriter> writer;
    std::vector<OwnedFd> drainers; ///< control sockets of those that a lost supervisor started
};

/// All of that name, taken out.
std::vector<OwnedFd> take_named(std::vector<NamedFd>& passed, std::string_view name)
{
    std::vector<OwnedFd> found;
    for (NamedFd& each : passed) {
        if (each.name == name && each.fd) found.push_back(std::move(each.fd));
    }
    return found;
}

/// Of a socket unit: whatever listens and has no name of ours.
std::vector<OwnedFd> take_given(std::vector<NamedFd>& passed)
{
    std::vector<OwnedFd> found;
    for (NamedFd& each : passed) {
        if (each.fd && is_tcp_listener(each.fd.get())) found.push_back(std::move(each.fd));
    }
    return found;
}

Result<Listeners> open_listeners(const shared::Config& config, std::vector<NamedFd>& passed)
{
    std::vector<OwnedFd> kept = take_named(passed, kStoredListener);
    if (std::vector<OwnedFd> sockets = take_given(passed); !sockets.empty()) {
        Listeners given = Listeners::given(std::move(sockets));
        if (given.address().is_loopback() || config.shared_mode) return given;
        return Problem{
            given.address().text(),
            "the socket unit listens beyond this machine, listen_addr does not",
            "set listen_addr to the same, so that nobody is served without a credential"};
    }
    const bool any_kept = !kept.empty();
    auto listeners = Listeners::open(config.listen, config.workers, std::move(kept));
    // The service manager still holds sockets of an address that was changed, until it has read that it need not.
    if (!listeners && any_kept) Notifier(notify_socket()).forget(kStoredListener);
    for (int i = 0; !listeners && any_kept && i < 30; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        listeners = Listeners::open(config.listen, config.workers);
    }
    return listeners;
}

/// The one of a supervisor that was lost, if there is one that this program understands; else a new one.
Result<shared::SegmentMapping> open_segment(std::vector<NamedFd>& passed)
{
    for (const OwnedFd& kept : take_named(passed, kStoredSegment)) {
        const int own = fcntl(kept.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        auto segment = shared::SegmentMapping::attach(own);
        if (!segment) {
            shared::log::warn("event=segment_not_taken_over {}", segment.error().text());
            continue;
        }
        shared::log::info("event=segment_taken_over: pins, cooldowns and counters go on");
        return segment;
    }
    return shared::SegmentMapping::create(shared::now_unix());
}

Result<UnixListener> open_admin(std::vector<NamedFd>& passed, const shared::Segment& segment)
{
    std::vector<OwnedFd> kept = take_named(passed, kStoredAdmin);
    const std::string name(segment.header.admin_socket.view());
    if (kept.empty() || name.empty()) return open_unix_listener();
    return UnixListener{std::move(kept.front()), name};
}

/// For whoever comes after this process, should it be lost.
void store(const Notifier& notifier, const Foundation& base)
{
    for (const std::string_view name : {kStoredSegment, kStoredListener, kStoredAdmin})
        notifier.forget(name);
    notifier.store(base.segment.fd(), kStoredSegment);
    notifier.store(base.admin.socket.get(), kStoredAdmin);
    if (base.listeners.are_given()) return; // the socket unit keeps them
    for (const int fd : base.listeners.fds())
        notifier.store(fd, kStoredListener);
}

Result<std::unique_ptr<Foundation>> build(shared::Config& config, std::vector<NamedFd> passed)
{
    if (auto folders = create_data_directories(config); !folders) return folders.error();
    auto lock = lock_data_folder(config.db_path.parent_path());
    if (!lock) return lock.error();
    if (auto loaded = load_certificate(config, shared::now_unix()); !loaded) return loaded.error();
    if (config.shared_mode && config.jwt_secret.empty()) {
        auto key = signing_key(config.users_path.parent_path());
        if (!key) return key.error();
        config.jwt_secret = std::move(*key);
    }
    auto database = UsageDb::open(config.db_path);
    if (!database) return database.error();
    auto listeners = open_listeners(config, passed);
    if (!listeners) return listeners.error();
    config.listen = listeners->address();
    ControlSocket control;
    if (auto made = ControlSocket::open(config.db_path.parent_path()); made.has_value())
        control = std::move(*made);
    else
        shared::log::warn(
            "event=no_control_socket owner commands do not work: {}", made.error().text());
    auto text = sealed_text(shared::to_toml(config));
    if (!text) return text.error();
    auto segment = open_segment(passed);
    if (!segment) return segment.error();
    auto admin = open_admin(passed, **segment);
    if (!admin) return admin.error();
    (*segment)->header.admin_socket = std::string_view(admin->name);
    auto writer = UsageWriter::create(**segment, std::move(*database), config.usage_retention_days);
    if (!writer) return writer.error();
    std::vector<OwnedFd> drainers = take_named(passed, kStoredDrainer);
    return std::unique_ptr<Foundation>(new Foundation{
        std::move(*lock),
        std::move(*segment),
        std::move(*listeners),
        std::move(*admin),
        std::move(control),
        std::move(*text),
        std::move(*writer),
        std::move(drainers)});
}

/// What a program before this one ran with stays where changing it needs a restart.
shared::Config settled(const shared::Config& loaded, const Handover& handover)
{
    const shared::ProviderRegistry registry;
    shared::Config before = loaded;
    before.workers = static_cast<std::uint32_t>(handover.listener_fds.size());
    if (auto text = shared::read_descriptor(handover.config_fd); text) {
        if (auto parsed = shared::from_toml(registry, *text)) before = std::move(*parsed);
    }
    before.listen = {handover.listen_host, handover.listen_port};
    SettingsChange change = compare_settings(before, loaded);
    if (!change.need_restart.empty())
        shared::log::warn(
            "event=settings_need_restart settings=\"{}\": they stay as they are until then",
            enumeration(change.need_restart));
    return std::move(change.config);
}

/// The same from what another program hands over; the database is opened when that one is not needed any more.
Result<std::unique_ptr<Foundation>> take(shared::Config& config, const Handover& handover)
{
    config = settled(config, handover);
    if (auto loaded = load_certificate(config, shared::now_unix()); !loaded) return loaded.error();
    auto text = sealed_text(shared::to_toml(config));
    if (!text) return text.error();
    // One of another layout goes on with its drainer; it stays open to be given back.
    const bool other = needs_own_segment(handover);
    auto segment = other ? shared::SegmentMapping::create(shared::now_unix())
                         : shared::SegmentMapping::attach(handover.segment_fd);
    if (!segment) return segment.error();
    UnixListener admin = adopt_unix_listener(handover.admin_fd);
    if (other) (*segment)->header.admin_socket = std::string_view(admin.name);
    ControlSocket control;
    if (handover.control_fd >= 0)
        control = ControlSocket::adopt(handover.control_fd, config.db_path.parent_path());
    auto writer = UsageWriter::create_waiting(**segment, config.usage_retention_days);
    return std::unique_ptr<Foundation>(new Foundation{
        OwnedFd(handover.lock_fd),
        std::move(*segment),
        Listeners::adopt(config.listen, handover.listener_fds, config.workers),
        std::move(admin),
        std::move(control),
        std::move(*text),
        std::move(writer),
        {}});
}

} // namespace

int run(const shared::Config& given, const RunSettings& settings)
{
    // A broken pipe or a file-size limit must come back as an error, not end the pool. Two arenas: one per
    // thread, instead of eight per core.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    mallopt(M_ARENA_MAX, 2);
    // Given back by another program it would be called by the number of a descriptor.
    (void)prctl(PR_SET_NAME, "codex-pool");

    shared::Config config = given;
    auto built = settings.handover ? take(config, *settings.handover)
                                   : build(config, take_passed_descriptors());
    if (!built) {
        shared::log::error("{}", built.error().text());
        if (settings.handover)
            shared::log::error(
                "event=cannot_roll_back {}",
                give_back(*settings.handover, settings.start, built.error().text()).text());
        return 1;
    }
    Foundation& base = **built;
    for (const std::string& warning : config.warnings)
        shared::log::warn("{}", warning);
    const auto imported = import_credentials(
        settings.credentials,
        config.pool_dir,
        config.db_path.parent_path() / "imported_credentials");
    if (!imported) shared::log::error("event=credential_not_imported {}", imported.error().text());
    SavedState saved(
        *base.segment, config.db_path.parent_path(), std::chrono::hours(config.pin_ttl_hours));
    saved.load(shared::now_unix());
    if (!settings.handover) {
        base.writer->start();
        store(Notifier(notify_socket()), base);
    }
    const std::string_view scheme = config.tls_cert.empty() ? "http" : "https";
    shared::log::info("listening on {}://{}", scheme, config.listen.text());

    boost::asio::io_context loop(1);
    const TreeParts parts{
        *base.segment,
        base.segment.fd(),
        base.config_text.get(),
        base.listeners,
        base.admin.socket.get(),
        base.control.fd(),
        *base.writer,
        settings.program};
    const auto begin_usage = [&base, &config]() -> Result<bool> {
        auto database = UsageDb::open(config.db_path);
        if (!database) return database.error();
        if (auto opened = base.writer->open(std::move(*database)); !opened) return opened.error();
        base.writer->start();
        return true;
    };
    SupervisorLoop supervisor(
        loop,
        config,
        parts,
        saved,
        settings,
        UpgradeParts{
            base.folder_lock.get(), settings.handover, begin_usage, std::move(base.drainers)});
    const int exit_code = supervisor.run();

    // In this order: the last usage is in the rings until the writer has ended, and only then nobody else uses `saved`.
    base.writer->stop();
    saved.save(shared::now_unix());
    shared::log::info("event=stopped exit_code={}", exit_code);
    return exit_code;
}

} // namespace supervisor
