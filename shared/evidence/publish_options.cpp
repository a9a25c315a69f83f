#include "shared/evidence/publish_options.hpp"

#include "shared/segment/account_state.hpp"

namespace shared {

EffectiveOptions effective_options(const AccountOptions& owner, const Credential& file)
{
    EffectiveOptions out;
    out.options = merged(owner, file.options);
    out.by_owner = owner.disabled.has_value();
    const bool in_file = file.disabled || file.options.disabled.value_or(false);
    out.disabled = owner.disabled.value_or(in_file);
    out.paused = !out.disabled && out.options.paused.value_or(false);
    out.disabled = out.disabled || out.paused;
    out.by_owner = out.by_owner || out.paused;
    return out;
}

void put_options(const AccountOptions& options, AccountIdentity& identity) noexcept
{
    identity.models_allowed = {};
    identity.models_denied = {};
    identity.owner = {};
    identity.proxy_url = {};
    if (options.models_allowed) identity.models_allowed.assign(*options.models_allowed);
    if (options.models_denied) identity.models_denied.assign(*options.models_denied);
    if (options.owner) identity.owner.assign(*options.owner);
    if (options.proxy_url) identity.proxy_url.assign(*options.proxy_url);
}

void put_options(const AccountOptions& options, AccountRouting& routing) noexcept
{
    const AccountRouting defaults;
    routing.priority = options.priority.value_or(defaults.priority);
    routing.weight_percent = options.weight_percent.value_or(defaults.weight_percent);
    routing.max_concurrency = options.max_concurrency.value_or(defaults.max_concurrency);
    routing.reserve_percent = options.reserve_percent.value_or(defaults.reserve_percent);
}

void put_disabled(
    const EffectiveOptions& options, AccountRouting& routing, UnixMillis now) noexcept
{
    if (routing.state == AccountState::empty || routing.state == AccountState::removed) return;
    const bool is_disabled = routing.state == AccountState::disabled;
    if (!options.disabled && !is_disabled) return;
    // An owner who takes back what an action said has said something as well.
    const bool taken_back =
        !options.disabled && routing.state_source == EvidenceSource::owner;
    const auto source = options.by_owner || taken_back ? EvidenceSource::owner
                                                       : EvidenceSource::file;
    const auto reason = options.paused     ? kReasonPaused
                        : options.by_owner ? kReasonDisabledByOwner
                                           : kReasonDisabledInFile;
    if (options.disabled && is_disabled && routing.reason == reason) return;
    routing.state = options.disabled ? AccountState::disabled : AccountState::ready;
    routing.state_since = now;
    routing.state_source = source;
    routing.reason = {};
    if (options.disabled) routing.reason = reason;
}

} // namespace shared
