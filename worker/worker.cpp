#include "worker/worker.hpp"

#include "shared/base/log.hpp"
#include "shared/base/log_setup.hpp"
#include "shared/ipc/control_channel.hpp"
#include "shared/ipc/read_descriptor.hpp"
#include "shared/net/tls_context.hpp"
#include "shared/segment/segment.hpp"
#include "shared/segment/worker_slots.hpp"
#include "worker/server.hpp"
#include "worker/worker_state.hpp"

#include <cstdlib>
#include <string>

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

namespace worker {

namespace {

using shared::Message;
using shared::MessageType;

int fatal(const shared::Problem& problem)
{
    shared::log::error("event=cannot_start {}", problem.text());
    return shared::kExitFatal;
}

/// Two sockets per stream: as many as the system allows.
void raise_descriptor_limit() noexcept
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Bodies of a few megabytes come and go: with glibc's own thresholds each would be mapped and faulted in anew,
/// which costs more than relaying it. Above kMapFromBytes memory goes back to the system at once.
void keep_heap() noexcept
{
    constexpr int kMapFromBytes = 4 << 20;
    constexpr int kTrimFromBytes = 16 << 20;
    ::mallopt(M_MMAP_THRESHOLD, kMapFromBytes);
    ::mallopt(M_TRIM_THRESHOLD, kTrimFromBytes);
    ::mallopt(M_ARENA_MAX, 1);
}

int serve(
    const shared::ChildArguments& arguments,
    shared::Segment& segment,
    const shared::ProviderRegistry& registry,
    const shared::Config& config)
{
    shared::Result<shared::net::TlsContext> tls = shared::net::make_client_tls_context();
    if (tls.has_error()) return fatal(tls.error());
    shared::Result<shared::net::ProxySettings> proxy = shared::net::ProxySettings::from_environment(
        [](const char* name) { return std::getenv(name); });
    if (proxy.has_error()) return fatal(proxy.error());

    // One thread: sockets need no locks. The queue keeps its own, for the threads that resolve names.
    shared::net::Loop loop{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
    WorkerState state(
        loop,
        config,
        registry,
        segment,
        arguments.slot,
        tls->get(),
        *proxy,
        std::chrono::seconds(1));
    shared::ControlChannel channel(loop, shared::kControlFd);
    const auto send = [&channel, &arguments](MessageType type, std::uint64_t value) {
        Message message;
        message.type = type;
        message.generation = arguments.generation;
        message.value = value;
        channel.send(message);
    };
    state.on_account_rejected = [&send](shared::AccountSlot account) {
        send(MessageType::account_rejected, account.value);
    };
    Server server(state, shared::kListenFd);
    const auto drain = [&server, &loop](bool patient) {
        shared::log::info("event=draining");
        server.drain(patient, [&loop] { loop.stop(); });
    };
    Server::Timer drain_end(loop.get_executor());
    channel.start(
        [&](const Message& message) {
            if (message.type == MessageType::drain) drain(message.value != 0);
            if (message.type == MessageType::serve) server.serve();
            if (message.type == MessageType::stop) loop.stop();
        },
        [&] {
            shared::log::warn("event=supervisor_gone");
            drain(true);
            // Nobody else is there to end what takes too long.
            drain_end.expires_after(std::chrono::hours(config.drain_hours));
            drain_end.async_wait([&loop](boost::system::error_code) { loop.stop(); });
        });
    segment.workers[arguments.slot].pid.store(::getpid(), std::memory_order_relaxed);
    segment.workers[arguments.slot].listener.store(arguments.listener, std::memory_order_relaxed);
    segment.workers[arguments.slot].state.store(
        shared::SlotState::serving, std::memory_order_release);
    server.start();
    if (!arguments.hold) server.serve();
    send(MessageType::ready, 0);
    shared::log::info("event=serving slot={} listener={}", arguments.slot, arguments.listener);
    loop.run();
    // Running requests close their rows as they are cut.
    server.abort_sessions();
    loop.restart();
    loop.poll();
    shared::publish_waiting(segment, arguments.slot);
    send(MessageType::drained, 0);
    shared::log::info("event=stopped");
    shared::log::last_words();
    // A name look-up under way would hold up the loop's destructor for as long as the resolver likes.
    std::_Exit(0);
}

} // namespace

int run(const shared::ChildArguments& arguments)
{
    shared::log::start("worker-" + std::to_string(arguments.listener), false);
    raise_descriptor_limit();
    keep_heap();
    const auto text = shared::read_descriptor(shared::kConfigFd);
    if (text.has_error()) return fatal(text.error());
    const shared::ProviderRegistry registry;
    const auto loaded = shared::from_toml(registry, *text);
    if (loaded.has_error()) return fatal(loaded.error());
    const shared::Config config = *loaded;
    shared::log::start(
        {"worker-" + std::to_string(arguments.listener), config.debug, config.log_format});
    if (!config.debug) shared::log::collect_lines(); // debug lines must outlive a crash
    const auto segment = shared::SegmentMapping::attach(shared::kSegmentFd);
    if (segment.has_error()) return fatal(segment.error());
    return serve(arguments, **segment, registry, config);
}

} // namespace worker
