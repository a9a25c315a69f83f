#include "worker/account_cache.hpp"

#include "shared/segment/account_table.hpp"

#include <algorithm>

namespace worker {

using shared::AccountSlot;

AccountCache::AccountCache(shared::Segment& segment) : segment_(segment) {}

const CachedAccount& AccountCache::get(AccountSlot slot)
{
    if (entries_.size() <= slot.value) entries_.resize(slot.value + 1U);
    auto& entry = entries_[slot.value];
    if (!entry) entry = std::make_unique<Entry>();

    // Versions are read before the data: a change in between is picked up by the next call.
    const std::uint64_t roster = segment_.roster_version.load(std::memory_order_acquire);
    if (entry->roster_version != roster) {
        shared::AccountIdentity identity;
        segment_.accounts[slot.value].with_lock(
            [&](shared::AccountRecord& record) { identity = record.identity; });
        CachedAccount& account = entry->account;
        account.id = identity.id.view();
        account.account_id = identity.account_id.view();
        account.project = identity.project.view();
        account.provider = static_cast<shared::ProviderId>(identity.provider);
        account.kind = static_cast<shared::CredentialKind>(identity.kind);
        entry->roster_version = roster;
    }
    const std::uint64_t token = segment_.token_version[slot.value].load(std::memory_order_acquire);
    if (entry->token_version != token) {
        entry->account.token = shared::load_token(segment_, slot);
        entry->token_version = token;
    }
    return entry->account;
}

void AccountCache::candidates(shared::ProviderId provider, std::vector<Candidate>& out)
{
    out.clear();
    const std::size_t used = std::min<std::size_t>(
        segment_.account_slots.load(std::memory_order_acquire), shared::kMaxAccounts);
    for (std::uint16_t i = 0; i < used; ++i) {
        Candidate candidate;
        candidate.slot = {i};
        segment_.accounts[i].with_lock(
            [&](shared::AccountRecord& record) { candidate.routing = record.routing; });
        if (candidate.routing.state == shared::AccountState::empty) continue;
        const bool wanted = provider == shared::ProviderId::none ||
                            candidate.routing.provider == static_cast<std::uint8_t>(provider);
        if (!wanted) continue;
        candidate.in_flight = shared::in_flight(segment_, candidate.slot);
        out.push_back(candidate);
    }
}

bool AccountCache::owns_project(std::string_view project)
{
    if (project.empty()) return false;
    const std::size_t used = std::min<std::size_t>(
        segment_.account_slots.load(std::memory_order_acquire), shared::kMaxAccounts);
    for (std::uint16_t i = 0; i < used; ++i) {
        if (get({i}).project == project) return true;
    }
    return false;
}

} // namespace worker
