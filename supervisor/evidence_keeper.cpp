#include "supervisor/evidence_keeper.hpp"

#include "shared/base/log.hpp"
#include "shared/base/write_file.hpp"
#include "shared/segment/account_table.hpp"
#include "supervisor/damaged_file.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace supervisor {
namespace {

using shared::AccountRecord;
using shared::AccountRouting;
using shared::UnixMillis;

/// Nothing that was known so long ago holds any more: no window is longer.
constexpr std::chrono::hours kAgeMax{8 * 24};
/// A clock that was set back makes evidence look as if it came from the future.
constexpr std::chrono::hours kAheadMax{1};

bool is_of(const AccountRecord& record, const SavedEvidence& known)
{
    const std::string_view id = record.identity.account_id.view();
    const bool other = !id.empty() && !known.account_id.empty() && id != known.account_id;
    return record.routing.kind == known.kind && !other;
}

bool is_good(UnixMillis seen_at, UnixMillis now)
{
    return seen_at.is_set() && now.since(seen_at) <= kAgeMax && seen_at <= now.plus(kAheadMax);
}

bool take_window(shared::WindowRecord& window, const shared::WindowRecord& saved, UnixMillis now)
{
    if (!is_good(saved.seen_at, now) || window.seen_at >= saved.seen_at) return false;
    window = saved;
    return true;
}

bool take_learning(shared::WindowLearning& learning, const shared::WindowLearning& saved)
{
    if (learning.samples > 0 || saved.samples == 0) return false;
    learning.tokens_per_percent = saved.tokens_per_percent;
    learning.percent_per_hour = saved.percent_per_hour;
    learning.samples = saved.samples;
    return true;
}

/// A refusal (failing) is not taken over: the file may hold another credential by now, and one request finds out.
bool take_cooling(AccountRouting& routing, const AccountRouting& saved, UnixMillis now)
{
    const bool cools = saved.cooling_until > now && saved.cooling_until <= now.plus(kAgeMax);
    if (!cools || routing.cooling_until.is_set()) return false;
    if (routing.state != shared::AccountState::ready) return false;
    routing.cooling_until = saved.cooling_until;
    routing.cooling_end_known = true;
    routing.cooling_used_up = saved.cooling_used_up;
    routing.reason = saved.reason;
    routing.state_since = saved.state_since;
    routing.state_source = saved.state_source;
    return true;
}

/// True if anything was taken over.
bool take_over(AccountRecord& record, const SavedEvidence& known, UnixMillis now)
{
    if (!is_of(record, known)) return false;
    AccountRouting& routing = record.routing;
    const AccountRouting& saved = known.routing;
    bool any = take_window(routing.short_window, saved.short_window, now);
    any = take_window(routing.long_window, saved.long_window, now) || any;
    any = take_learning(record.short_learning, known.short_learning) || any;
    any = take_learning(record.long_learning, known.long_learning) || any;
    any = take_cooling(routing, saved, now) || any;
    if (routing.has_credits < 0 && saved.has_credits >= 0) {
        routing.has_credits = saved.has_credits;
        routing.unlimited_credits = saved.unlimited_credits;
        routing.credits_balance = saved.credits_balance;
        any = true;
    }
    return any;
}

} // namespace

EvidenceKeeper::EvidenceKeeper(shared::Segment& segment, std::filesystem::path file)
    : segment_(segment), file_(std::move(file))
{}

void EvidenceKeeper::load()
{
    // A segment that was handed over knows all of it, and what has been cleared since.
    if (segment_.account_slots.load(std::memory_order_acquire) > 0) return;
    auto evidence = load_evidence(file_);
    if (evidence) {
        waiting_ = std::move(*evidence);
        return;
    }
    const std::string kept = keep_damaged_aside(file_);
    shared::log::warn("event=evidence_not_restored {}{}", evidence.error().text(), kept);
}

std::size_t EvidenceKeeper::restore(UnixMillis now)
{
    const std::uint64_t roster = segment_.roster_version.load(std::memory_order_acquire);
    if (waiting_.empty() || roster == roster_seen_) return 0;
    roster_seen_ = roster;
    std::size_t restored = 0;
    for (const shared::AccountSnapshot& account : shared::snapshot_accounts(segment_)) {
        const auto known = waiting_.find(account.identity.id.view());
        if (known == waiting_.end()) continue;
        const bool any = segment_.accounts[account.slot.value].with_lock(
            [&](AccountRecord& record) { return take_over(record, known->second, now); });
        if (any) ++restored;
        waiting_.erase(known);
    }
    return restored;
}

shared::Result<bool> EvidenceKeeper::take(std::string_view text, UnixMillis now)
{
    auto evidence = decode_evidence(text);
    if (!evidence) return evidence.error();
    for (auto& [id, known] : *evidence)
        waiting_.insert_or_assign(id, std::move(known));
    roster_seen_ = 0;
    (void)restore(now);
    return true;
}

std::string EvidenceKeeper::copy(UnixMillis now)
{
    (void)restore(now);
    EvidenceById evidence = waiting_;
    const std::size_t used = std::min<std::size_t>(
        segment_.account_slots.load(std::memory_order_acquire), shared::kMaxAccounts);
    for (std::size_t i = 0; i < used; ++i) {
        const AccountRecord record = segment_.accounts[i].with_lock(
            [](const AccountRecord& now_known) { return now_known; });
        if (record.routing.state == shared::AccountState::empty) continue;
        SavedEvidence known;
        known.kind = record.routing.kind;
        known.account_id = record.identity.account_id.view();
        known.routing = record.routing;
        // Only a limit that the vendor named: others are ours, and short.
        const bool cools = record.routing.cooling_until > now && record.routing.cooling_end_known &&
                           record.routing.state == shared::AccountState::ready;
        if (!cools) known.routing.cooling_until = {};
        known.short_learning = record.short_learning;
        known.long_learning = record.long_learning;
        evidence[std::string(record.identity.id.view())] = std::move(known);
    }
    return encode_evidence(evidence);
}

void EvidenceKeeper::save(UnixMillis now)
{
    std::string text = copy(now);
    if (text == saved_) return;
    const auto saved = shared::replace_file(file_, text);
    if (saved) {
        saved_ = std::move(text);
        if (refused_) shared::log::warn("event=evidence_saved_again");
    } else if (!refused_) {
        shared::log::error("event=evidence_not_saved {}", saved.error().text());
    }
    refused_ = !saved;
}

} // namespace supervisor
