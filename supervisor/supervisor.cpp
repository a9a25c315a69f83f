#include "supervisor/supervisor.hpp"

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/segment/segment.hpp"
#include "supervisor/certificate.hpp"
#include "supervisor/control_socket.hpp"
#include "supervisor/data_directories.hpp"
#include "supervisor/data_folder.hpp"
#include "supervisor/listeners.hpp"
#include "supervisor/pin_keeper.hpp"
#include "supervisor/signing_key.hpp"
#include "supervisor/spawn.hpp"
#include "supervisor/supervisor_loop.hpp"
#include "supervisor/usage_writer.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <csignal>
#include <utility>

#include <malloc.h>

namespace supervisor {
namespace {

using shared::Problem;
using shared::Result;

/// Everything that must be there before the first child.
struct Foundation {
    OwnedFd folder_lock;
    shared::SegmentMapping segment;
    Listeners listeners;
    UnixListener admin;
    ControlSocket control;
    OwnedFd config_text;
    std::unique_ptr<UsageWriter> writer;
};

Result<std::unique_ptr<Foundation>> build(shared::Config& config)
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
    auto listeners = Listeners::open(config.listen, config.workers);
    if (!listeners) return listeners.error();
    config.listen = listeners->address();
    auto admin = open_unix_listener();
    if (!admin) return admin.error();
    ControlSocket control;
    if (auto made = ControlSocket::open(config.db_path.parent_path()); made.has_value())
        control = std::move(*made);
    else
        shared::log::warn(
            "event=no_control_socket owner commands do not work: {}", made.error().text());
    auto text = sealed_text(shared::to_toml(config));
    if (!text) return text.error();
    auto segment = shared::SegmentMapping::create(shared::now_unix());
    if (!segment) return segment.error();
    (*segment)->header.admin_socket = std::string_view(admin->name);
    auto writer = UsageWriter::create(**segment, std::move(*database), config.usage_retention_days);
    if (!writer) return writer.error();
    return std::unique_ptr<Foundation>(new Foundation{
        std::move(*lock),
        std::move(*segment),
        std::move(*listeners),
        std::move(*admin),
        std::move(control),
        std::move(*text),
        std::move(*writer)});
}

} // namespace

int run(const shared::Config& given, const RunSettings& settings)
{
    // A broken pipe or a file-size limit must come back as an error, not end the pool. Two arenas: one per
    // thread, instead of eight per core.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    mallopt(M_ARENA_MAX, 2);

    shared::Config config = given;
    auto built = build(config);
    if (!built) {
        shared::log::error("{}", built.error().text());
        return 1;
    }
    Foundation& base = **built;
    for (const std::string& warning : config.warnings)
        shared::log::warn("{}", warning);
    PinKeeper pins(
        *base.segment,
        config.db_path.parent_path() / "pins.bin",
        std::chrono::hours(config.pin_ttl_hours));
    pins.load(shared::now_unix());
    base.writer->start();
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
    SupervisorLoop supervisor(loop, config, parts, pins, settings);
    const int exit_code = supervisor.run();

    // In this order: the last usage is in the rings until the writer has ended, and only then nobody else uses `pins`.
    base.writer->stop();
    pins.save(shared::now_unix());
    shared::log::info("event=stopped exit_code={}", exit_code);
    return exit_code;
}

} // namespace supervisor
