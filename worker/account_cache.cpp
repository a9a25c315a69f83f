#include "worker/account_cache.hpp"

#include "shared/providers/account_options.hpp"
#include "shared/segment/account_table.hpp"

#include <algorithm>

namespace worker {

using shared::AccountSlot;

bool CachedAccount::serves_model(std::string_view model) const noexcept
{
    return shared::serves_model(models_allowed, models_denied, model);
}

bool CachedAccount::is_owned_by(std::string_view user) const noexcept
{
    return shared::is_owned_by(owner, user);
}

AccountCache::AccountCache(shared::Segment& segment, const shared::ProviderRegistry& registry)
    : segment_(segment), registry_(registry)
{}

void AccountCache::load_identity(CachedAccount& account, AccountSlot slot)
{
    shared::AccountIdentity identity;
    segment_.accounts[slot.value].with_lock(
        [&](shared::AccountRecord& record) { identity = record.identity; });
    account.id = identity.id.view();
    account.account_id = identity.account_id.view();
    account.project = identity.project.view();
    account.provider = static_cast<shared::ProviderId>(identity.provider);
    account.kind = static_cast<shared::CredentialKind>(identity.kind);
    account.models_allowed = identity.models_allowed.view();
    account.models_denied = identity.models_denied.view();
    account.owner = identity.owner.view();
    account.proxy = proxy_of(identity.proxy_url.view());
    if (account.provider != shared::ProviderId::none) {
        account.capacity =
            static_cast<float>(registry_.get(account.provider).plan_weight(identity.plan.view()));
    }
}

const CachedAccount& AccountCache::get(AccountSlot slot)
{
    if (entries_.size() <= slot.value) entries_.resize(slot.value + 1U);
    auto& entry = entries_[slot.value];
    if (!entry) entry = std::make_unique<Entry>();

    // Versions are read before the data: a change in between is picked up by the next call.
    const std::uint64_t roster = segment_.roster_version.load(std::memory_order_acquire);
    if (entry->roster_version != roster) {
        load_identity(entry->account, slot);
        entry->roster_version = roster;
    }
    const std::uint64_t token = segment_.token_version[slot.value].load(std::memory_order_acquire);
    if (entry->token_version != token) {
        entry->account.token = shared::load_token(segment_, slot);
        entry->token_version = token;
    }
    return entry->account;
}

void AccountCache::candidates(const Asking& asking, std::vector<shared::Candidate>& out)
{
    out.clear();
    const std::size_t used = std::min<std::size_t>(
        segment_.account_slots.load(std::memory_order_acquire), shared::kMaxAccounts);
    for (std::uint16_t i = 0; i < used; ++i) {
        shared::Candidate candidate;
        candidate.slot = {i};
        segment_.accounts[i].with_lock(
            [&](shared::AccountRecord& record) { candidate.routing = record.routing; });
        if (candidate.routing.state == shared::AccountState::empty) continue;
        const bool wanted =
            asking.provider == shared::ProviderId::none ||
            candidate.routing.provider == static_cast<std::uint8_t>(asking.provider);
        if (!wanted) continue;
        candidate.in_flight = shared::in_flight(segment_, candidate.slot);
        const CachedAccount& account = get(candidate.slot);
        candidate.capacity = account.capacity;
        candidate.serves_model = account.serves_model(asking.model);
        candidate.turns_waited = turns_waited(candidate.slot);
        candidate.is_owners = account.is_owned_by(asking.user);
        out.push_back(candidate);
    }
}

const shared::net::ForwardProxy* AccountCache::proxy_of(std::string_view url)
{
    if (url.empty()) return nullptr;
    const auto known = proxies_.find(url);
    if (known != proxies_.end()) return known->second.get();
    // One that cannot be used stays without a host: its account then connects nowhere, rather than directly.
    shared::net::ForwardProxy proxy;
    if (auto parsed = shared::net::ForwardProxy::parse(url); parsed) proxy = *std::move(parsed);
    const auto added =
        proxies_.emplace(url, std::make_unique<const shared::net::ForwardProxy>(std::move(proxy)));
    return added.first->second.get();
}

void AccountCache::note_turn(AccountSlot slot)
{
    static_cast<void>(get(slot));
    entries_[slot.value]->turn = ++turns_;
}

std::uint32_t AccountCache::turns_waited(AccountSlot slot) const noexcept
{
    const std::uint64_t turn = entries_[slot.value]->turn;
    if (turn == 0) return shared::Candidate::kTurnsMax;
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(turns_ - turn, shared::Candidate::kTurnsMax));
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
