#include "shared/selection/select_account.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace shared {
namespace {

/// Whether an account could serve, and if not, why and until when.
struct Standing {
    PassedOver reason = PassedOver::picked; ///< picked: it could
    UnixMillis until;
    bool authoritative = false; ///< `until` is the vendor's word, not a back-off of ours
    std::uint8_t leg = 0;

    [[nodiscard]] bool can_serve() const noexcept { return reason == PassedOver::picked; }
};

bool contains(std::span<const AccountSlot> slots, AccountSlot slot)
{
    return std::find(slots.begin(), slots.end(), slot) != slots.end();
}

/// The leg an account of this kind would serve; legs.size() if none.
std::size_t leg_of(const SelectionQuery& query, std::uint8_t kind)
{
    std::size_t i = 0;
    while (i < query.legs.size()) {
        const Leg& leg = query.legs[i];
        const bool same = static_cast<std::uint8_t>(leg.kind) == kind;
        if (same && (leg.websocket || !query.websocket)) break;
        ++i;
    }
    return i;
}

/// Whether accounts of this kind serve the route at all, upgraded or not.
bool serves_kind(const SelectionQuery& query, std::uint8_t kind)
{
    return std::any_of(query.legs.begin(), query.legs.end(), [kind](const Leg& leg) {
        return static_cast<std::uint8_t>(leg.kind) == kind;
    });
}

/// A window of which nothing is left for this request.
bool is_empty(const Candidate& candidate, const WindowRecord& window, UnixMillis now)
{
    const UsedShare used = used_now(window, now);
    const int kept = candidate.routing.reserve_percent * (UsedShare::kFull / 100);
    return used.is_known() && used.basis_points + kept >= UsedShare::kFull;
}

/// The account's windows leave nothing but what its owner keeps.
Standing reserved(const Candidate& candidate, UnixMillis now)
{
    Standing standing;
    standing.authoritative = true;
    for (const WindowRecord* window :
         {&candidate.routing.short_window, &candidate.routing.long_window}) {
        if (!is_empty(candidate, *window, now)) continue;
        standing.reason = PassedOver::reserved;
        standing.until = std::max(standing.until, window->resets_at);
        if (!window->resets_at.is_set()) standing.authoritative = false;
    }
    if (!standing.authoritative) standing.until = {};
    return standing;
}

/// What the account's own state says.
Standing state_of(const Candidate& candidate, UnixMillis now)
{
    const AccountRouting& routing = candidate.routing;
    Standing standing;
    switch (condition(routing, now)) {
    case AccountCondition::ready:
    case AccountCondition::busy:
        break;
    case AccountCondition::cooling:
        standing.reason = half_open(routing, now) ? PassedOver::probing : PassedOver::cooling;
        if (standing.reason == PassedOver::probing) break;
        standing.until = routing.cooling_until;
        standing.authoritative = routing.cooling_end_known;
        break;
    case AccountCondition::exhausted:
        standing.reason = PassedOver::exhausted;
        standing.until = available_at(routing, now);
        standing.authoritative = standing.until.is_set();
        break;
    case AccountCondition::failing:
        standing.reason = half_open(routing, now) ? PassedOver::probing : PassedOver::failing;
        if (standing.reason == PassedOver::failing) standing.until = routing.cooling_until;
        break;
    case AccountCondition::needs_login:
        standing.reason = PassedOver::needs_login;
        break;
    case AccountCondition::disabled:
        standing.reason = PassedOver::disabled;
        break;
    case AccountCondition::removed:
        standing.reason = PassedOver::removed;
        break;
    }
    if (!standing.can_serve()) return standing;
    if (!candidate.is_owners && routing.reserve_percent > 0) standing = reserved(candidate, now);
    const bool full = routing.max_concurrency > 0 && candidate.in_flight >= routing.max_concurrency;
    if (standing.can_serve() && full) standing.reason = PassedOver::busy;
    return standing;
}

/// `pinned` is the account the conversation is bound to, if its kind serves this route.
Standing look_at(const SelectionQuery& query, const Candidate& candidate, const Candidate* pinned)
{
    Standing standing;
    const std::uint8_t kind = candidate.routing.kind;
    const std::size_t leg = leg_of(query, kind);
    if (leg == query.legs.size())
        standing.reason =
            serves_kind(query, kind) ? PassedOver::no_websocket : PassedOver::wrong_kind;
    else if (pinned != nullptr && kind != pinned->routing.kind)
        standing.reason = PassedOver::other_kind;
    else if (!candidate.serves_model)
        standing.reason = PassedOver::model_denied;
    else
        standing = state_of(candidate, query.now);
    standing.leg = static_cast<std::uint8_t>(leg);
    return standing;
}

void earliest(UnixMillis& at, UnixMillis candidate)
{
    if (candidate.is_set() && (!at.is_set() || candidate < at)) at = candidate;
}

/// Collects what stands in the way, and when it ends.
void collect(Selection& selection, const Standing& standing)
{
    switch (standing.reason) {
    case PassedOver::busy:
    case PassedOver::probing:
        selection.busy = true;
        selection.limited = true;
        return;
    case PassedOver::cooling:
    case PassedOver::exhausted:
    case PassedOver::reserved:
        selection.limited = true;
        if (standing.authoritative) earliest(selection.retry_at, standing.until);
        break;
    default:
        break;
    }
    earliest(selection.next_try_at, standing.until);
}

/// Spreads consecutive numbers evenly (SplitMix64), so that equal accounts take turns.
std::uint64_t scrambled(std::uint64_t number)
{
    number = (number ^ (number >> 30U)) * 0xBF58476D1CE4E5B9U;
    number = (number ^ (number >> 27U)) * 0x94D049BB133111EBU;
    return number ^ (number >> 31U);
}

/// What comes before any score: the route's order of legs, then the owner's of accounts.
std::int64_t order_of(const SelectionQuery& query, const Candidate& candidate, std::size_t leg)
{
    constexpr std::int64_t kPriorities = 0x10000;
    const std::int64_t legs = query.ordered_legs ? -static_cast<std::int64_t>(leg) : 0;
    return legs * kPriorities + candidate.routing.priority;
}

/// Greater is better.
using Rank = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::uint64_t>;

Rank rank(const SelectionQuery& query, const Candidate& candidate, std::size_t leg, double score)
{
    return {
        order_of(query, candidate, leg),
        std::llround(score * 100.0),
        -static_cast<std::int64_t>(candidate.in_flight),
        scrambled(candidate.slot.value + query.rotation * kMaxAccounts)};
}

/// Fills the caller's notes, as far as there is room.
class Notes {
public:
    explicit Notes(std::span<CandidateNote> room) noexcept : room_(room) {}

    [[nodiscard]] bool wanted() const noexcept { return !room_.empty(); }

    void add(AccountSlot account, PassedOver reason, double score = 0) noexcept
    {
        if (count_ < room_.size()) room_[count_++] = {account, reason, static_cast<float>(score)};
    }

    /// Those that could serve but are not the choice: by what did they lose?
    void
    finish(const SelectionQuery& query, std::span<const Candidate> candidates, Selection& selection)
    {
        if (selection.account.is_set() && count_ == room_.size() && !has(selection.account))
            room_[count_ - 1] = {
                selection.account, PassedOver::picked, static_cast<float>(selection.score)};
        std::int64_t best = 0;
        for (const Candidate& candidate : candidates) {
            if (candidate.slot == selection.account)
                best = order_of(query, candidate, selection.leg);
        }
        for (CandidateNote& note : room_.first(count_)) {
            if (note.reason != PassedOver::lower_score) continue;
            if (note.account == selection.account) note.reason = PassedOver::picked;
            for (const Candidate& candidate : candidates) {
                if (candidate.slot != note.account || note.reason == PassedOver::picked) continue;
                const std::size_t leg = leg_of(query, candidate.routing.kind);
                if (order_of(query, candidate, leg) < best)
                    note.reason = PassedOver::lower_priority;
            }
        }
        selection.notes = static_cast<std::uint16_t>(count_);
    }

private:
    [[nodiscard]] bool has(AccountSlot account) const noexcept
    {
        return std::any_of(room_.begin(), room_.end(), [account](const CandidateNote& note) {
            return note.account == account;
        });
    }

    std::span<CandidateNote> room_;
    std::size_t count_ = 0;
};

/// One call of select_account.
class Pick {
public:
    Pick(
        const SelectionQuery& query,
        std::span<const Candidate> candidates,
        std::span<CandidateNote> notes)
        : query_(query), candidates_(candidates), notes_(notes)
    {}

    Selection run()
    {
        find_pinned();
        if (pinned_ != nullptr) try_pinned();
        for (const Candidate& candidate : candidates_) {
            if (stays_ && !notes_.wanted()) break;
            if (candidate.routing.provider == static_cast<std::uint8_t>(query_.provider))
                consider(candidate);
        }
        selection_.pin_moved = pinned_ != nullptr && !stays_ && selection_.account.is_set();
        if (selection_.account.is_set()) describe();
        if (notes_.wanted()) notes_.finish(query_, candidates_, selection_);
        return selection_;
    }

private:
    void find_pinned()
    {
        if (!query_.pinned) return;
        for (const Candidate& candidate : candidates_) {
            // On a route that its kind of account never serves, a pin has nothing to say.
            if (candidate.slot == *query_.pinned && serves_kind(query_, candidate.routing.kind))
                pinned_ = &candidate;
        }
    }

    void try_pinned()
    {
        Standing standing = look_at(query_, *pinned_, pinned_);
        if (standing.can_serve() && contains(query_.tried, pinned_->slot))
            standing.reason = PassedOver::tried;
        stays_ = standing.can_serve();
        if (stays_) choose(*pinned_, standing, 0);
        selection_.pinned = {standing.reason, standing.until};
    }

    void consider(const Candidate& candidate)
    {
        const Standing standing = look_at(query_, candidate, pinned_);
        const bool is_pinned = &candidate == pinned_;
        if (standing.reason == PassedOver::removed && !is_pinned) return;
        collect(selection_, standing);
        if (contains(query_.tried, candidate.slot))
            return notes_.add(candidate.slot, PassedOver::tried);
        if (!standing.can_serve()) return notes_.add(candidate.slot, standing.reason);
        if (stays_)
            return notes_.add(
                candidate.slot, is_pinned ? PassedOver::picked : PassedOver::pinned_elsewhere);

        const double value = score(query_.strategy, candidate, query_.now);
        notes_.add(candidate.slot, PassedOver::lower_score, value);
        const Rank its_rank = rank(query_, candidate, standing.leg, value);
        if (selection_.account.is_set() && its_rank <= best_) return;
        choose(candidate, standing, value);
        best_ = its_rank;
    }

    void choose(const Candidate& candidate, const Standing& standing, double score)
    {
        selection_.account = candidate.slot;
        selection_.leg = standing.leg;
        selection_.score = score;
    }

    /// What whoever got the choice must know to claim it.
    void describe()
    {
        for (const Candidate& candidate : candidates_) {
            if (candidate.slot != selection_.account) continue;
            selection_.probe = half_open(candidate.routing, query_.now);
            selection_.capped = candidate.routing.max_concurrency > 0;
        }
    }

    const SelectionQuery& query_;
    std::span<const Candidate> candidates_;
    Notes notes_;
    const Candidate* pinned_ = nullptr;
    bool stays_ = false; ///< the pinned account serves: no other is weighed
    Rank best_{};
    Selection selection_;
};

} // namespace

Selection select_account(
    const SelectionQuery& query,
    std::span<const Candidate> candidates,
    std::span<CandidateNote> notes)
{
    return Pick(query, candidates, notes).run();
}

} // namespace shared
