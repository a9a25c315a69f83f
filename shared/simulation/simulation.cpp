#include "shared/simulation/simulation.hpp"

#include "shared/providers/account_options.hpp"
#include "shared/selection/select_account.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <queue>
#include <unordered_map>

namespace shared::simulation {
namespace {

constexpr std::chrono::seconds kLookAgain{1};
constexpr std::chrono::minutes kComeAgain{1};

struct Account {
    Account(const AccountModel& model, const Trace& trace) : quota(model)
    {
        for (const std::string& name : trace.models)
            serves.push_back(serves_model(model.models_allowed, model.models_denied, name));
        for (const std::string& user : trace.users)
            owned.push_back(is_owned_by(model.owner, user));
        candidate.routing = model.options;
        AccountRouting& routing = candidate.routing;
        routing.state = AccountState::ready;
        routing.provider = static_cast<std::uint8_t>(model.provider);
        routing.kind = static_cast<std::uint8_t>(model.kind);
        routing.short_window = {};
        routing.long_window = {};
        candidate.capacity = model.capacity;
    }

    /// What the pool keeps of its windows from this request's user.
    [[nodiscard]] double kept_from(const TraceRequest& request) const
    {
        return owned[request.user] ? 0.0 : candidate.routing.reserve_percent / 100.0;
    }

    Candidate candidate; ///< what the pool believes
    std::vector<bool> serves; ///< by Trace::models
    std::vector<bool> owned;  ///< by Trace::users
    Quota quota;         ///< what is true
    UnixMillis told_at;  ///< the last evidence
    std::uint64_t turn = 0;
    std::uint64_t served = 0;
};

struct Conversation {
    AccountSlot account;
    UnixMillis last_used;
    bool running = false;
    std::deque<std::uint32_t> pending; ///< its later turns, whose time has come
};

struct Request {
    UnixMillis asked_at; ///< unset: its time has not come
    UnixMillis sent_at;  ///< last time its client sent it
    bool started = false;
    bool seen_pin = false;
    std::int64_t cost = 0;
    std::uint16_t account = 0;
};

/// Finishing comes before asking at the same moment, and earlier requests before later ones.
struct Event {
    enum class Kind : std::uint8_t { finish, ask };
    UnixMillis at;
    Kind kind = Kind::ask;
    std::uint32_t request = 0;

    friend auto operator<=>(const Event&, const Event&) = default;
};

class Replay {
public:
    Replay(const Trace& trace, std::span<const AccountModel> models, const Rules& rules)
        : trace_(trace), rules_(rules), requests_(trace.requests.size()), waits_(trace.users.size())
    {
        for (const AccountModel& model : models) {
            accounts_.emplace_back(model, trace);
            accounts_.back().candidate.slot = {static_cast<std::uint16_t>(accounts_.size() - 1)};
        }
        candidates_.reserve(accounts_.size());
        outcome_.requests = trace.requests.size();
    }

    Outcome run()
    {
        if (trace_.requests.empty()) return outcome_;
        const UnixMillis end = trace_.requests.back().at;
        std::uint32_t next = 0;
        while (next < trace_.requests.size() || !events_.empty()) {
            const bool fresh = next < trace_.requests.size() &&
                               (events_.empty() || trace_.requests[next].at < events_.top().at);
            if (fresh) {
                arrive(next, trace_.requests[next].at);
                ++next;
                continue;
            }
            const Event event = events_.top();
            if (event.at > end) break;
            events_.pop();
            if (event.kind == Event::Kind::finish)
                finish(event.request, event.at);
            else
                ask(event.request, event.at);
        }
        conclude(end);
        return std::move(outcome_);
    }

private:
    [[nodiscard]] const TraceRequest& traced(std::uint32_t request) const
    {
        return trace_.requests[request];
    }

    Conversation* conversation_of(std::uint32_t request)
    {
        const std::uint64_t number = traced(request).conversation;
        if (number == 0) return nullptr;
        // Two users' equal conversation ids never meet, nor do two providers'.
        const auto provider = static_cast<std::uint64_t>(traced(request).provider);
        return &conversations_[number ^ (traced(request).user * 0x9E3779B97F4A7C15U) ^ provider];
    }

    /// A request's time has come; a turn waits for the turn before it.
    void arrive(std::uint32_t request, UnixMillis now)
    {
        Conversation* conversation = conversation_of(request);
        if (conversation != nullptr && conversation->running) {
            conversation->pending.push_back(request);
            return;
        }
        if (conversation != nullptr) conversation->running = true;
        requests_[request].asked_at = now;
        requests_[request].sent_at = now;
        ask(request, now);
    }

    void ask(std::uint32_t request, UnixMillis now)
    {
        Request& state = requests_[request];
        Conversation* conversation = conversation_of(request);
        SelectionQuery query;
        query.provider = traced(request).provider;
        query.strategy = rules_.strategy;
        query.legs = legs_;
        query.now = now;
        const bool pinned = conversation != nullptr && conversation->account.is_set() &&
                            now.since(conversation->last_used) <= rules_.pin_ttl;
        if (pinned) query.pinned = conversation->account;
        if (pinned && !std::exchange(state.seen_pin, true)) ++outcome_.pinned;
        look_at_accounts(traced(request), now);
        while (true) {
            query.rotation = rules_.seed * 0x10001U + rotation_++;
            const Selection selection = select_account(query, candidates_);
            if (waits_for_pinned(selection, state, now))
                return again(request, now.plus(kLookAgain));
            if (!selection.account.is_set()) return refuse_or_wait(request, selection, now);
            Account& account = accounts_[selection.account.value];
            if (account.quota.has_room()) return start(request, account, now);
            learn_rate_limit(account, now);
        }
    }

    /// The pool's own evidence: responses told some, a poll from time to time the rest.
    void look_at_accounts(const TraceRequest& request, UnixMillis now)
    {
        candidates_.clear();
        for (Account& account : accounts_) {
            account.quota.advance(now);
            if (now.since(account.told_at) >= rules_.poll_every)
                tell(account, EvidenceSource::poll, now);
            account.candidate.turns_waited =
                account.turn == 0 ? Candidate::kTurnsMax
                                  : static_cast<std::uint32_t>(std::min<std::uint64_t>(
                                        turns_ - account.turn, Candidate::kTurnsMax));
            account.candidate.serves_model = account.serves[request.model];
            account.candidate.is_owners = account.owned[request.user];
            candidates_.push_back(account.candidate);
        }
    }

    static void tell(Account& account, EvidenceSource source, UnixMillis now)
    {
        account.quota.report(account.candidate.routing, source, now);
        account.told_at = now;
    }

    [[nodiscard]] bool
    waits_for_pinned(const Selection& selection, const Request& state, UnixMillis now) const
    {
        if (!selection.pin_moved || now.since(state.sent_at) >= rules_.wait_for_pinned)
            return false;
        const UnixMillis last = state.sent_at.plus(rules_.wait_for_pinned);
        const bool soon = selection.pinned.until.is_set() && selection.pinned.until <= last;
        return soon || selection.pinned.reason == PassedOver::busy;
    }

    void refuse_or_wait(std::uint32_t request, const Selection& selection, UnixMillis now)
    {
        Request& state = requests_[request];
        const UnixMillis last = state.sent_at.plus(rules_.queue_timeout);
        const bool soon = selection.next_try_at.is_set() && selection.next_try_at <= last;
        if (now < last && (soon || selection.busy)) return again(request, now.plus(kLookAgain));
        ++outcome_.refused;
        const TraceRequest& asked = traced(request);
        const bool room =
            std::any_of(accounts_.begin(), accounts_.end(), [&](const Account& account) {
                const AccountRouting& routing = account.candidate.routing;
                const bool full = routing.max_concurrency > 0 &&
                                  account.candidate.in_flight >= routing.max_concurrency;
                return routing.provider == static_cast<std::uint8_t>(asked.provider) &&
                       account.serves[asked.model] &&
                       account.quota.has_room(account.kept_from(asked)) && !full;
            });
        if (room) ++outcome_.refused_with_room;
        const bool told = selection.retry_at > now;
        state.sent_at = told ? selection.retry_at : now.plus(kComeAgain);
        again(request, state.sent_at);
    }

    void again(std::uint32_t request, UnixMillis at)
    {
        events_.push({at, Event::Kind::ask, request});
    }

    void learn_rate_limit(Account& account, UnixMillis now)
    {
        ++outcome_.rate_limited;
        tell(account, EvidenceSource::error_answer, now);
        AccountRouting& routing = account.candidate.routing;
        routing.cooling_until = account.quota.room_at();
        routing.cooling_end_known = true;
        candidates_[account.candidate.slot.value].routing = routing;
    }

    void start(std::uint32_t request, Account& account, UnixMillis now)
    {
        const TraceRequest& traced_request = traced(request);
        Request& state = requests_[request];
        const std::int64_t cached = std::min(traced_request.cached_input, traced_request.input);
        state.cost = traced_request.input - cached + traced_request.output;
        outcome_.cached_tokens += cached;
        Conversation* conversation = conversation_of(request);
        const bool has_account = conversation != nullptr && conversation->account.is_set();
        const bool moved = has_account && conversation->account != account.candidate.slot;
        if (moved) {
            state.cost += cached;
            outcome_.cache_lost_tokens += cached;
            if (state.seen_pin) ++outcome_.moves;
        }
        if (!has_account || moved) account.turn = ++turns_;
        if (conversation != nullptr) {
            conversation->account = account.candidate.slot;
            conversation->last_used = now;
        }
        state.started = true;
        state.account = account.candidate.slot.value;
        waits_[traced_request.user].push_back(now.since(state.asked_at).count());
        ++outcome_.served;
        ++account.served;
        ++account.candidate.in_flight;
        account.quota.begin(now);
        tell(account, EvidenceSource::header, now);
        events_.push(
            {now.plus(std::chrono::milliseconds(traced_request.duration_ms)),
             Event::Kind::finish,
             request});
    }

    void finish(std::uint32_t request, UnixMillis now)
    {
        Account& account = accounts_[requests_[request].account];
        account.quota.spend(static_cast<double>(requests_[request].cost), now);
        --account.candidate.in_flight;
        Conversation* conversation = conversation_of(request);
        if (conversation == nullptr) return;
        conversation->last_used = now;
        conversation->running = false;
        if (conversation->pending.empty()) return;
        const std::uint32_t next = conversation->pending.front();
        conversation->pending.pop_front();
        arrive(next, now);
    }

    void conclude(UnixMillis end)
    {
        for (std::uint32_t i = 0; i < requests_.size(); ++i) {
            if (requests_[i].started) continue;
            ++outcome_.unserved;
            if (requests_[i].asked_at.is_set())
                waits_[traced(i).user].push_back(end.since(requests_[i].asked_at).count());
        }
        double ended = 0;
        double unused = 0;
        for (Account& account : accounts_) {
            account.quota.advance(end);
            ended += account.quota.ended_tokens();
            unused += account.quota.unused_tokens();
            outcome_.resets += account.quota.resets();
            outcome_.by_account.push_back(account.served);
        }
        if (ended > 0) outcome_.unused_percent = 100.0 * unused / ended;
        for (std::vector<std::int64_t>& waits : waits_) {
            std::sort(waits.begin(), waits.end());
            const auto at = [&](std::size_t percent) {
                return waits.empty() ? 0 : waits[(waits.size() - 1) * percent / 100];
            };
            outcome_.waiting.push_back({at(50), at(99), at(100)});
        }
    }

    const Trace& trace_;
    const Rules& rules_;
    std::vector<Account> accounts_;
    std::vector<Candidate> candidates_;
    std::vector<Request> requests_;
    std::vector<std::vector<std::int64_t>> waits_;
    std::unordered_map<std::uint64_t, Conversation> conversations_;
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
    std::uint64_t rotation_ = 0;
    std::uint64_t turns_ = 0;
    /// A conversation may go to a login or an API key.
    std::array<Leg, 2> legs_{
        Leg{CredentialKind::oauth, {}, "/", true}, Leg{CredentialKind::api_key, {}, "/", true}};
    Outcome outcome_;
};

} // namespace

Outcome simulate(const Trace& trace, std::span<const AccountModel> accounts, const Rules& rules)
{
    return Replay(trace, accounts, rules).run();
}

} // namespace shared::simulation
