/// Puts an owner's options into an account's record.
#pragma once

#include "shared/providers/account_options.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/layout.hpp"

namespace shared {

/// What holds for an account: the owner's actions first, then its file.
struct EffectiveOptions {
    AccountOptions options;
    bool disabled = false;
    bool by_owner = false; ///< `disabled` was said by an action, not by the file
    bool paused = false;   ///< nothing but its user's pause keeps it out
};

[[nodiscard]] EffectiveOptions
effective_options(const AccountOptions& owner, const Credential& file);

/// The texts; they belong to the identity that is about to be published.
void put_options(const AccountOptions& options, AccountIdentity& identity) noexcept;

/// The numbers, which picking looks at. Unsaid = the default.
void put_options(const AccountOptions& options, AccountRouting& routing) noexcept;

/// Takes an account out of service, or back if only that kept it out.
void put_disabled(
    const EffectiveOptions& options,
    AccountRouting& routing,
    UnixMillis now) noexcept;

} // namespace shared
