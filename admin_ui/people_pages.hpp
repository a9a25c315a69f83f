/// The pages that have to do with users, as HTML. Pure; names, e-mails and everything else from outside is text.
#pragma once

#include "admin_ui/html.hpp"
#include "admin_ui/routes.hpp"
#include "admin_ui/user_view.hpp"
#include "shared/providers/provider.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace admin_ui {

/// How one CLI is set up: the lines to copy, and what they do for those who would rather do it by hand.
struct SetupTab {
    std::string cli;
    std::string title;
    std::string command;    ///< bash
    std::string powershell; ///< the same for PowerShell
    std::string undo;
    bool has_line = true; ///< there is a link that works
    shared::ClientSetup setup;
};

/// `token` may be empty: local mode.
[[nodiscard]] SetupTab setup_tab(
    const shared::Provider& provider,
    shared::ClientSetup setup,
    const std::string& address,
    const std::string& token);

struct SetupView {
    std::string address;
    std::vector<SetupTab> tabs;
    bool show_keys = false; ///< the key for other programs, too
};

/// A page's place among others and what its forms have to show.
struct PageFrame {
    std::string title;
    std::string csrf; ///< empty = nobody is signed in by cookie
    CallerRole role = CallerRole::nobody;
    std::string_view place; ///< path of its entry in the navigation
};

[[nodiscard]] std::string landing_for_friends(
    std::string_view name, std::string_view tagline, bool takes_friends, bool has_password);
[[nodiscard]] std::string one_setup_page(const SetupView& view);
/// `accounts`: those that are the user's, and the form for more; may be empty.
[[nodiscard]] std::string
my_page(const PageFrame& frame, const UserView& user, const SetupView& setup, const Html& accounts);

struct PeopleView {
    std::vector<UserView> users;
    std::vector<std::string> problems;
    std::string invited; ///< whom the set-up below is for; empty = nobody
    SetupView setup;
    std::uint32_t link_hours = 24;
};

[[nodiscard]] std::string
people_html(const PageFrame& frame, const PeopleView& view, shared::UnixMillis now);
[[nodiscard]] std::string
setup_html(const PageFrame& frame, const SetupView& view, bool shared_mode, bool takes_friends);

} // namespace admin_ui
