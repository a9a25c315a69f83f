#include "refresher/roster.hpp"

#include "shared/evidence/publish_options.hpp"
#include "shared/segment/account_table.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace refresher {
namespace {

using shared::AccountIdentity;
using shared::AccountRecord;
using shared::AccountRouting;
using shared::AccountSlot;
using shared::AccountState;
using shared::Credential;
using shared::EffectiveOptions;
using shared::EvidenceSource;
using shared::Problem;
using shared::UnixMillis;

constexpr std::size_t kAccountIdBytesMax = decltype(AccountIdentity::id){}.bytes.size();

template <class Add>
void add_options(const shared::AccountOptions& options, const Add& add)
{
    const auto number = [&add](const auto& value) {
        add(value ? std::to_string(static_cast<int>(*value)) : std::string("-"));
    };
    const auto text = [&add](const std::optional<std::string>& value) {
        add(value ? "=" + *value : std::string("-"));
    };
    number(options.disabled);
    number(options.paused);
    number(options.priority);
    number(options.weight_percent);
    number(options.max_concurrency);
    number(options.reserve_percent);
    text(options.models_allowed);
    text(options.models_denied);
    text(options.proxy_url);
    text(options.owner);
}

/// Everything a credential file says, so that an unchanged file is not published again.
shared::Sha256Digest digest_of(const shared::LoadedAccount& account)
{
    const Credential& c = account.credential;
    std::string text;
    const auto add = [&text](std::string_view part) {
        text += std::to_string(part.size());
        text += ':';
        text += part;
    };
    add(c.access_token.reveal());
    add(c.refresh_token.reveal());
    add(c.account_id);
    add(c.email);
    add(c.plan);
    add(c.project);
    add(std::to_string(c.expires_at.value));
    add(std::to_string(static_cast<int>(c.kind)) + (c.disabled ? "d" : "e"));
    add_options(c.options, add);
    const shared::Sha256Digest digest = shared::sha256(text);
    std::fill(text.begin(), text.end(), '\0');
    return digest;
}

AccountIdentity identity_of(const shared::LoadedAccount& account, UnixMillis now)
{
    const Credential& c = account.credential;
    AccountIdentity identity;
    identity.id.assign(account.id);
    identity.provider = static_cast<std::uint8_t>(account.provider);
    identity.kind = static_cast<std::uint8_t>(c.kind);
    identity.account_id.assign(c.account_id);
    identity.plan.assign(c.plan);
    identity.project.assign(c.project);
    identity.email.assign(c.email);
    identity.expires_at = c.expires_at;
    identity.loaded_at = now;
    return identity;
}

/// Whether the file now holds somebody else's account: what was learned about quota says nothing about that one.
bool is_other_account(const AccountIdentity& before, const AccountIdentity& after)
{
    return before.provider != after.provider || before.kind != after.kind ||
           (!before.account_id.empty() && !after.account_id.empty() &&
            !(before.account_id == after.account_id.view()));
}

AccountRouting fresh_routing(UnixMillis now)
{
    AccountRouting routing;
    routing.state = AccountState::ready;
    routing.state_source = EvidenceSource::file;
    routing.state_since = now;
    return routing;
}

void set_state(AccountRouting& routing, AccountState state, std::string_view reason, UnixMillis now)
{
    if (routing.state == state) return;
    routing.state = state;
    routing.state_source = EvidenceSource::file;
    routing.state_since = now;
    routing.reason.assign(reason);
}

/// The state after its file was read again. Only the owner's word and a new token change it.
void update_state(
    AccountRouting& routing, const EffectiveOptions& options, bool token_changed, UnixMillis now)
{
    const bool was_file_matter = routing.state == AccountState::removed;
    const bool was_mended = token_changed && (routing.state == AccountState::failing ||
                                              routing.state == AccountState::needs_login);
    // What a dead token was benched for ends with it.
    if (was_mended) routing.cooling_until = {};
    if (was_file_matter || was_mended) set_state(routing, AccountState::ready, "", now);
    put_options(options.options, routing);
    put_disabled(options, routing, now);
}

/// Joins the problems for the segment; says how many did not fit.
std::string join_problems(const std::vector<Problem>& problems, std::size_t room)
{
    constexpr std::size_t kRoomForRest = 40;
    std::string text;
    for (std::size_t i = 0; i < problems.size(); ++i) {
        std::string line = problems[i].text();
        for (char& c : line) {
            if (c == '\n' || c == '\r') c = ' ';
        }
        const std::size_t separator = text.empty() ? 0 : 1;
        if (text.size() + separator + line.size() + kRoomForRest > room) {
            const std::string rest = "... and " + std::to_string(problems.size() - i) + " more";
            if (text.empty()) return line.substr(0, room - kRoomForRest) + " " + rest;
            return text + "\n" + rest;
        }
        if (separator != 0) text += '\n';
        text += line;
    }
    return text;
}

} // namespace

Roster::Roster(shared::Segment& segment) : segment_(segment) {}

RosterReport Roster::apply(shared::PoolLoad load, UnixMillis now)
{
    RosterReport report;
    report.problems = std::move(load.problems);
    std::set<std::string, std::less<>> has_file;
    for (shared::LoadedAccount& account : load.accounts) {
        has_file.insert(account.id);
        publish(std::move(account), now, report);
    }
    for (const auto& [id, index] : load.broken) {
        has_file.insert(id);
        if (index < report.problems.size()) note_problem(id, report.problems[index].what);
    }
    if (load.fatal) report.problems.insert(report.problems.begin(), *load.fatal);
    for (const shared::AccountSnapshot& known : shared::snapshot_accounts(segment_)) {
        if (known.routing.state == AccountState::removed) continue;
        if (load.fatal || has_file.contains(known.identity.id.view())) {
            ++report.in_service;
            continue;
        }
        remove(known.slot, now);
        held_.erase(std::string(known.identity.id.view()));
        report.removed.emplace_back(known.identity.id.view());
    }
    report.broken = static_cast<std::uint32_t>(report.problems.size());
    if (!report.added.empty() || !report.changed.empty() || !report.removed.empty()) {
        segment_.roster_version.fetch_add(1, std::memory_order_release);
    }
    shared::PoolInfo info;
    info.loaded_at = now;
    info.accounts = report.in_service;
    info.broken_files = report.broken;
    info.problems.assign(join_problems(report.problems, info.problems.bytes.size()));
    segment_.info.with_lock([&info](shared::PoolInfo& shown) { shown = info; });
    return report;
}

std::optional<AccountSlot> Roster::new_slot()
{
    const std::uint32_t used = segment_.account_slots.load(std::memory_order_acquire);
    if (used >= shared::kMaxAccounts) return std::nullopt;
    return AccountSlot{static_cast<std::uint16_t>(used)};
}

void Roster::publish(shared::LoadedAccount&& account, UnixMillis now, RosterReport& report)
{
    for (const std::string& warning : account.warnings) {
        report.warnings.push_back(account.id + ": " + warning);
    }
    if (account.id.size() > kAccountIdBytesMax) {
        report.problems.push_back(
            {account.file.string(),
             "its name is longer than " + std::to_string(kAccountIdBytesMax) + " bytes",
             "rename the file"});
        return;
    }
    const std::optional<AccountSlot> known = shared::find_account(segment_, account.id);
    const std::optional<AccountSlot> slot = known ? known : new_slot();
    if (!slot) {
        report.problems.push_back(
            {account.file.string(),
             "the pool already holds " + std::to_string(shared::kMaxAccounts) + " accounts",
             "remove files and restart codex-pool"});
        return;
    }
    const Credential& credential = account.credential;
    const std::string_view token = credential.access_token.reveal();
    if (token.size() > shared::kTokenBytesMax) {
        report.problems.push_back(
            {account.file.string(),
             "its access token is longer than " + std::to_string(shared::kTokenBytesMax) + " bytes",
             "sign in again"});
        note_problem(account.id, report.problems.back().what);
        return;
    }

    AccountIdentity identity = identity_of(account, now);
    const EffectiveOptions options = effective_options(owner_options_[account.id], credential);
    put_options(options.options, identity);
    std::string notes;
    for (const std::string& warning : account.warnings) {
        if (!notes.empty()) notes += ' ';
        notes += warning;
    }
    identity.problem.assign(notes);
    const bool token_changed = !known || shared::load_token(segment_, *slot) != token;
    Held& held = held_[account.id];
    const shared::Sha256Digest digest = digest_of(account);
    const bool is_new_here = held.digest == shared::Sha256Digest{};
    const bool file_changed = held.digest != digest;
    const bool login_changed =
        token_changed || (!is_new_here && !credential.refresh_token.empty() &&
                          !held.credential.refresh_token.same_as(credential.refresh_token));
    const bool plan_changed = is_new_here || held.credential.plan != credential.plan;

    // Token before state: a worker that finds the account ready finds its new token too.
    if (token_changed && !shared::store_token(segment_, *slot, token)) return;
    bool project_known = false;
    const bool back = segment_.accounts[slot->value].with_lock([&](AccountRecord& record) {
        const bool was_gone = record.routing.state == AccountState::removed;
        // What discovery found stays until it finds something else, or the file does.
        if (identity.project.empty()) identity.project = record.identity.project;
        if (known && !plan_changed) identity.plan = record.identity.plan;
        project_known = !identity.project.empty();
        const bool still_dead = record.routing.state == AccountState::needs_login && !login_changed;
        if (still_dead) identity.problem = record.identity.problem;
        if (!known || is_other_account(record.identity, identity)) {
            record.routing = fresh_routing(now);
            project_known = false;
        }
        shared::write_identity(record, identity);
        record.routing.provider = identity.provider;
        record.routing.kind = identity.kind;
        record.routing.expires_at = identity.expires_at;
        update_state(record.routing, options, login_changed, now);
        return was_gone;
    });
    if (!known) {
        // Counted last: until now nobody looks at this slot.
        segment_.account_slots.store(slot->value + 1U, std::memory_order_release);
    }
    if (!known || back) {
        report.added.push_back(account.id);
    } else if (is_new_here ? token_changed : file_changed) {
        report.changed.push_back(account.id);
    }
    held.slot = *slot;
    held.provider = account.provider;
    held.file = account.file;
    held.digest = digest;
    // New tokens alone do not change the project.
    if (file_changed && (is_new_here || !project_known)) held.project_sought = false;
    held.credential = std::move(account.credential);
}

bool Roster::update(shared::LoadedAccount account, UnixMillis now)
{
    RosterReport report;
    publish(std::move(account), now, report);
    const bool changed = !report.added.empty() || !report.changed.empty();
    if (changed) segment_.roster_version.fetch_add(1, std::memory_order_release);
    return changed;
}

void Roster::set_needs_login(
    std::string_view id, std::string_view reason, std::string_view remedy, UnixMillis now)
{
    const std::optional<AccountSlot> slot = shared::find_account(segment_, id);
    if (!slot) return;
    segment_.accounts[slot->value].with_lock([&](AccountRecord& record) {
        AccountIdentity identity = record.identity;
        identity.problem.assign(remedy);
        shared::write_identity(record, identity);
        AccountRouting& routing = record.routing;
        if (routing.state == AccountState::disabled || routing.state == AccountState::removed)
            return;
        if (routing.state != AccountState::needs_login) routing.state_since = now;
        routing.state = AccountState::needs_login;
        routing.state_source = EvidenceSource::refresh;
        routing.reason.assign(reason);
        routing.cooling_until = {};
    });
    segment_.roster_version.fetch_add(1, std::memory_order_release);
}

void Roster::remove(AccountSlot slot, UnixMillis now)
{
    segment_.accounts[slot.value].with_lock([now](AccountRecord& record) {
        set_state(record.routing, AccountState::removed, shared::kReasonFileGone, now);
    });
}

void Roster::note_problem(std::string_view id, const std::string& text)
{
    const std::optional<AccountSlot> slot = shared::find_account(segment_, id);
    if (!slot) return;
    segment_.accounts[slot->value].with_lock([&text](AccountRecord& record) {
        AccountIdentity identity = record.identity;
        identity.problem.assign(text);
        shared::write_identity(record, identity);
    });
}

std::optional<shared::net::ForwardProxy> Roster::proxy_of(std::string_view id)
{
    const auto found = held_.find(id);
    if (found == held_.end()) return std::nullopt;
    const auto url = segment_.accounts[found->second.slot.value].with_lock(
        [](const AccountRecord& record) { return record.identity.proxy_url; });
    if (url.empty()) return std::nullopt;
    auto proxy = shared::net::ForwardProxy::parse(url.view());
    if (!proxy) return shared::net::ForwardProxy();
    return *std::move(proxy);
}

void Roster::set_owner_options(
    std::string_view id, const shared::AccountOptions& owner, UnixMillis now)
{
    const auto known = owner_options_.find(id);
    if (known != owner_options_.end() && known->second == owner) return;
    owner_options_[std::string(id)] = owner;
    const auto held = held_.find(id);
    if (held == held_.end()) return; // broken or not yet read: applied when its file is
    const EffectiveOptions options = effective_options(owner, held->second.credential);
    segment_.accounts[held->second.slot.value].with_lock([&](AccountRecord& record) {
        AccountIdentity identity = record.identity;
        put_options(options.options, identity);
        shared::write_identity(record, identity);
        put_options(options.options, record.routing);
        put_disabled(options, record.routing, now);
    });
    segment_.roster_version.fetch_add(1, std::memory_order_release);
}

void Roster::replace_owner_options(
    const std::map<std::string, shared::AccountOptions, std::less<>>& all, UnixMillis now)
{
    std::vector<std::string> silent;
    for (const auto& [id, options] : owner_options_)
        if (!all.contains(id)) silent.push_back(id);
    for (const std::string& id : silent)
        set_owner_options(id, {}, now);
    for (const auto& [id, options] : all)
        set_owner_options(id, options, now);
}

void Roster::set_project(
    std::string_view id,
    const shared::Sha256Digest& digest,
    std::string_view project,
    std::string_view plan)
{
    const auto found = held_.find(id);
    if (found == held_.end() || found->second.digest != digest) return;
    segment_.accounts[found->second.slot.value].with_lock([&](AccountRecord& record) {
        AccountIdentity identity = record.identity;
        if (!project.empty()) identity.project.assign(project);
        if (!plan.empty()) identity.plan.assign(plan);
        shared::write_identity(record, identity);
    });
    segment_.roster_version.fetch_add(1, std::memory_order_release);
}

} // namespace refresher
