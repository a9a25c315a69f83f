#include "shared/segment/account_state.hpp"

#include "shared/segment/account_table.hpp"

#include <algorithm>
#include <array>

namespace shared {
namespace {

using Condition = AccountCondition;

// The one place where a state gets its name and its words.
constexpr std::array<StateInfo, 8> kStates{{
    {Condition::ready,
     "ready",
     "It can take the next request.",
     "A state below begins.",
     StateSeverity::good},
    {Condition::busy,
     "busy",
     "It runs as many requests as its `max_concurrency` allows.",
     "One of its requests ends, or the owner raises the limit.",
     StateSeverity::good},
    {Condition::cooling,
     "cooling",
     "The vendor limited its rate: no request goes to it until the time shown.",
     "The time passes. If the vendor had named no time, one request then tries whether it is over. "
     "A served request "
     "or the owner's `clear` ends it at once.",
     StateSeverity::passing},
    {Condition::exhausted,
     "exhausted",
     "A quota window is used up, and there are no credits to go on with.",
     "The window's reset passes, or fresher evidence (an answer, a poll) says that there is room. "
     "The owner's `clear` "
     "forgets what was known.",
     StateSeverity::passing},
    {Condition::failing,
     "failing",
     "The vendor refuses its credential or the account itself (401, 402, 403).",
     "The back-off passes (1 minute, doubling, at most 30); one request then tries it. A served "
     "request, a new token in "
     "its file or the owner's `clear` ends it at once.",
     StateSeverity::passing},
    {Condition::needs_login,
     "needs_login",
     "Its refresh token is dead: nothing but a new sign-in mends it.",
     "Its credential file is replaced by a fresh one.",
     StateSeverity::owner},
    {Condition::disabled,
     "disabled",
     "Its owner took it out of service, in its file or by `disable`.",
     "The owner's `enable`, or the mark goes from its file.",
     StateSeverity::off},
    {Condition::removed,
     "removed",
     "Its credential file is gone: what runs on it may finish.",
     "The file comes back.",
     StateSeverity::off},
}};

struct Words {
    std::string_view word;
    std::string_view text;
};

constexpr std::array<Words, 18> kReasons{{
    {kReasonDisabledInFile, "its credential file says so"},
    {kReasonDisabledByOwner, "its owner disabled it"},
    {kReasonPaused, "the user it belongs to paused it"},
    {kReasonFileGone, "its credential file is gone"},
    {kReasonConcurrency, "as many requests run on it as it may have"},
    {kReasonShortWindow, "its 5-hour window is used up"},
    {kReasonLongWindow, "its weekly window is used up"},
    {"usage_limit_reached", "the vendor says that its usage limit is reached"},
    {"usage_limit", "the vendor says that its usage limit is reached"},
    {"rate_limit", "the vendor limited its rate"},
    {"rate_limit_error", "the vendor limited its rate"},
    {"rate_limit_exceeded", "the vendor limited its rate"},
    {"http_429", "the vendor limited its rate (429)"},
    {"http_401", "the vendor did not accept its token (401)"},
    {"http_402", "the vendor wants to be paid (402)"},
    {"http_403", "the vendor refused it (403)"},
    {"invalid_grant", "the vendor no longer knows its refresh token"},
    {"refresh_token_reused", "its refresh token was used elsewhere first"},
}};

bool is_full(const WindowRecord& window, UnixMillis now) noexcept
{
    return used_now(window, now).is_full();
}

bool has_credits(const AccountRouting& routing) noexcept
{
    return routing.has_credits == 1 || routing.unlimited_credits == 1;
}

/// What a rate limit or a refusal says at `now`; ready if it is over or there was none.
Condition told_by_vendor(const AccountRouting& routing, UnixMillis now) noexcept
{
    // A refusal ends by itself like a cool-down: then one request probes whether it still holds.
    const bool open = half_open(routing, now);
    const bool probed = open && routing.probing_until > now;
    if (routing.state == AccountState::failing && (!open || probed)) return Condition::failing;
    if (routing.cooling_until > now)
        return routing.cooling_used_up ? Condition::exhausted : Condition::cooling;
    return routing.state == AccountState::ready && probed ? Condition::cooling : Condition::ready;
}

/// The window that is used up and ends last; nullptr if there is room, or credits to go on with. One whose end nobody
/// knows ends last of all.
const WindowRecord* last_full_window(const AccountRouting& routing, UnixMillis now) noexcept
{
    if (has_credits(routing)) return nullptr;
    const WindowRecord* last = nullptr;
    for (const WindowRecord* window : {&routing.short_window, &routing.long_window}) {
        if (!is_full(*window, now)) continue;
        if (!window->resets_at.is_set()) return window;
        if (last == nullptr || window->resets_at > last->resets_at) last = window;
    }
    return last;
}

/// Of a cool-down and a used-up window the one that ends last is the state.
bool window_outlasts_cooling(
    const AccountRouting& routing, const WindowRecord& window, UnixMillis now) noexcept
{
    const bool cools = routing.cooling_until > now;
    return !cools || !window.resets_at.is_set() || window.resets_at >= routing.cooling_until;
}

/// Since when nothing has stood in the way: the last of those evidences to have ended.
UnixMillis ready_since(const AccountRouting& routing, UnixMillis now) noexcept
{
    UnixMillis since = routing.state_since;
    if (routing.cooling_until <= now) since = std::max(since, routing.cooling_until);
    for (const WindowRecord* window : {&routing.short_window, &routing.long_window}) {
        const bool was_full = window->used.is_full() && window->resets_at <= now;
        if (was_full) since = std::max(since, window->resets_at);
    }
    return since;
}

} // namespace

std::span<const StateInfo> state_table() noexcept
{
    return kStates;
}

const StateInfo& state_info(AccountCondition condition) noexcept
{
    const auto* const found =
        std::find_if(kStates.begin(), kStates.end(), [condition](const StateInfo& row) {
            return row.condition == condition;
        });
    return found == kStates.end() ? kStates.back() : *found;
}

std::string_view to_string(AccountCondition condition) noexcept
{
    return state_info(condition).name;
}

std::string_view to_string(StateSeverity severity) noexcept
{
    switch (severity) {
    case StateSeverity::good:
        return "good";
    case StateSeverity::passing:
        return "passing";
    case StateSeverity::owner:
        return "owner";
    case StateSeverity::off:
        return "off";
    }
    return "unknown";
}

AccountCondition
condition(const AccountRouting& routing, std::uint32_t in_flight, UnixMillis now) noexcept
{
    return account_status(routing, in_flight, now).condition;
}

AccountCondition condition(const AccountRouting& routing, UnixMillis now) noexcept
{
    switch (routing.state) {
    case AccountState::empty:
    case AccountState::removed:
        return Condition::removed;
    case AccountState::disabled:
        return Condition::disabled;
    case AccountState::needs_login:
        return Condition::needs_login;
    case AccountState::failing:
    case AccountState::ready:
        break;
    }
    const Condition told = told_by_vendor(routing, now);
    if (told == Condition::failing) return told;
    const WindowRecord* full = last_full_window(routing, now);
    if (full != nullptr && window_outlasts_cooling(routing, *full, now))
        return Condition::exhausted;
    return told;
}

bool half_open(const AccountRouting& routing, UnixMillis now) noexcept
{
    if (!routing.cooling_until.is_set() || routing.cooling_until > now) return false;
    const bool rejected = routing.state == AccountState::failing;
    return rejected || (routing.state == AccountState::ready && !routing.cooling_end_known);
}

AccountStatus
account_status(const AccountRouting& routing, std::uint32_t in_flight, UnixMillis now) noexcept
{
    AccountStatus status;
    status.condition = condition(routing, now);
    status.reason = routing.reason;
    status.since = routing.state_since;
    status.source = routing.state_source;
    switch (status.condition) {
    case Condition::ready:
    case Condition::busy:
        status.reason = {};
        status.since = ready_since(routing, now);
        if (status.since != routing.state_since)
            status.source = EvidenceSource::none; // it just ended
        break;
    case Condition::cooling:
    case Condition::failing:
        // Over, but for the one request that finds out: when that is done nobody knows.
        if (routing.cooling_until > now) status.until = routing.cooling_until;
        return status;
    case Condition::exhausted: {
        const WindowRecord* full = last_full_window(routing, now);
        if (full == nullptr || !window_outlasts_cooling(routing, *full, now)) {
            status.until = routing.cooling_until; // the vendor said so in an error
            return status;
        }
        status.reason = full == &routing.short_window ? kReasonShortWindow : kReasonLongWindow;
        status.since = full->full_since.is_set() ? full->full_since : full->seen_at;
        status.until = full->resets_at;
        status.source = full->source;
        return status;
    }
    case Condition::needs_login:
    case Condition::disabled:
    case Condition::removed:
        return status;
    }
    if (routing.max_concurrency == 0 || in_flight < routing.max_concurrency) return status;
    status.condition = Condition::busy;
    status.reason = kReasonConcurrency;
    status.since = {};
    status.source = EvidenceSource::pool;
    return status;
}

std::string reason_in_words(std::string_view reason)
{
    const auto* const found =
        std::find_if(kReasons.begin(), kReasons.end(), [reason](const Words& row) {
            return row.word == reason;
        });
    if (found != kReasons.end()) return std::string(found->text);
    std::string text(reason);
    std::replace(text.begin(), text.end(), '_', ' ');
    return text;
}

std::string_view to_string(EvidenceSource source) noexcept
{
    switch (source) {
    case EvidenceSource::none:
        return "none";
    case EvidenceSource::file:
        return "file";
    case EvidenceSource::poll:
        return "poll";
    case EvidenceSource::header:
        return "header";
    case EvidenceSource::stream:
        return "stream";
    case EvidenceSource::error_answer:
        return "error_answer";
    case EvidenceSource::connect:
        return "connect";
    case EvidenceSource::owner:
        return "owner";
    case EvidenceSource::refresh:
        return "refresh";
    case EvidenceSource::pool:
        return "pool";
    }
    return "unknown";
}

std::string_view source_in_words(EvidenceSource source) noexcept
{
    switch (source) {
    case EvidenceSource::none:
        return "";
    case EvidenceSource::file:
        return "from its credential file";
    case EvidenceSource::poll:
        return "from asking the vendor";
    case EvidenceSource::header:
        return "from an answer's header";
    case EvidenceSource::stream:
        return "from an answer's events";
    case EvidenceSource::error_answer:
        return "from an error answer";
    case EvidenceSource::connect:
        return "from connecting";
    case EvidenceSource::owner:
        return "by its owner";
    case EvidenceSource::refresh:
        return "from refreshing its token";
    case EvidenceSource::pool:
        return "by the pool's own count";
    }
    return "";
}

} // namespace shared
