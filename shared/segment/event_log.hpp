/// What the owner should hear about: the last events, what has been announced already, and how far the webhook is.
///
///   part           writers     readers                  guarded by    if the writer dies inside
///   -------------  ----------  -----------------------  ------------  -------------------------------------
///   EventLog       refresher   admin, next refresher    events.mutex  the event being written is not counted
///
/// All of it is here and not in a process, so that a refresher that was replaced neither repeats nor forgets anything.
#pragma once

#include "shared/base/fixed_string.hpp"
#include "shared/base/units.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace shared {

struct Segment;

inline constexpr std::size_t kEventsKept = 256;
inline constexpr std::size_t kWatchedAccounts = 256;
inline constexpr std::size_t kWatchedProviders = 8;

enum class EventType : std::uint8_t {
    none,
    needs_login,                 ///< an account's refresh token is dead
    account_failing,             ///< the vendor refuses an account
    pool_low,                    ///< little room is left over all accounts of a provider
    pool_empty,                  ///< no account of a provider can serve
    recovered,                   ///< one of the above is over, see Event::was
    forecast_empty_before_reset, ///< an account will be used up before its window is renewed
};

[[nodiscard]] std::string_view to_string(EventType type) noexcept;

struct Event {
    std::uint64_t sequence = 0; ///< from 1; the id for whoever reads on later
    UnixMillis at;
    EventType type = EventType::none;
    EventType was = EventType::none; ///< recovered: what is over
    FixedString<16> provider;        ///< its name
    FixedString<80> account;         ///< empty: it is about the provider as a whole
    FixedString<80> reason;          ///< from the fixed vocabulary of account states; may be empty
    UnixMillis until;                ///< when it is over by itself, where that is known
    FixedString<320> text;           ///< one sentence for a person
};

/// One thing that can be wrong with one subject, and whether that was said.
struct Alarm {
    bool announced = false;
    UnixMillis wrong_since; ///< unset while all is well
    UnixMillis well_since;  ///< unset while it is wrong
    UnixMillis announced_at;
};

/// All alarms. By account slot, and by provider number.
struct Alarms {
    struct OfAccount {
        Alarm needs_login;
        Alarm failing;
        Alarm short_forecast;
        Alarm long_forecast;
    };

    struct OfProvider {
        Alarm low;
        Alarm empty;
    };

    std::array<OfAccount, kWatchedAccounts> accounts{};
    std::array<OfProvider, kWatchedProviders> providers{};
};

struct EventLog {
    std::uint64_t published = 0; ///< sequence of the newest event
    std::uint64_t webhook_done =
        0; ///< up to here the webhook has been told, or has been given up on
    Alarms alarms;
    std::array<Event, kEventsKept> events{};

    /// `published` moves last: a half-written event does not count. A torn alarm only repeats or omits one event.
    void repair() noexcept {}
};

/// Appends events (numbering them) and stores the alarms they came from, as one step. Refresher only.
void publish_events(Segment& segment, std::vector<Event>& events, const Alarms& alarms);

/// The kept events after `sequence`, oldest first, at most `max`.
[[nodiscard]] std::vector<Event>
events_after(Segment& segment, std::uint64_t sequence, std::size_t max = kEventsKept);

} // namespace shared
