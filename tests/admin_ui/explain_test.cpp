/// Show 4: twenty prepared situations and what `why` says about each.
#include "admin_ui/explain.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/layout.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <ostream>
#include <string>
#include <string_view>

namespace {

using namespace admin_ui;
using shared::Decision;
using shared::DecisionAttempt;
using shared::DecisionCandidate;
using shared::DecisionEnding;
using shared::Outcome;
using shared::PassedOver;
using shared::PinFate;
using shared::RequestOutcome;
using shared::UnixMillis;
using shared::UsedShare;
using namespace std::chrono_literals;

constexpr UnixMillis kStarted{1'763'800'000'000}; // 2025-11-22T08:26:40Z
constexpr UnixMillis kNow{kStarted.value + 120'000};

constexpr std::uint16_t kWork = 0;
constexpr std::uint16_t kHome = 1;
constexpr std::uint16_t kSpare = 2;
constexpr std::uint16_t kKey = 3;

std::string name_of_slot(shared::AccountSlot account)
{
    constexpr std::array<std::string_view, 4> kNames{
        "codex:work", "codex:home", "codex:spare", "codex:key"};
    if (account.value < kNames.size()) return std::string(kNames[account.value]);
    return "codex:friend-" + std::to_string(account.value);
}

/// A record put together step by step, as a worker would.
class Story {
public:
    Story()
    {
        std::memcpy(d_.request_id.data(), "00112233445566aa", 16);
        d_.started_at = kStarted;
        d_.finished_at = kStarted.plus(14'200ms);
        d_.user = "anna";
        d_.model = "gpt-5.1-codex";
        d_.path = "/v1/responses";
        d_.pin = PinFate::unpinned;
        d_.outcome = RequestOutcome::completed;
        d_.status = 200;
        d_.duration_ms = 14'200;
        d_.first_byte_ms = 820;
    }

    Story& candidate(
        std::uint16_t slot,
        PassedOver reason,
        double score = 0,
        double week_used = -1,
        double short_used = -1,
        UnixMillis until = {})
    {
        DecisionCandidate& c = d_.candidates[d_.candidates_noted++];
        ++d_.candidates_total;
        c = {};
        c.account = {slot};
        c.reason = reason;
        c.score = static_cast<float>(score);
        c.is_api_key = slot == kKey ? 1 : 0;
        if (week_used >= 0) c.long_used = UsedShare::from_fraction(week_used);
        if (short_used >= 0) c.short_used = UsedShare::from_fraction(short_used);
        c.until = until;
        return *this;
    }

    Story& attempt(
        std::uint16_t slot,
        DecisionAttempt::End end,
        unsigned status = 0,
        Outcome outcome = Outcome::served,
        std::string_view reason = "",
        UnixMillis until = {},
        std::uint32_t ms = 815)
    {
        DecisionAttempt& a = d_.attempts[d_.attempts_total++];
        a = {};
        a.account = {slot};
        a.end = end;
        a.status = static_cast<std::uint16_t>(status);
        a.outcome = static_cast<std::uint8_t>(outcome);
        a.reason.assign(reason);
        a.until = until;
        a.ms = ms;
        return *this;
    }

    Story& served_by(std::uint16_t slot)
    {
        return attempt(slot, DecisionAttempt::End::answered, 200);
    }

    Story& refused(unsigned status, DecisionEnding ending, UnixMillis retry_at = {})
    {
        d_.outcome = RequestOutcome::refused;
        d_.status = static_cast<std::uint16_t>(status);
        d_.ending = ending;
        d_.retry_at = retry_at;
        return *this;
    }

    template <class Change>
    Story& with(Change&& change)
    {
        change(d_);
        return *this;
    }

    Story& in_dead_worker()
    {
        lives_ = false;
        return *this;
    }

    [[nodiscard]] shared::FoundDecision found() const { return {d_, lives_}; }

private:
    Decision d_{};
    bool lives_ = true;
};

DecisionNames names(const std::string& strategy = "balanced")
{
    return {name_of_slot, "codex", strategy};
}

struct Situation {
    const char* name;
    Story story;
    const char* text; ///< expected
};

void PrintTo(const Situation& situation, std::ostream* out)
{
    *out << situation.name;
}

using End = DecisionAttempt::End;

/// More accounts and tries than the record and the screen hold.
Story many()
{
    Story story;
    for (std::uint16_t i = 0; i < shared::kDecisionCandidatesMax; ++i)
        story.candidate(
            static_cast<std::uint16_t>(10 + i),
            i == 5   ? PassedOver::picked
            : i < 12 ? PassedOver::lower_score
                     : PassedOver::exhausted,
            1.5 - i * 0.1,
            0.1 * (i % 10),
            0.2,
            i < 12 ? UnixMillis() : kNow.plus(3h));
    for (std::uint16_t i = 0; i < shared::kDecisionAttemptsMax; ++i)
        story.attempt(
            static_cast<std::uint16_t>(15 + i),
            End::answered,
            429,
            Outcome::rate_limited,
            "usage_limit_reached",
            kNow.plus(49h));
    story.refused(429, DecisionEnding::exhausted, kNow.plus(3h));
    return story.with([](Decision& d) {
        d.candidates_total = 40;
        d.attempts_total = 12;
        d.queue_ms = 30'000;
        d.pin_wait_ms = 20'000;
        d.refresh_wait_ms = 4'000;
        d.pin = PinFate::moved;
        d.pinned = {25};
        d.replayable = 0;
    });
}

const Situation kSituations[] = {
    {"MostRoomLeft",
     Story()
         .candidate(kWork, PassedOver::picked, 1.92, 0.38, 0.2)
         .candidate(kHome, PassedOver::lower_score, 1.1, 0.8, 0.5)
         .candidate(kKey, PassedOver::wrong_kind)
         .served_by(kWork),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
codex:work answered 200 at the first try; first byte after 820 ms, all of it after 14.2 s.

Account   codex:work, most room left: 62 % of the week and 80 % of 5 h (balanced, score 1.92)
Others    codex:home: could serve; score 1.10, 20 % of the week and 50 % of 5 h left
          codex:key: an API key, which does not serve this path
Tries     1. codex:work: 200 after 815 ms
)"},
    {"BestScoreThoughNotMostRoom",
     Story()
         .candidate(kWork, PassedOver::picked, 2.4, 0.6, 0.1)
         .candidate(kHome, PassedOver::lower_score, 1.9, 0.3, 0.1)
         .served_by(kWork),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
codex:work answered 200 at the first try; first byte after 820 ms, all of it after 14.2 s.

Account   codex:work, best score: 40 % of the week and 90 % of 5 h left, weighed by plan, load and
          how soon it is lost (balanced, score 2.40)
Others    codex:home: could serve; score 1.90, 70 % of the week and 90 % of 5 h left
Tries     1. codex:work: 200 after 815 ms
)"},
    {"StickyPin",
     Story()
         .candidate(kWork, PassedOver::picked, 0, 0.9, 0.2)
         .candidate(kHome, PassedOver::pinned_elsewhere, 0, 0.1, 0)
         .served_by(kWork)
         .with([](Decision& d) {
             d.pin = PinFate::kept;
             d.pinned = {kWork};
         }),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
codex:work answered 200 at the first try; first byte after 820 ms, all of it after 14.2 s.

Account   codex:work, which the conversation belongs to
Others    codex:home: could serve, but the conversation belongs to another account
Tries     1. codex:work: 200 after 815 ms
)"},
    {"PinMovedSinceCooling",
     Story()
         .candidate(kWork, PassedOver::cooling, 0, 0.4, 0.3, kNow.plus(23min))
         .candidate(kHome, PassedOver::picked, 1.1, 0.8, 0.5)
         .served_by(kHome)
         .with([](Decision& d) {
             d.pin = PinFate::moved;
             d.pinned = {kWork};
             d.pin_wait_ms = 20'000;
         }),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
codex:home answered 200 at the first try; first byte after 820 ms, all of it after 14.2 s.

Account   codex:home, the only one of 2 that could serve
Moved     away from codex:work and its prompt cache: cooling down after a rate limit, until 08:51:40
          (in 23 min)
Waited    20.0 s for the conversation's own account
Tries     1. codex:home: 200 after 815 ms
)"},
    {"AllExhausted",
     Story()
         .candidate(kWork, PassedOver::exhausted, 0, 1, 0.3, kNow.plus(26h))
         .candidate(kHome, PassedOver::exhausted, 0, 0.7, 1, kNow.plus(95min))
         .candidate(kSpare, PassedOver::cooling, 0, -1, -1, kNow.plus(4h))
         .refused(429, DecisionEnding::exhausted, kNow.plus(95min))
         .with([](Decision& d) { d.duration_ms = 1; }),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
Refused with 429: every account that could serve it is used up or resting; the client was told to
come back at 10:03:40 (in 1 h 35 min).

Account   none of 3 accounts could serve
Others    codex:work: used up (0 % of the week and 70 % of 5 h left), until 2025-11-23 10:28 (in 1 d
          2 h)
          codex:home: used up (30 % of the week and 0 % of 5 h left), until 10:03:40 (in 1 h 35 min)
          codex:spare: cooling down after a rate limit, until 12:28:40 (in 4 h)
)"},
    {"TokenRefusedThenNext",
     Story()
         .candidate(kWork, PassedOver::picked, 1.92, 0.38, 0.2)
         .candidate(kHome, PassedOver::lower_score, 1.1, 0.8, 0.5)
         .attempt(
             kWork,
             End::answered,
             401,
             Outcome::credential_rejected,
             "token_expired",
             kStarted.plus(60s),
             240)
         .served_by(kHome),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
codex:home answered 200 at try 2; first byte after 820 ms, all of it after 14.2 s.

Account   codex:work, most room left: 62 % of the week and 80 % of 5 h (balanced, score 1.92)
Others    codex:home: could serve; score 1.10, 20 % of the week and 50 % of 5 h left
Tries     1. codex:work: 401 after 240 ms (token_expired): token refused, a refresh was asked for;
          rests until 08:27:40
          2. codex:home: 200 after 815 ms
)"},
    {"RateLimitedWithoutReset",
     Story()
         .candidate(kWork, PassedOver::picked, 1.92, 0.38, 0.2)
         .candidate(kHome, PassedOver::lower_score, 1.1, 0.8, 0.5)
         .attempt(
             kWork,
             End::answered,
             429,
             Outcome::rate_limited,
             "rate_limited",
             kStarted.plus(2s),
             190)
         .served_by(kHome),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
codex:home answered 200 at try 2; first byte after 820 ms, all of it after 14.2 s.

Account   codex:work, most room left: 62 % of the week and 80 % of 5 h (balanced, score 1.92)
Others    codex:home: could serve; score 1.10, 20 % of the week and 50 % of 5 h left
Tries     1. codex:work: 429 after 190 ms (rate_limited); rests until 08:26:42, a guess: no reset
          named
          2. codex:home: 200 after 815 ms
)"},
    {"UsageLimitWithReset",
     Story()
         .candidate(kWork, PassedOver::picked, 1.92, 0.38, 0.2)
         .candidate(kHome, PassedOver::lower_score, 1.1, 0.8, 0.5)
         .attempt(
             kWork,
             End::answered,
             429,
             Outcome::rate_limited,
             "usage_limit_reached",
             kNow.plus(53h),
             190)
         .served_by(kHome)
         .with([](Decision& d) { d.attempts[0].end_known = 1; }),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
codex:home answered 200 at try 2; first byte after 820 ms, all of it after 14.2 s.

Account   codex:work, most room left: 62 % of the week and 80 % of 5 h (balanced, score 1.92)
Others    codex:home: could serve; score 1.10, 20 % of the week and 50 % of 5 h left
Tries     1. codex:work: 429 after 190 ms (usage_limit_reached); rests until 2025-11-24 13:28, as
          told
          2. codex:home: 200 after 815 ms
)"},
    {"ServerErrorsTwice",
     Story()
         .candidate(kWork, PassedOver::picked, 1.92, 0.38, 0.2)
         .candidate(kHome, PassedOver::lower_score, 1.1, 0.8, 0.5)
         .attempt(kWork, End::answered, 502, Outcome::upstream_failed, "", {}, 31)
         .attempt(kHome, End::answered, 503, Outcome::upstream_failed, "overloaded", {}, 1'350)
         .refused(502, DecisionEnding::upstream_failed)
         .with([](Decision& d) { d.duration_ms = 1'400; }),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
Refused with 502: the upstream failed on every try.

Account   codex:work, most room left: 62 % of the week and 80 % of 5 h (balanced, score 1.92)
Others    codex:home: could serve; score 1.10, 20 % of the week and 50 % of 5 h left
Tries     1. codex:work: 502 after 31 ms: the vendor's own fault; scores lower for a while
          2. codex:home: 503 after 1.4 s (overloaded): the vendor's own fault; scores lower for a
          while
)"},
    {"ConnectFailure",
     Story()
         .candidate(kWork, PassedOver::picked, 1.92, 0.38, 0.2)
         .candidate(kHome, PassedOver::lower_score, 1.1, 0.8, 0.5)
         .attempt(kWork, End::connect_failed, 0, Outcome::served, "", {}, 10'000)
         .served_by(kHome),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
codex:home answered 200 at try 2; first byte after 820 ms, all of it after 14.2 s.

Account   codex:work, most room left: 62 % of the week and 80 % of 5 h (balanced, score 1.92)
Others    codex:home: could serve; score 1.10, 20 % of the week and 50 % of 5 h left
Tries     1. codex:work: no connection after 10.0 s; scores lower for a while
          2. codex:home: 200 after 815 ms
)"},
    {"FirstByteDeadline",
     Story()
         .candidate(kWork, PassedOver::picked, 1.92, 0.38, 0.2)
         .candidate(kHome, PassedOver::disabled)
         .attempt(kWork, End::deadline, 0, Outcome::served, "", {}, 120'000)
         .refused(504, DecisionEnding::deadline),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
Refused with 504: the upstream did not answer in time.

Account   codex:work, the only one of 2 that could serve
Others    codex:home: disabled by its owner
Tries     1. codex:work: no first byte within 2 min; scores lower for a while
)"},
    {"ClientGone",
     Story()
         .candidate(kWork, PassedOver::picked, 1.92, 0.38, 0.2)
         .attempt(kWork, End::client_gone, 0, Outcome::served, "", {}, 3'100)
         .with([](Decision& d) {
             d.outcome = RequestOutcome::client_gone;
             d.status = 0;
             d.duration_ms = 3'104;
         }),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
The client left after 3.1 s, before any answer.

Account   codex:work, the only account
Tries     1. codex:work: the client left after 3.1 s, before an answer
)"},
    {"ModelDenied",
     Story()
         .candidate(kWork, PassedOver::model_denied)
         .candidate(kHome, PassedOver::picked, 1.1, 0.8, 0.5)
         .served_by(kHome),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
codex:home answered 200 at the first try; first byte after 820 ms, all of it after 14.2 s.

Account   codex:home, the only one of 2 that could serve
Others    codex:work: its owner does not allow gpt-5.1-codex on it
Tries     1. codex:home: 200 after 815 ms
)"},
    {"ReservedForItsOwner",
     Story()
         .candidate(kWork, PassedOver::reserved, 0, 0.92, 0.1)
         .candidate(kHome, PassedOver::lower_priority)
         .candidate(kSpare, PassedOver::picked, 1.1, 0.8, 0.5)
         .served_by(kSpare),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
codex:spare answered 200 at the first try; first byte after 820 ms, all of it after 14.2 s.

Account   codex:spare, most room left: 20 % of the week and 50 % of 5 h (balanced, score 1.10)
Others    codex:home: could serve; others go first (priority 0)
          codex:work: what is left is kept for its owner (8 % of the week and 90 % of 5 h left)
Tries     1. codex:spare: 200 after 815 ms
)"},
    {"BusyAndQueued",
     Story()
         .candidate(kWork, PassedOver::picked, 1.92, 0.38, 0.2)
         .candidate(kHome, PassedOver::busy, 0, 0.8, 0.5)
         .served_by(kWork)
         .with([](Decision& d) {
             d.queue_ms = 3'240;
             d.candidates[1].in_flight = 2;
         }),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
codex:work answered 200 at the first try; first byte after 820 ms, all of it after 14.2 s.

Account   codex:work, the only one of 2 that could serve
Waited    3.2 s in the queue until an account had room
Others    codex:home: busy: 2 in flight, as many as its owner allows
Tries     1. codex:work: 200 after 815 ms
)"},
    {"NeedsLoginAndFailing",
     Story()
         .candidate(kWork, PassedOver::needs_login)
         .candidate(kHome, PassedOver::failing, 0, -1, -1, kNow.plus(40s))
         .candidate(kSpare, PassedOver::disabled)
         .refused(503, DecisionEnding::no_account),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
Refused with 503: the pool has no account that could serve it.

Account   none of 3 accounts could serve
Others    codex:work: needs a new login by its owner
          codex:home: the vendor refuses it; tried again at 08:29:20 (in 40 s)
          codex:spare: disabled by its owner
)"},
    {"WebSocketRefused",
     Story()
         .candidate(kWork, PassedOver::needs_login)
         .candidate(kKey, PassedOver::no_websocket)
         .refused(426, DecisionEnding::upgrade_refused)
         .with([](Decision& d) { d.websocket = 1; }),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses as
a WebSocket
Refused with 426: only HTTP can be served now, so the WebSocket was refused; the CLI goes on over
HTTP.

Account   none of 2 accounts could serve
Others    codex:work: needs a new login by its owner
          codex:key: an API key, which serves this path over HTTP only
)"},
    {"OnlyAnApiKeyCouldServe",
     Story()
         .candidate(kWork, PassedOver::wrong_kind)
         .candidate(kHome, PassedOver::wrong_kind)
         .candidate(kKey, PassedOver::picked, 1)
         .served_by(kKey)
         .with([](Decision& d) { d.path = "/v1/embeddings"; }),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/embeddings
codex:key answered 200 at the first try; first byte after 820 ms, all of it after 14.2 s.

Account   codex:key, the only one of 3 that could serve
Others    codex:work: a subscription, which does not serve this path
          codex:home: a subscription, which does not serve this path
Tries     1. codex:key: 200 after 815 ms
)"},
    {"HalfOpenProbe",
     Story()
         .candidate(kWork, PassedOver::picked, 0.9, 0.38, 0.2)
         .candidate(kHome, PassedOver::probing)
         .served_by(kWork)
         .with([](Decision& d) { d.probe = 1; }),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
codex:work answered 200 at the first try; first byte after 820 ms, all of it after 14.2 s.

Account   codex:work, the only one of 2 that could serve; its rest is over, and this request finds
          out whether it serves again
Others    codex:home: its rest is over, and one other request is finding out whether it serves again
Tries     1. codex:work: 200 after 815 ms
)"},
    {"NoAccountAtAll",
     Story().refused(503, DecisionEnding::no_account),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
Refused with 503: the pool has no account that could serve it.

Account   none: the pool has no account of codex
)"},
    {"BodyTooLargeForASecondTry",
     Story()
         .candidate(kWork, PassedOver::picked, 1.92, 0.38, 0.2)
         .candidate(kHome, PassedOver::lower_score, 1.1, 0.8, 0.5)
         .attempt(kWork, End::broken_off, 0, Outcome::served, "", {}, 5'000)
         .refused(502, DecisionEnding::upstream_failed)
         .with([](Decision& d) { d.replayable = 0; }),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
Refused with 502: the upstream failed on every try.

Account   codex:work, most room left: 62 % of the week and 80 % of 5 h (balanced, score 1.92)
Note      its body was too large to be held (max_replay_bytes): it could be sent only once
Others    codex:home: could serve; score 1.10, 20 % of the week and 50 % of 5 h left
Tries     1. codex:work: the connection broke after 5.0 s, before an answer; scores lower for a
          while
)"},
    {"ErrorInsideTheStream",
     Story()
         .candidate(kWork, PassedOver::picked, 1.92, 0.38, 0.2)
         .candidate(kHome, PassedOver::lower_score, 1.1, 0.8, 0.5)
         .attempt(
             kWork,
             End::in_stream,
             200,
             Outcome::upstream_failed,
             "server_is_overloaded",
             {},
             2'100)
         .served_by(kHome),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
codex:home answered 200 at try 2; first byte after 820 ms, all of it after 14.2 s.

Account   codex:work, most room left: 62 % of the week and 80 % of 5 h (balanced, score 1.92)
Others    codex:home: could serve; score 1.10, 20 % of the week and 50 % of 5 h left
Tries     1. codex:work: 200, then an error before any output (server_is_overloaded): the vendor's
          own fault; scores lower for a while
          2. codex:home: 200 after 815 ms
)"},
    {"KilledWorker",
     Story()
         .candidate(kWork, PassedOver::picked, 1.92, 0.38, 0.2)
         .candidate(kHome, PassedOver::lower_score, 1.1, 0.8, 0.5)
         .attempt(kWork, End::running)
         .with([](Decision& d) { d.outcome = RequestOutcome::running; })
         .in_dead_worker(),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
Its worker process died in the middle; the client saw the connection break.

Account   codex:work, most room left: 62 % of the week and 80 % of 5 h (balanced, score 1.92)
Others    codex:home: could serve; score 1.10, 20 % of the week and 50 % of 5 h left
Tries     1. codex:work: no answer until its worker died
)"},
    {"StillRunning",
     Story()
         .candidate(kWork, PassedOver::picked, 1.92, 0.38, 0.2)
         .served_by(kWork)
         .with([](Decision& d) { d.outcome = RequestOutcome::running; }),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
Relaying the answer of codex:work; the request began 2 min ago.

Account   codex:work, the only account
Tries     1. codex:work: 200 after 815 ms
)"},
    {"TurnOnAWebSocket",
     Story()
         .attempt(
             kWork,
             End::answered,
             429,
             Outcome::rate_limited,
             "usage_limit_reached",
             kNow.plus(53h),
             190)
         .refused(429, DecisionEnding::exhausted, kNow.plus(53h))
         .with([](Decision& d) {
             std::memcpy(d.parent_id.data(), "ffeeddccbbaa9988", 16);
             d.websocket = 1;
             d.attempts[0].end_known = 1;
         }),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, a turn on the
WebSocket of request ffeeddccbbaa9988
Refused with 429: every account that could serve it is used up or resting; the client was told to
come back at 2025-11-24 13:28 (in 2 d 5 h).

Tries     1. codex:work: 429 after 190 ms (usage_limit_reached); rests until 2025-11-24 13:28, as
          told
)"},
    {"ItsUserIsAtALimit",
     Story().refused(429, DecisionEnding::user_limit, kNow.plus(3h)),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
Refused with 429: its user has reached a limit of its own; the client was told to come back at
11:28:40 (in 3 h).

)"},
    {"ItsUserIsAtALimitForGood",
     Story().refused(429, DecisionEnding::user_limit),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
Refused with 429: its user has reached a limit of its own; only the owner can lift it.

)"},
    {"ItsUserIsDisabled",
     Story().refused(403, DecisionEnding::user_disabled),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
Refused with 403: its user is disabled or expired, or the credential was revoked; the owner can
enable the user or hand out a new one.

)"},
    {"NobodyTakesIt",
     Story()
         .candidate(kWork, PassedOver::picked, 1.92, 0.38, 0.2)
         .candidate(kHome, PassedOver::lower_score, 1.1, 0.8, 0.5)
         .attempt(kWork, End::answered, 400, Outcome::served, "model_not_supported", {}, 90)
         .attempt(kHome, End::answered, 400, Outcome::served, "model_not_supported", {}, 85)
         .with([](Decision& d) {
             d.ending = DecisionEnding::relayed_refusal;
             d.status = 400;
             d.attempts[0].about_request = 1;
             d.attempts[1].about_request = 1;
         }),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
No account takes this request: the client got the vendor's own words, 400.

Account   codex:work, most room left: 62 % of the week and 80 % of 5 h (balanced, score 1.92)
Others    codex:home: could serve; score 1.10, 20 % of the week and 50 % of 5 h left
Tries     1. codex:work: 400 after 90 ms (model_not_supported): not for this account, nothing is
          held against it
          2. codex:home: 400 after 85 ms (model_not_supported): not for this account, nothing is
          held against it
)"},
    {"ManyAccountsManyTries",
     many(),
     R"(
Request 00112233445566aa by anna at 08:26:40 UTC (2 min ago): codex, gpt-5.1-codex, /v1/responses
Refused with 429: every account that could serve it is used up or resting; the client was told to
come back at 11:28:40 (in 3 h).

Account   codex:friend-15, best score: 50 % of the week and 80 % of 5 h left, weighed by plan, load
          and how soon it is lost (balanced, score 1.00)
Moved     away from codex:friend-25 and its prompt cache: used up (50 % of the week and 80 % of 5 h
          left), until 11:28:40 (in 3 h)
Waited    30.0 s in the queue until an account had room, 20.0 s for the conversation's own account,
          4.0 s for a token that was being renewed
Note      its body was too large to be held (max_replay_bytes): it could be sent only once
Others    11 could serve, lower score: codex:friend-10, codex:friend-11, codex:friend-12 and 8 more
          3 used up: codex:friend-22, codex:friend-23, codex:friend-24
          and 24 more that are not noted one by one
Tries     1. codex:friend-15: 429 after 815 ms (usage_limit_reached); rests until 2025-11-24 09:28,
          a guess: no reset named
          2. codex:friend-16: 429 after 815 ms (usage_limit_reached); rests until 2025-11-24 09:28,
          a guess: no reset named
          3. codex:friend-17: 429 after 815 ms (usage_limit_reached); rests until 2025-11-24 09:28,
          a guess: no reset named
          4. codex:friend-18: 429 after 815 ms (usage_limit_reached); rests until 2025-11-24 09:28,
          a guess: no reset named
          and 8 more (--json)
)"},
};

class Explain : public testing::TestWithParam<Situation> {};

TEST_P(Explain, TellsItInWords)
{
    const std::string text = explain(GetParam().story.found(), names(), kNow);
    EXPECT_EQ(text, std::string(GetParam().text).substr(1));
}

TEST_P(Explain, FitsOneScreenAndIsValidJson)
{
    const std::string text = explain(GetParam().story.found(), names(), kNow);
    EXPECT_LE(
        static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')), kExplanationLinesMax);
    const auto json = nlohmann::json::parse(explain_json(GetParam().story.found(), names(), kNow));
    EXPECT_EQ(json["text"], text);
    EXPECT_EQ(json["request_id"], "00112233445566aa");
}

INSTANTIATE_TEST_SUITE_P(Situations, Explain, testing::ValuesIn(kSituations), [](const auto& each) {
    return std::string(each.param.name);
});

} // namespace
