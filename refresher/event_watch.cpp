#include "refresher/event_watch.hpp"

#include "shared/base/time_text.hpp"
#include "shared/providers/provider.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include <fmt/format.h>

namespace refresher {
namespace {

using shared::AccountCondition;
using shared::AccountSnapshot;
using shared::AccountState;
using shared::Alarm;
using shared::Event;
using shared::EventType;
using shared::UnixMillis;

enum class Turn : std::uint8_t { none, raised, cleared };

/// A point that lies ahead was written before the clock was set back.
void not_ahead(UnixMillis& at, UnixMillis now)
{
    if (at > now) at = now;
}

Turn turn(
    Alarm& alarm,
    bool wrong,
    std::chrono::milliseconds raise_after,
    const WatchSettings& settings,
    UnixMillis now,
    std::optional<std::chrono::milliseconds> repeat_after = std::nullopt)
{
    not_ahead(alarm.wrong_since, now);
    not_ahead(alarm.well_since, now);
    not_ahead(alarm.announced_at, now);
    if (wrong) {
        alarm.well_since = {};
        if (!alarm.wrong_since.is_set()) alarm.wrong_since = now;
        if (alarm.announced || now.since(alarm.wrong_since) < raise_after) return Turn::none;
        const bool too_soon =
            alarm.announced_at.is_set() &&
            now.since(alarm.announced_at) < repeat_after.value_or(settings.repeat_after);
        if (too_soon) return Turn::none;
        alarm.announced = true;
        alarm.announced_at = now;
        return Turn::raised;
    }
    alarm.wrong_since = {};
    if (!alarm.announced) return Turn::none;
    if (!alarm.well_since.is_set()) alarm.well_since = now;
    if (now.since(alarm.well_since) < settings.clear_after) return Turn::none;
    alarm.announced = false;
    alarm.well_since = {};
    return Turn::cleared;
}

/// "2026-11-22 10:05 UTC"
std::string time_text(UnixMillis at)
{
    std::string text = shared::iso_time(at);
    if (text.size() < 16) return text;
    text.resize(16);
    text[10] = ' ';
    return text + " UTC";
}

/// " (invalid grant)", of a word of the fixed vocabulary.
std::string reason_text(std::string_view reason)
{
    if (reason.empty()) return {};
    std::string text(reason);
    std::replace(text.begin(), text.end(), '_', ' ');
    return " (" + text + ")";
}

/// One look's evaluation: what every alarm needs to make its event.
class Watch {
public:
    Watch(const WatchSettings& settings, UnixMillis now) : settings_(settings), now_(now) {}

    void look_at(const AccountSnapshot& account, shared::Alarms::OfAccount& alarms)
    {
        const AccountState state = account.routing.state;
        if (state == AccountState::disabled || state == AccountState::removed) {
            alarms = {}; // that is its owner's doing: nothing is wrong, and nothing has recovered
            return;
        }
        const bool login = state == AccountState::needs_login;
        const bool failing = state == AccountState::failing;
        const std::string id(account.identity.id.view());
        const std::string reason = reason_text(account.routing.reason.view());
        switch (turn(alarms.needs_login, login, {}, settings_, now_)) {
        case Turn::raised:
            add(EventType::needs_login, account)
                .text.assign(
                    id + " needs a new login" + reason +
                    ": sign in again with its CLI, copy the file into the pool folder and reload.");
            break;
        case Turn::cleared:
            if (!failing) recovered(EventType::needs_login, account);
            break;
        case Turn::none:
            break;
        }
        switch (turn(alarms.failing, failing, {}, settings_, now_)) {
        case Turn::raised: {
            Event& event = add(EventType::account_failing, account);
            event.until = account.routing.cooling_until;
            event.text.assign(
                id + " is refused by the vendor" + reason +
                (event.until > now_ ? "; it is tried again at " + time_text(event.until) : "") +
                ".");
            break;
        }
        case Turn::cleared:
            if (!login) recovered(EventType::account_failing, account);
            break;
        case Turn::none:
            break;
        }
    }

    void look_ahead(
        const AccountSnapshot& account,
        const AccountForecast& forecast,
        shared::Alarms::OfAccount& alarms)
    {
        const shared::AccountRouting& routing = account.routing;
        look_ahead(
            account,
            forecast.short_window,
            routing.short_window,
            "its 5 hours",
            alarms.short_forecast);
        look_ahead(
            account, forecast.long_window, routing.long_window, "its week", alarms.long_forecast);
    }

    void look_at(
        std::uint8_t provider,
        std::span<const AccountSnapshot> accounts,
        shared::Alarms::OfProvider& alarms)
    {
        const Sums sums = sum(provider, accounts);
        const std::string name = settings_.provider_name(provider);
        const bool empty = sums.in_service > 0 && sums.able == 0;
        switch (turn(alarms.empty, empty, settings_.empty_after, settings_, now_)) {
        case Turn::raised: {
            Event& event = add(EventType::pool_empty, provider);
            event.until = sums.first_back;
            event.text.assign(
                "No account of " + name + " can serve (" + sums.states() + ")" +
                (event.until.is_set() ? "; the first is back at " + time_text(event.until) : "") +
                ".");
            break;
        }
        case Turn::cleared:
            if (sums.in_service > 0)
                recovered(EventType::pool_empty, provider, name + " can serve again.");
            break;
        case Turn::none:
            break;
        }
        low(provider, name, sums, empty, alarms.low);
    }

    std::vector<Event> take() { return std::move(events_); }

private:
    struct Sums {
        std::size_t in_service = 0; ///< neither disabled nor removed
        std::size_t able = 0;       ///< can serve now, or could if it were not busy
        std::size_t subscriptions = 0;
        double room = 0; ///< of the subscriptions, summed
        UnixMillis first_back;
        std::array<std::size_t, 8> by_condition{};

        [[nodiscard]] std::string states() const
        {
            std::string text;
            for (std::size_t i = 0; i < by_condition.size(); ++i) {
                if (by_condition[i] == 0) continue;
                if (!text.empty()) text += ", ";
                text += std::to_string(by_condition[i]) + ' ' +
                        std::string(shared::to_string(static_cast<AccountCondition>(i)));
            }
            return text;
        }
    };

    /// What an account has left in the window that has least; nothing known counts as all.
    [[nodiscard]] double room_of(const shared::AccountRouting& routing) const
    {
        if (routing.state != AccountState::ready) return 0;
        double room = 1;
        for (const shared::WindowRecord* window : {&routing.short_window, &routing.long_window})
            room = std::min(room, 1.0 - shared::used_now(*window, now_).fraction());
        return room;
    }

    [[nodiscard]] Sums sum(std::uint8_t provider, std::span<const AccountSnapshot> accounts) const
    {
        Sums sums;
        for (const AccountSnapshot& account : accounts) {
            const shared::AccountRouting& routing = account.routing;
            const AccountCondition condition = shared::condition(routing, now_);
            const bool counts = routing.provider == provider &&
                                condition != AccountCondition::disabled &&
                                condition != AccountCondition::removed;
            if (!counts) continue;
            ++sums.in_service;
            ++sums.by_condition[static_cast<std::size_t>(condition) % sums.by_condition.size()];
            if (condition == AccountCondition::ready || condition == AccountCondition::busy)
                ++sums.able;
            if (routing.kind != static_cast<std::uint8_t>(shared::CredentialKind::api_key)) {
                ++sums.subscriptions;
                sums.room += room_of(routing);
            }
            const UnixMillis back = shared::available_at(routing, now_);
            if (back.is_set() && (!sums.first_back.is_set() || back < sums.first_back))
                sums.first_back = back;
        }
        return sums;
    }

    /// Says that a window will be used up too early; that it will not after all is no event.
    void look_ahead(
        const AccountSnapshot& account,
        const shared::Forecast& forecast,
        const shared::WindowRecord& window,
        std::string_view what,
        Alarm& alarm)
    {
        const bool can_be_relied_on = forecast.confidence == shared::Confidence::medium ||
                                      forecast.confidence == shared::Confidence::high;
        const bool wrong = account.routing.state == AccountState::ready && can_be_relied_on &&
                           forecast.empty_at > now_ && window.resets_at > forecast.empty_at;
        const Turn happened = turn(
            alarm,
            wrong,
            settings_.forecast_after,
            settings_,
            now_,
            settings_.forecast_repeat_after);
        if (happened != Turn::raised) return;
        Event& event = add(EventType::forecast_empty_before_reset, account);
        event.reason = {};
        event.until = forecast.empty_at;
        event.text.assign(fmt::format(
            "At the present pace {} will have used up {} at {}; it is renewed at {} (confidence: "
            "{}).",
            account.identity.id.view(),
            what,
            time_text(forecast.empty_at),
            time_text(window.resets_at),
            shared::to_string(forecast.confidence)));
    }

    /// A pool that is empty is not called low as well.
    void
    low(std::uint8_t provider, const std::string& name, const Sums& sums, bool empty, Alarm& alarm)
    {
        constexpr double kHysteresisPercent = 5;
        if (sums.subscriptions == 0 || settings_.pool_low_percent == 0) {
            alarm = {};
            return;
        }
        const double percent = sums.room / static_cast<double>(sums.subscriptions) * 100;
        const double limit =
            settings_.pool_low_percent + (alarm.announced ? kHysteresisPercent : 0.0);
        const bool wrong = percent < limit && (alarm.announced || !empty);
        const std::string room = fmt::format(
            "{:.0f} % of its room left over {} account{}",
            percent,
            sums.subscriptions,
            sums.subscriptions == 1 ? "" : "s");
        switch (turn(alarm, wrong, {}, settings_, now_)) {
        case Turn::raised:
            add(EventType::pool_low, provider).text.assign(name + " has " + room + ".");
            break;
        case Turn::cleared:
            recovered(EventType::pool_low, provider, name + " has " + room + " again.");
            break;
        case Turn::none:
            break;
        }
    }

    Event& add(EventType type, std::uint8_t provider)
    {
        Event& event = events_.emplace_back();
        event.at = now_;
        event.type = type;
        event.provider.assign(settings_.provider_name(provider));
        return event;
    }

    Event& add(EventType type, const AccountSnapshot& account)
    {
        Event& event = add(type, account.routing.provider);
        event.account = account.identity.id;
        event.reason = account.routing.reason;
        return event;
    }

    void recovered(EventType was, const AccountSnapshot& account)
    {
        Event& event = add(EventType::recovered, account);
        event.was = was;
        event.reason = {};
        event.text.assign(std::string(account.identity.id.view()) + " is in service again.");
    }

    void recovered(EventType was, std::uint8_t provider, const std::string& text)
    {
        Event& event = add(EventType::recovered, provider);
        event.was = was;
        event.text.assign(text);
    }

    const WatchSettings& settings_;
    UnixMillis now_;
    std::vector<Event> events_;
};

} // namespace

std::vector<Event> watch(
    std::span<const AccountSnapshot> accounts,
    std::span<const AccountForecast> forecasts,
    const WatchSettings& settings,
    UnixMillis now,
    shared::Alarms& alarms)
{
    Watch look(settings, now);
    for (std::size_t i = 0; i < accounts.size(); ++i) {
        shared::Alarms::OfAccount& own = alarms.accounts[accounts[i].slot.value];
        look.look_at(accounts[i], own);
        if (i < forecasts.size()) look.look_ahead(accounts[i], forecasts[i], own);
    }
    for (std::uint8_t provider = 1; provider < shared::kWatchedProviders; ++provider)
        look.look_at(provider, accounts, alarms.providers[provider]);
    return look.take();
}

} // namespace refresher
