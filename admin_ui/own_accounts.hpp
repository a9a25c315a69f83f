/// The accounts that belong to one pool user: what they see of them, and what they may do to them.
#pragma once

#include "admin_ui/html.hpp"
#include "shared/segment/account_state.hpp"
#include "shared/segment/layout.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace admin_ui {

struct OwnAccount {
    std::string id;
    shared::AccountSlot slot;
    shared::AccountStatus status;
    std::string problem; ///< what its owner should do something about; may be empty

    /// By its user, who may end it. What the pool's owner has disabled stays so.
    [[nodiscard]] bool is_paused() const
    {
        return status.condition == shared::AccountCondition::disabled &&
               status.reason == shared::kReasonPaused;
    }
};

/// In the order of the pool. `user` is a pool user's id; an empty one has none.
[[nodiscard]] std::vector<OwnAccount>
own_accounts(shared::Segment& segment, std::string_view user, shared::UnixMillis now);

[[nodiscard]] std::string own_accounts_json(const std::vector<OwnAccount>& accounts);

/// A list with buttons; empty if there are none. `csrf` as in PageFrame.
[[nodiscard]] Html own_accounts_part(
    const std::vector<OwnAccount>& accounts, std::string_view csrf, shared::UnixMillis now);

} // namespace admin_ui
