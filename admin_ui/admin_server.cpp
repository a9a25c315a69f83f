// g++ 12 warns of Asio's own headers once they are inlined here at -O2; the warning is not true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#include "admin_ui/admin_server.hpp"

#include "admin_ui/people.hpp"
#include "admin_ui/people_routes.hpp"
#include "admin_ui/routes.hpp"
#include "admin_ui/server.hpp"
#include "admin_ui/usage_query.hpp"
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/base/log_setup.hpp"
#include "shared/config/config.hpp"
#include "shared/ipc/control_channel.hpp"
#include "shared/ipc/read_descriptor.hpp"
#include "shared/segment/segment.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace admin_ui {
namespace {

using shared::Message;
using shared::MessageType;

int fatal(const shared::Problem& problem)
{
    shared::log::error("event=cannot_start {}", problem.text());
    return shared::kExitFatal;
}

/// The listener's address; where it listens on all of them, this machine's name.
std::string reachable(shared::ListenAddress listen)
{
    const bool any = listen.host == "0.0.0.0" || listen.host == "::";
    std::array<char, 256> name{};
    if (any && gethostname(name.data(), name.size() - 1) == 0 && is_sane_host(name.data()))
        listen.host = name.data();
    return listen.text();
}

SiteSettings site_settings(const shared::Config& config)
{
    SiteSettings settings;
    settings.shared_mode = config.shared_mode;
    settings.public_url = config.public_url;
    settings.listen = reachable(config.listen);
    settings.friend_name = config.friend_name;
    settings.friend_tagline = config.friend_tagline;
    settings.prices_file = config.prices_file;
    settings.metrics_users = config.metrics_users;
    settings.allow_contributions = config.allow_contributions;
    return settings;
}

/// Takes over, once a second, what somebody has changed in the users file by hand.
void watch_users(boost::asio::steady_timer& timer, People& people)
{
    timer.expires_after(std::chrono::seconds(1));
    timer.async_wait([&timer, &people](const boost::system::error_code& error) {
        if (error) return;
        people.refresh(shared::now_unix());
        watch_users(timer, people);
    });
}

int serve(
    const shared::ChildArguments& arguments, shared::Segment& segment, const shared::Config& config)
{
    boost::asio::io_context loop{1};
    UsageQuery usage(config.db_path);
    const shared::ProviderRegistry registry;
    People people(segment, registry, people_settings(config));
    people.refresh(shared::now_unix());
    boost::asio::steady_timer users_timer(loop);
    watch_users(users_timer, people);
    Routes routes(segment, usage, site_settings(config));
    routes.add_people(people);
    shared::ControlChannel channel(loop, shared::kControlFd);
    const auto send = [&channel, &arguments](Message message, int attached) {
        message.generation = arguments.generation;
        channel.send(message, attached);
    };
    clear_wishes(segment);
    Server server(loop, shared::kListenFd, routes, send, Server::Deadlines());
    channel.start(
        [&server, &loop](const Message& message) {
            const bool answers = message.type == MessageType::reloaded ||
                                 message.type == MessageType::upgraded ||
                                 message.type == MessageType::account_action_done;
            if (answers) server.answered(message);
            if (message.type == MessageType::serve) server.start();
            if (message.type == MessageType::stop) loop.stop();
            if (message.type == MessageType::drain) server.drain([&loop] { loop.stop(); });
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
    if (!arguments.hold) server.start();
    send({}, -1); // ready
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
    shared::log::start({"admin", config->debug, config->log_format});
    const shared::Result<shared::SegmentMapping> segment =
        shared::SegmentMapping::attach(shared::kSegmentFd);
    if (!segment.has_value()) return fatal(segment.error());
    return serve(arguments, **segment, *config);
}

} // namespace admin_ui
