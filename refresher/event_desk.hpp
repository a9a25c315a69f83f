/// Looks at all accounts once a second and says what changed: to the log, to the event log in the segment (which
/// /admin/events reads), and to the webhook.
#pragma once

#include "refresher/event_watch.hpp"
#include "refresher/webhook.hpp"
#include "shared/config/config.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace refresher {

class EventDesk {
public:
    /// All references outlive it; it outlives the loop's last run.
    EventDesk(
        boost::asio::io_context& loop,
        shared::Segment& segment,
        const shared::ProviderRegistry& registry,
        const shared::Config& config,
        shared::net::HttpClient& client);

    void start();

private:
    void tick();
    void look(shared::UnixMillis now);

    shared::Segment& segment_;
    WatchSettings settings_;
    Webhook webhook_;
    boost::asio::steady_timer timer_;
};

} // namespace refresher
