/// The Usage page: what was used when, by whom, of what, and what it would cost. Pure.
#pragma once

#include "admin_ui/frame.hpp"
#include "admin_ui/html.hpp"
#include "admin_ui/usage_report.hpp"

#include <string>
#include <string_view>

namespace admin_ui {

struct UsagePageView {
    UsageReport report;
    std::string last;        ///< "7d" as it was asked for; empty: from and to were
    bool list_costs = false; ///< also of what went through subscriptions
    std::string problem;     ///< why there is no history
    Audience audience = Audience::owner;
};

[[nodiscard]] std::string usage_page(const UsagePageView& view, const PriceList& prices);

/// What a group without a name is called.
[[nodiscard]] std::string_view shown_name(UsageGroup group, std::string_view name);

} // namespace admin_ui
