/// Small things that every part of the routes needs: what a client asked for, and plain answers.
#pragma once

#include "admin_ui/routes.hpp"

#include <string>
#include <string_view>

namespace admin_ui {

/// 303 to a path of ours.
[[nodiscard]] PageResponse see_other(std::string_view path);

/// The value of a query parameter as it stands there; empty if absent.
[[nodiscard]] std::string_view parameter(std::string_view query, std::string_view name);

[[nodiscard]] bool wants_html(const PageRequest& request);

/// Whether a page of another origin made the browser send this.
[[nodiscard]] bool is_cross_site(const PageRequest& request);

/// Who does it, for the log.
[[nodiscard]] std::string doer(const PageRequest& request);

[[nodiscard]] PageResponse method_not_allowed(const PageRequest& request, const char* allow);

} // namespace admin_ui
