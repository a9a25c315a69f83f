/// One look at the users as plain values, and those as JSON and as a table. Pure but for the segment.
#pragma once

#include "admin_ui/people.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace admin_ui {

struct UserView {
    User user;
    shared::UserLimits limits; ///< what holds
    std::uint64_t day_tokens = 0;
    std::uint64_t week_tokens = 0;
    std::uint32_t requests_this_minute = 0;
    std::uint32_t in_flight = 0;
    std::size_t open_links = 0;

    /// "active", "disabled" or "expired".
    [[nodiscard]] const char* state(shared::UnixMillis now) const noexcept;
};

[[nodiscard]] UserView view_user(People& people, const User& user, shared::UnixMillis now);
/// In the order of what they used this week.
[[nodiscard]] std::vector<UserView> view_users(People& people, shared::UnixMillis now);

[[nodiscard]] nlohmann::ordered_json user_json(const UserView& view, shared::UnixMillis now);
/// The table of `codex-pool users`.
[[nodiscard]] std::string users_text(const std::vector<UserView>& users, shared::UnixMillis now);
/// What `codex-pool users show` prints.
[[nodiscard]] std::string user_text(const UserView& view, shared::UnixMillis now);

/// The limits that hold, in words: "1000 tokens a day, 2 at a time"; "none".
[[nodiscard]] std::string limits_in_words(const shared::UserLimits& limits);

} // namespace admin_ui
