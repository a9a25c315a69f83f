// g++ 12 warns of Asio's own headers once they are inlined here at -O2; the warning is not true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#include "refresher/event_desk.hpp"

#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/segment/event_text.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace refresher {
namespace {

constexpr std::chrono::seconds kLookEvery{1};

WebhookSettings webhook_settings(const shared::Config& config)
{
    WebhookSettings settings;
    settings.url = config.webhook_url;
    settings.format = config.webhook_format;
    return settings;
}

AccountForecast
forecast_of(shared::Segment& segment, shared::AccountSlot account, shared::UnixMillis now)
{
    return segment.accounts[account.value].with_lock([now](const shared::AccountRecord& record) {
        const shared::AccountRouting& routing = record.routing;
        return AccountForecast{
            shared::forecast(routing.short_window, record.short_learning, now),
            shared::forecast(routing.long_window, record.long_learning, now)};
    });
}

shared::log::Level level_of(shared::EventType type)
{
    const std::string_view severity = shared::severity(type);
    if (severity == "error") return shared::log::Level::error;
    return severity == "warn" ? shared::log::Level::warn : shared::log::Level::info;
}

} // namespace

EventDesk::EventDesk(
    boost::asio::io_context& loop,
    shared::Segment& segment,
    const shared::ProviderRegistry& registry,
    const shared::Config& config,
    shared::net::HttpClient& client)
    : segment_(segment), webhook_(loop, segment, client, webhook_settings(config)), timer_(loop)
{
    settings_.pool_low_percent = config.pool_low_percent;
    settings_.provider_name = [&registry](std::uint8_t id) {
        for (const auto& provider : registry.all()) {
            if (static_cast<std::uint8_t>(provider->id()) == id)
                return std::string(provider->name());
        }
        return std::string();
    };
}

void EventDesk::start()
{
    tick();
}

void EventDesk::tick()
{
    look(shared::now_unix());
    timer_.expires_after(kLookEvery);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) tick();
    });
}

void EventDesk::look(shared::UnixMillis now)
{
    shared::Alarms alarms =
        segment_.events.with_lock([](const shared::EventLog& log) { return log.alarms; });
    const std::vector<shared::AccountSnapshot> accounts = shared::snapshot_accounts(segment_);
    std::vector<AccountForecast> forecasts;
    forecasts.reserve(accounts.size());
    for (const shared::AccountSnapshot& account : accounts)
        forecasts.push_back(forecast_of(segment_, account.slot, now));
    std::vector<shared::Event> events = watch(accounts, forecasts, settings_, now, alarms);
    shared::publish_events(segment_, events, alarms);
    for (const shared::Event& event : events)
        shared::log::write(level_of(event.type), shared::event_log_line(event));
    webhook_.poke();
}

} // namespace refresher
