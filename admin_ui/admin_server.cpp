// g++ 12 warns of Asio's own headers once they are inlined here at -O2; the warning is not true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#include "admin_ui/admin_server.hpp"

#include "admin_ui/routes.hpp"
#include "admin_ui/server.hpp"
#include "admin_ui/usage_query.hpp"
#include "shared/base/log.hpp"
#include "shared/config/config.hpp"
#include "shared/ipc/control_channel.hpp"
#include "shared/ipc/read_descriptor.hpp"
#include "shared/segment/segment.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <csignal>

#include <fcntl.h>

namespace admin_ui {
namespace {

using shared::Message;
using shared::MessageType;

int fatal(const shared::Problem& problem)
{
    shared::log::error("event=cannot_start {}", problem.text());
    return shared::kExitFatal;
}

SiteSettings site_settings(const shared::Config& config)
{
    SiteSettings settings;
    settings.shared_mode = config.shared_mode;
    settings.public_url = config.public_url;
    settings.listen = config.listen.text();
    settings.friend_name = config.friend_name;
    settings.friend_tagline = config.friend_tagline;
    settings.prices_file = config.prices_file;
    return settings;
}

int serve(
    const shared::ChildArguments& arguments, shared::Segment& segment, const shared::Config& config)
{
    boost::asio::io_context loop{1};
    UsageQuery usage(config.db_path);
    Routes routes(segment, usage, site_settings(config));
    shared::ControlChannel channel(loop, shared::kControlFd);
    const auto send = [&channel, &arguments](Message message) {
        message.generation = arguments.generation;
        channel.send(message);
    };
    clear_wishes(segment);
    Server server(loop, shared::kListenFd, routes, send, Server::Deadlines());
    channel.start(
        [&server, &loop](const Message& message) {
            const bool answers = message.type == MessageType::reloaded ||
                                 message.type == MessageType::account_action_done;
            if (answers) server.answered(message);
            const bool ends =
                message.type == MessageType::stop || message.type == MessageType::drain;
            if (ends) loop.stop();
        },
        [&loop] {
            shared::log::warn("event=supervisor_gone");
            loop.stop();
        });
    boost::asio::signal_set signals(loop, SIGTERM);
    signals.async_wait([&loop](const boost::system::error_code& error, int) {
        if (!error) loop.stop();
    });
    if (fcntl(shared::kOwnerListenFd, F_GETFD) >= 0) server.listen_also(shared::kOwnerListenFd);
    server.start();
    send({}); // ready
    loop.run();
    shared::log::info("event=stopped");
    return 0;
}

} // namespace

int run(const shared::ChildArguments& arguments)
{
    shared::log::start("admin", false);
    // The terminal's Ctrl-C and SIGHUP are the supervisor's to interpret.
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);
    std::signal(SIGPIPE, SIG_IGN);
    const shared::ProviderRegistry registry;
    const auto text = shared::read_descriptor(shared::kConfigFd);
    if (!text.has_value()) return fatal(text.error());
    const shared::Result<shared::Config> config = shared::from_toml(registry, *text);
    if (!config.has_value()) return fatal(config.error());
    shared::log::start("admin", config->debug);
    const shared::Result<shared::SegmentMapping> segment =
        shared::SegmentMapping::attach(shared::kSegmentFd);
    if (!segment.has_value()) return fatal(segment.error());
    return serve(arguments, **segment, *config);
}

} // namespace admin_ui
